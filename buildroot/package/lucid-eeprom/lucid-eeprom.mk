################################################################################
#
# lucid-eeprom
#
################################################################################

# Raspberry Pi's default release of 2026-05-26, at the commit of 2026-08-19.
LUCID_EEPROM_VERSION = 2026-05-26
LUCID_EEPROM_COMMIT = 86759b04b22173e10186139ac3ae4debcd0d7252
LUCID_EEPROM_REPOSITORY = https://raw.githubusercontent.com/raspberrypi/rpi-eeprom/$(LUCID_EEPROM_COMMIT)
# One file: an archive of the commit would be all releases there ever were.
LUCID_EEPROM_SITE = $(LUCID_EEPROM_REPOSITORY)/firmware-2712/default
LUCID_EEPROM_SOURCE = pieeprom-$(LUCID_EEPROM_VERSION).bin
LUCID_EEPROM_EXTRA_DOWNLOADS = $(LUCID_EEPROM_REPOSITORY)/LICENSE
# For use on Raspberry Pi devices; may be passed on in binary form, unmodified.
LUCID_EEPROM_LICENSE = PROPRIETARY
LUCID_EEPROM_LICENSE_FILES = LICENSE
LUCID_EEPROM_INSTALL_TARGET = NO
LUCID_EEPROM_INSTALL_IMAGES = YES

define LUCID_EEPROM_EXTRACT_CMDS
	cp $(LUCID_EEPROM_DL_DIR)/$(LUCID_EEPROM_SOURCE) $(@D)/pieeprom.bin
	cp $(LUCID_EEPROM_DL_DIR)/LICENSE $(@D)/LICENSE
endef

define LUCID_EEPROM_INSTALL_IMAGES_CMDS
	$(INSTALL) -D -m 0644 $(@D)/pieeprom.bin \
		$(BINARIES_DIR)/lucid-eeprom/pieeprom.bin
endef

$(eval $(generic-package))
