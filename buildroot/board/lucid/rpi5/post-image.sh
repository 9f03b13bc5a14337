#!/usr/bin/env bash
# Runs after the root tree is packed: hands kernel, device trees and root to lucid-image, which makes the disk image.
# The virtual Pi is made by the same tool: there is one way to build an image.
set -euo pipefail
external=$BR2_EXTERNAL_LUCID_PATH
images=$BINARIES_DIR
tool=${LUCID_IMAGE:-$external/../target/release/lucid-image}

fail() {
	echo "post-image: $*" >&2
	exit 1
}

[ -x "$tool" ] || fail "$tool is missing; build it with \`cargo build --release -p lucid-image\`"
[ -s "$images/Image" ] || fail "the kernel is missing from $images"
for tree in bcm2712-rpi-5-b.dtb bcm2712d0-rpi-5-b.dtb; do
	[ -s "$images/$tree" ] || fail "the device tree $tree is missing from $images"
done
eeprom=$images/lucid-eeprom/pieeprom.bin
[ -s "$eeprom" ] || fail "$eeprom is missing: BR2_PACKAGE_LUCID_EEPROM fetches it"
packages=$BASE_DIR/legal-info/manifest.csv
[ -s "$packages" ] || fail "$packages is missing: run \`make legal-info\` before, as make-image does"
[ -s "$images/rootfs.tar" ] || fail "rootfs.tar is missing; BR2_TARGET_ROOTFS_TAR makes it"

root=$BUILD_DIR/lucid-root
rm -rf "$root"
mkdir -p "$root"
# Every file belongs to root in the image. What is mounted over is an empty folder there.
tar -xf "$images/rootfs.tar" -C "$root" --no-same-owner --exclude='./dev/*' --exclude='./run/*' --exclude='./tmp/*' \
	--exclude='./var/*' --exclude='./boot/*'

trees=$BUILD_DIR/lucid-dtb
rm -rf "$trees"
mkdir -p "$trees"
cp "$images"/bcm2712*.dtb "$trees"

"$tool" build --root-tree "$root" --kernel "$images/Image" --dtb "$trees" \
	--overlays "$images/rpi-firmware/overlays" --config-txt "$external/../overlay/boot/config.txt" \
	--overlay "$external/../overlay" --packages "$packages" --cargo-manifest "$external/../Cargo.toml" \
	--eeprom "$eeprom" --update-root "${LUCID_UPDATE_ROOT:?make image needs it}" \
	--profile release --source-date-epoch "${SOURCE_DATE_EPOCH:?BR2_REPRODUCIBLE sets it}" \
	--version "${LUCID_VERSION:?make image sets it}" --out "$images"
