################################################################################
#
# lucid
#
################################################################################

LUCID_VERSION = 0.1.0
LUCID_LICENSE = Apache-2.0
# Nothing is fetched: a local site would copy all of cargo's folder for one file.
LUCID_SOURCE =
LUCID_BINARY = $(call qstrip,$(BR2_PACKAGE_LUCID_DIR))/lucid
LUCID_UNITS = $(BR2_EXTERNAL_LUCID_PATH)/../units

# Anything but a static aarch64 binary would only be found out on the board.
define LUCID_BUILD_CMDS
	$(BR2_EXTERNAL_LUCID_PATH)/package/lucid/check-binary \
		"$(TARGET_READELF)" "$(LUCID_BINARY)"
endef

define LUCID_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(LUCID_BINARY) $(TARGET_DIR)/usr/bin/lucid
	ln -snf lucid $(TARGET_DIR)/usr/bin/lucid-init
	mkdir -p $(TARGET_DIR)/state $(TARGET_DIR)/mnt/myssd $(TARGET_DIR)/boot
endef

define LUCID_INSTALL_INIT_SYSTEMD
	$(LUCID_UNITS)/install $(TARGET_DIR)
endef

$(eval $(generic-package))
