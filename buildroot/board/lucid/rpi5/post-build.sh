#!/usr/bin/env bash
# Runs before the root file system is made; $1 is the target directory. Takes away every way to log in, and fails when
# anything of the overlay did not arrive as it is: Buildroot itself would not say so.
set -euo pipefail
target=$1
overlay=$BR2_EXTERNAL_LUCID_PATH/../overlay

fail() {
	echo "post-build: $*" >&2
	exit 1
}

# systemd selects these; on a box without logins they are tools for an intruder only.
for program in agetty login sulogin su newgrp chsh chfn passwd; do
	rm -f "$target/usr/bin/$program" "$target/usr/sbin/$program"
done
# The boot partitions' files are no part of the root; the name of the host is the stage's before systemd to give.
rm -rf "${target:?}/boot" "$target/etc/hostname"
mkdir "$target/boot"

for shell in sh bash dash ash busybox; do
	for directory in bin sbin usr/bin usr/sbin; do
		[[ ! -e $target/$directory/$shell ]] || fail "$directory/$shell is there: the box must have no shell; see BR2_SYSTEM_BIN_SH_NONE"
	done
done

while read -r needed; do
	# Distributions differ in which of the two folders is the link to the other one.
	[[ -e $target/usr/$needed || -e $target/usr/${needed/#bin\//sbin/} ]] ||
		fail "usr/$needed is missing; look at the package that should have installed it"
done <"$BR2_EXTERNAL_LUCID_PATH/board/lucid/rpi5/needed.txt"

while read -r file; do
	[[ $(readlink "$overlay/$file") == $(readlink "$target/$file") ]] || fail "overlay link $file did not arrive as it is"
done < <(cd "$overlay" && find . -type l)
while read -r file; do
	cmp -s "$overlay/$file" "$target/$file" || fail "overlay file $file did not arrive as it is"
done < <(cd "$overlay" && find . -type f ! -path './boot/*')
