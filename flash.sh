#!/usr/bin/env bash
# Writes the Lucid image to a disk, reads it back, and gives the appliance its name, address and first-administrator code.
set -euo pipefail

readonly SYS=${LUCID_SYSFS:-/sys} MOUNTINFO=${LUCID_MOUNTINFO:-/proc/self/mountinfo} SWAPS=${LUCID_SWAPS:-/proc/swaps}
# The provisioning file on the disk: found by its first line, because it lies in a FAT partition that is not to be changed.
readonly TEMPLATE_MARK='# Settings for the first boot of this Lucid appliance.' PROVISION_BYTES=32768
# The first MiB is written last: a disk that was written in part has no partition table, and starts nothing.
readonly HEAD_BYTES=$((1 << 20))

usage() {
  cat <<'TEXT'
usage: ./flash.sh [OPTIONS] [IMAGE]

IMAGE is lucid-pi5-….img or .img.zst; without it the newest that `make image` built is taken.

  --list                 show the disks that could be written, and why others could not
  --disk DEVICE          the disk: /dev/sdb, /dev/nvme0n1, /dev/mmcblk0, /dev/disk/by-id/…
  --serial SERIAL        the disk's serial number: for scripts, instead of the question

The appliance's first start (all optional):
  --no-provision         write the image alone
  --hostname NAME        its name on the network; reached as NAME.local
  --timezone ZONE        such as Europe/Berlin
  --address A.B.C.D/N    a fixed address; without it, DHCP
  --gateway A.B.C.D      with --address
  --dns A.B.C.D[,…]      with --address
  --ssd WHICH            which SSD the appliance may take for data: none (default), labelled (one with the label
                         lucid-data), or empty (also format one that holds nothing at all)
  --ssd-serial SERIAL    only this SSD

  --discard-recordings   also where the disk holds recordings and this image leaves no place for them

Nothing is written before the disk's serial number was typed or given. Needs root.
TEXT
}

die() { printf 'flash: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*" >&2; }
need() { for tool; do command -v "$tool" >/dev/null || die "$tool is missing: install it and start again"; done; }

# --- disks, as sysfs tells them -------------------------------------------------------------------------------------

read_line() { local line=; [[ ! -r $1 ]] || IFS= read -r line <"$1" || true; printf '%s' "$line" | sed 's/[[:space:]]*$//'; }

bus_of() {
  case $(realpath -m "$SYS/block/$1") in
    */usb*) echo USB ;; */nvme/*) echo NVMe ;; */mmc_host/*) echo SD ;; */ata*) echo SATA ;; */virtio*) echo virtio ;; */loop*) echo loop ;; *) echo other ;;
  esac
}

serial_of() {
  local node serial
  if [[ $1 == loop* ]]; then basename "$(read_line "$SYS/block/$1/loop/backing_file")"; return; fi
  for node in "$SYS/block/$1/device/serial" "$SYS/block/$1/serial"; do
    serial=$(read_line "$node")
    [[ -z $serial ]] || { echo "$serial"; return; }
  done
  # A disk behind USB has none of its own; its adapter has one, further up.
  node=$(realpath -m "$SYS/block/$1/device")
  while [[ $node == */usb* ]]; do
    serial=$(read_line "$node/serial")
    [[ -z $serial ]] || { echo "$serial"; return; }
    node=${node%/*}
  done
}

model_of() {
  local vendor model
  vendor=$(read_line "$SYS/block/$1/device/vendor")
  model=$(read_line "$SYS/block/$1/device/model")
  [[ -n $model ]] || model=$(read_line "$SYS/block/$1/device/name")
  # virtio and PCI have numbers there, which tell nobody anything.
  [[ $vendor != 0x* ]] || vendor=
  vendor="$vendor $model"
  echo "${vendor# }"
}

bytes_of() { echo $(($(read_line "$SYS/block/$1/size") * 512)); }
human() { numfmt --to=si --suffix=B "$1"; }

# The whole disks below a block device (MAJOR:MINOR): through partitions, device mapper, RAID, and loops' backing files.
disks_below() {
  local node slave found=0
  node=$(realpath -m "$SYS/dev/block/$1")
  [[ -d $node ]] || return 0
  for slave in "$node"/slaves/*; do
    [[ -e $slave/dev ]] || continue
    found=1
    disks_below "$(read_line "$slave/dev")"
  done
  ((found)) && return 0
  if [[ -e $node/partition ]]; then basename "${node%/*}"; else basename "$node"; fi
}

# DISK<tab>where, for all that is mounted or swapped to. A file system without a device (btrfs, zfs) is known by its source.
busy_disks() {
  local number where rest source disk
  while read -r _ _ number _ where rest; do
    source=${rest##* - }; source=${source#* }; source=${source%% *}
    if [[ $number == 0:* && $source == /dev/* ]]; then number=$(number_of "$source"); fi
    [[ -n $number && $number != 0:* ]] || continue
    for disk in $(disks_below "$number"); do printf '%s\t%s\n' "$disk" "$where"; done
  done <"$MOUNTINFO"
  while read -r source _; do
    [[ $source == /dev/* ]] || continue
    number=$(number_of "$source")
    for disk in $(disks_below "${number:-0:0}"); do printf '%s\tswap\n' "$disk"; done
  done < <(tail -n +2 "$SWAPS" 2>/dev/null)
}

number_of() {
  local name
  name=$(basename "$(realpath -m "$1")")
  if [[ -e $SYS/class/block/$name/dev ]]; then read_line "$SYS/class/block/$name/dev"; fi
}

partitions_of() { local part; for part in "$SYS/block/$1/$1"*; do [[ ! -e $part/partition ]] || basename "$part"; done; }

# The first partition of a disk with a name, which src/layout/disk.rs gives; nothing if there is none.
partition_named() { local part; for part in $(partitions_of "$1"); do ! grep -qsx "PARTNAME=$2" "$SYS/block/$1/$part/uevent" || { echo "$part"; return; }; done; }

is_lucid() { [[ -n $(partition_named "$1" boot-a) ]]; }

# What lies on a disk, for people.
content_of() {
  local part name found=()
  if is_lucid "$1"; then
    part=$(partition_named "$1" data)
    echo "a Lucid system${part:+ and its recordings ($(human "$(bytes_of "$1/$part")"))}"
    return
  fi
  for part in $(partitions_of "$1"); do
    name=
    [[ ! -b /dev/$part || $SYS != /sys ]] || name=$(blkid -p -o value -s LABEL "/dev/$part" 2>/dev/null || true)
    [[ -n $name ]] || name=$(sed -n 's/^PARTNAME=//p' "$SYS/block/$1/$part/uevent" 2>/dev/null)
    found+=("${name:-$part}")
  done
  if ((${#found[@]})); then (IFS=,; list=${found[*]}; echo "${list//,/, }"); else echo "no partitions"; fi
}

# Why a disk must not be written; nothing if it may.
refusal_of() {
  local disk=$1 bytes=$2 where part holder
  [[ -d $SYS/block/$disk ]] || { echo "it is not a disk"; return; }
  case $disk in dm-* | md* | zram* | ram* | sr* | fd* | nbd*) echo "it is not a disk of its own ($disk)"; return ;; esac
  where=$(busy_disks | awk -F'\t' -v disk="$disk" '$1 == disk { print $2; exit }')
  if [[ $where == / ]]; then echo "this system runs from it"; return; fi
  if [[ -n $where ]]; then echo "it is in use (at $where): unmount it first"; return; fi
  for part in "$disk" $(partitions_of "$disk"); do
    for holder in "$SYS/class/block/$part"/holders/*; do
      [[ ! -e $holder ]] || { echo "$(basename "$holder") uses it: stop that first"; return; }
    done
  done
  [[ $(read_line "$SYS/block/$disk/ro") != 1 ]] || { echo "it is write-protected"; return; }
  if (($(bytes_of "$disk") < bytes)); then echo "it is too small: $(human "$(bytes_of "$disk")") for $(human "$bytes")"; fi
}

candidates() { local disk; for disk in "$SYS"/block/*; do disk=${disk##*/}; case $disk in loop* | ram* | zram* | dm-* | md* | sr* | fd* | nbd*) ;; *) (($(bytes_of "$disk") == 0)) || echo "$disk" ;; esac; done; }

list_disks() {
  local disk why
  printf '%-14s %-7s %9s  %-26s %-22s %s\n' disk bus size model serial content
  for disk in $(candidates); do
    why=$(refusal_of "$disk" "$1")
    printf '%-14s %-7s %9s  %-26s %-22s %s%s\n' "/dev/$disk" "$(bus_of "$disk")" "$(human "$(bytes_of "$disk")")" \
      "$(model_of "$disk")" "$(serial_of "$disk")" "$(content_of "$disk")" "${why:+ — no: $why}"
  done
}

# --- the image --------------------------------------------------------------------------------------------------------

newest_image() { local found; found=$(find "$(dirname "$0")/target" -maxdepth 4 -name 'lucid-pi5-*.img*' -printf '%T@ %p\n' 2>/dev/null | sort -rn | head -1); echo "${found#* }"; }

image_bytes() {
  case $1 in
    *.zst) zstd -lv "$1" 2>/dev/null | sed -n 's/.*Decompressed Size:.*(\([0-9]*\) B).*/\1/p' ;;
    *) stat -Lc %s "$1" ;;
  esac
}

image_stream() { case $1 in *.zst) zstd -dcq "$1" ;; *) cat "$1" ;; esac; }

# Shows on a terminal how far a dd is that was put into the background: the position of its file descriptor $2.
follow() {
  local pid=$1 descriptor=$2 bytes=$3 began=$SECONDS at
  [[ -t 2 ]] || return 0
  while at=$(sed -n 's/^pos:[[:space:]]*//p' "/proc/$pid/fdinfo/$descriptor" 2>/dev/null) && [[ -n $at ]]; do
    ((at <= bytes)) || at=$bytes
    printf '\r  %3d %%  %s/s \033[K' $((at * 100 / bytes)) "$(human $((at / (SECONDS - began + 1))))" >&2
    sleep 0.2
  done
  printf '\r\033[K' >&2
}

# Standard input's SHA-256. openssl uses the processor's instructions for it; sha256sum takes four times as long.
digest() { openssl dgst -sha256 -r | cut -d' ' -f1; }

# What the sums beside the image say of a file; nothing if they do not name it.
given_sum() { awk -v name="$2" '$2 == name || $2 == "*" name { print $1; exit }' "$1"; }

# The sums beside the image are compared: a broken download is found before the disk is touched. What must be on the disk
# in the end goes to $2, unless it is to be found while a compressed image is written.
check_sum() {
  local image=$1 expected=$2 sums=${1%.img*}.sha256 given='' found=''
  if [[ -e $sums ]]; then
    given=$(given_sum "$sums" "$(basename "$image")")
    [[ -n $given ]] || die "$(basename "$sums") has no line for $(basename "$image"): download both again"
  else
    say "No $(basename "$sums") beside the image: it is not checked for a broken download."
  fi
  if [[ -n $given || $image != *.zst ]]; then
    say "Checking $(basename "$image") ..."
    found=$(digest <"$image")
    [[ -z $given || $found == "$given" ]] || die "$image is damaged: its SHA-256 is not that in $(basename "$sums"); download it again"
  fi
  if [[ $image != *.zst ]]; then
    echo "$found" >"$expected"
  elif [[ -n $given ]]; then
    given_sum "$sums" "$(basename "$image" .zst)" >"$expected"
  fi
}

# Past the page cache, which would take everything at once and then stand still at the end: what is counted is on the disk.
to_disk() {
  local device=$1 bytes=$2 work=$3 writer
  head -c $HEAD_BYTES >"$work/head"
  dd of="$device" bs=4M iflag=fullblock oflag=direct,seek_bytes seek=$HEAD_BYTES conv=notrunc,fsync status=none <&0 &
  writer=$!
  follow $writer 1 "$bytes"
  wait $writer
}

write_image() {
  local image=$1 device=$2 bytes=$3 work=$4 hashing=''
  dd if=/dev/zero of="$device" bs=$HEAD_BYTES count=1 conv=notrunc,fsync status=none
  say "Writing $(human "$bytes") ..."
  if [[ -s $work/sum ]]; then
    image_stream "$image" | to_disk "$device" "$bytes" "$work"
  else
    mkfifo "$work/copy"
    digest <"$work/copy" >"$work/sum" &
    hashing=$!
    image_stream "$image" | tee "$work/copy" | to_disk "$device" "$bytes" "$work"
  fi || die "the image could not be written whole: it is damaged, or the disk failed; the disk now starts nothing"
  [[ -z $hashing ]] || wait "$hashing" || die "openssl could not compute the image's SHA-256; the disk now starts nothing; try again"
  dd if="$work/head" of="$device" bs=$HEAD_BYTES conv=notrunc,fsync status=none
}

from_disk() {
  local device=$1 bytes=$2 reader
  dd if="$device" bs=4M count="$bytes" iflag=count_bytes,direct status=none &
  reader=$!
  follow $reader 0 "$bytes"
  wait $reader
}

read_back() {
  local device=$1 bytes=$2 work=$3 sum
  # The disk is to answer, and not the page cache.
  blockdev --flushbufs "$device"
  say "Reading it back ..."
  sum=$(from_disk "$device" "$bytes" | digest) || die "$device can't be read back: the disk or its adapter is faulty; take another one"
  [[ $sum == "$(<"$work/sum")" ]] || die "what $device holds is not what was written: the disk or its adapter is faulty; take another one"
}

# --- the first start --------------------------------------------------------------------------------------------------

check_provisioning() {
  local address='([0-9]{1,3}\.){3}[0-9]{1,3}'
  [[ -z $hostname || $hostname =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || die "--hostname $hostname: use lower-case letters, digits and hyphens, at most 63"
  [[ -z $timezone || $timezone =~ ^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$ ]] || die "--timezone $timezone: use a name such as Europe/Berlin"
  [[ -z $network || $network =~ ^$address/[0-9]{1,2}$ ]] || die "--address $network: use A.B.C.D/N, such as 192.168.1.20/24"
  [[ -z $gateway || $gateway =~ ^$address$ ]] || die "--gateway $gateway: use A.B.C.D"
  [[ -z $dns || $dns =~ ^$address(,$address)*$ ]] || die "--dns $dns: use A.B.C.D, several with commas"
  [[ -n $network || -z $gateway$dns ]] || die "--gateway and --dns go with --address"
  [[ $ssd =~ ^(none|labelled|empty)$ ]] || die "--ssd $ssd: use none, labelled or empty"
  [[ $ssd_serial =~ ^[A-Za-z0-9_.:\ -]*$ ]] || die "--ssd-serial $ssd_serial: a serial has letters, digits and _ . : -"
}

# 80 random bits in Crockford's base 32, in groups of four.
make_code() { head -c 16 /dev/urandom | od -An -tu1 -v | tr -s ' \n' '\n' | sed '/^$/d' | awk 'BEGIN { split("0 1 2 3 4 5 6 7 8 9 A B C D E F G H J K M N P Q R S T V W X Y Z", a, " ") } { printf "%s%s", (NR > 1 && NR % 4 == 1 ? "-" : ""), a[$1 % 32 + 1] } END { print "" }'; }

# The device's certificate authority (P-256, 20 years, for names and addresses of home and office networks alone), made
# here so that its fingerprint can be read off paper before the first connection.
make_authority() {
  local work=$1 mark
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca.key" 2>/dev/null
  mark=$(openssl pkey -in "$work/ca.key" -pubout -outform DER | tail -c 65 | sha256sum | cut -c1-8)
  cat >"$work/ca.conf" <<CONF
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
O = Lucid
CN = Lucid appliance $mark
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, @permitted
[permitted]
permitted;DNS.0 = local
permitted;DNS.1 = localhost
permitted;DNS.2 = home.arpa
permitted;DNS.3 = internal
permitted;DNS.4 = lan
permitted;DNS.5 = home
permitted;DNS.6 = localdomain
permitted;DNS.7 = lucid
permitted;IP.0 = 10.0.0.0/255.0.0.0
permitted;IP.1 = 172.16.0.0/255.240.0.0
permitted;IP.2 = 192.168.0.0/255.255.0.0
permitted;IP.3 = 100.64.0.0/255.192.0.0
permitted;IP.4 = 169.254.0.0/255.255.0.0
permitted;IP.5 = 127.0.0.0/255.0.0.0
permitted;IP.6 = fc00::/fe00::
permitted;IP.7 = fe80::/ffc0::
permitted;IP.8 = ::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
CONF
  openssl req -x509 -new -sha256 -days 7300 -key "$work/ca.key" -config "$work/ca.conf" -out "$work/ca.pem"
  openssl x509 -in "$work/ca.pem" -noout -fingerprint -sha256 | sed 's/.*=//'
}

provisioning_text() {
  local work=$1 code=$2
  echo "$TEMPLATE_MARK"
  echo 'version = 1'
  [[ -z $hostname ]] || echo "hostname = \"$hostname\""
  [[ -z $timezone ]] || echo "timezone = \"$timezone\""
  if [[ -n $network ]]; then
    printf '[network]\naddress = "%s"\n' "$network"
    [[ -z $gateway ]] || echo "gateway = \"$gateway\""
    [[ -z $dns ]] || echo "dns = [\"${dns//,/\", \"}\"]"
  fi
  printf '[claim]\ncode = "%s"\n[ssd]\nconsent = "%s"\n' "$code" "$ssd"
  [[ -z $ssd_serial ]] || echo "serial = \"$ssd_serial\""
  printf '[tls]\nca_certificate = """\n%s\n"""\nca_key = """\n%s\n"""\n' "$(<"$work/ca.pem")" "$(<"$work/ca.key")"
}

# Overwrites the provisioning file where it lies; neither FAT nor directory change.
provision() {
  local device=$1 work=$2 code=$3 at length
  at=$(head -c $((72 << 20)) "$device" | grep -obUaF -m1 "$TEMPLATE_MARK" | cut -d: -f1 | head -1 || true)
  [[ -n $at ]] || die "the image has no place for a provisioning file: is it a Lucid image? --no-provision writes it as it is"
  ((at % 512 == 0)) || die "the provisioning file does not begin with a sector: the image is damaged"
  provisioning_text "$work" "$code" >"$work/lucid.toml"
  length=$(stat -c %s "$work/lucid.toml")
  ((length <= PROVISION_BYTES)) || die "the provisioning takes $length bytes, more than $PROVISION_BYTES"
  head -c $((PROVISION_BYTES - length)) /dev/zero | tr '\0' '\n' >>"$work/lucid.toml"
  dd if="$work/lucid.toml" of="$device" bs=512 seek=$((at / 512)) conv=notrunc,fsync status=none
  blockdev --flushbufs "$device"
  dd if="$device" bs=512 skip=$((at / 512)) count=$((PROVISION_BYTES / 512)) iflag=direct status=none | cmp -s - "$work/lucid.toml" \
    || die "the provisioning was not written as it should be: take another disk"
}

# --- from question to disk --------------------------------------------------------------------------------------------

# The disk's name in sysfs, whatever link or path was given for it.
resolve_disk() {
  local name
  [[ -e $1 || $SYS != /sys ]] || die "$1 does not exist; ./flash.sh --list shows the disks"
  name=$(basename "$(realpath -m "$1")")
  [[ ! -e $SYS/class/block/$name/partition ]] || die "$1 is a partition: give the whole disk, /dev/$(basename "$(realpath -m "$SYS/class/block/$name/..")")"
  echo "$name"
}

ask_disk() {
  local answer
  [[ -t 0 ]] || die "no disk given: use --disk and --serial; ./flash.sh --list shows the disks"
  list_disks "$1" >&2
  read -rp 'Write to which disk? ' answer
  [[ -n $answer ]] || die "no disk given; nothing was written"
  [[ $answer == /* ]] && echo "$answer" || echo "/dev/$answer"
}

# The appliance makes its data partition where the image ends. One that begins elsewhere is not found again: the image
# overwrites its beginning, or the appliance makes and formats another one over it. Says what becomes of the recordings on
# a disk that an image of so many bytes is written to: kept, lost, or nothing where there are none.
fate_of_recordings() {
  local disk=$1 bytes=$2 part
  is_lucid "$disk" || return 0
  part=$(partition_named "$disk" data)
  [[ -n $part ]] || return 0
  if (($(read_line "$SYS/block/$disk/$part/start") * 512 == bytes)); then echo kept; else echo lost; fi
}

confirm() {
  local disk=$1 recordings=$2 serial answer
  serial=$(serial_of "$disk")
  [[ -n $serial ]] || serial=$disk
  say ""
  say "  /dev/$disk  $(bus_of "$disk")  $(model_of "$disk")  $(human "$(bytes_of "$disk")")"
  say "  serial $serial · holds: $(content_of "$disk")"
  if [[ -n $given_serial ]]; then
    [[ $given_serial == "$serial" ]] || die "the serial of /dev/$disk is $serial, not $given_serial; nothing was written"
    return
  fi
  [[ -t 0 ]] || die "not confirmed: give --serial $serial; nothing was written"
  if [[ $recordings == kept ]]; then
    say "  All of it WILL BE LOST, but not the recordings: the recovery key opens them again (docs/flashing.md)."
  else
    say "  ALL OF IT WILL BE LOST."
  fi
  read -rp '  Type its serial number to go on: ' answer
  [[ $answer == "$serial" ]] || die "that is not its serial number; nothing was written"
}

warn_of_others() {
  local other
  for other in $(candidates); do
    [[ $other == "$1" ]] || ! is_lucid "$other" \
      || say "Warning: /dev/$other holds a Lucid system too. A Pi that sees both can start the wrong one, and refuses updates: attach only one."
  done
}

main() {
  local image='' device='' discard='' list=0 wanted=1 disk bytes why recordings code fingerprint work
  given_serial='' hostname='' timezone='' network='' gateway='' dns='' ssd=none ssd_serial=''
  while (($#)); do
    case $1 in
      -h | --help) usage; return ;;
      --list) list=1 ;;
      --no-provision) wanted=0 ;;
      --discard-recordings) discard=1 ;;
      --disk | --serial | --hostname | --timezone | --address | --gateway | --dns | --ssd | --ssd-serial)
        (($# > 1)) || die "$1 needs a value; see ./flash.sh --help"
        case $1 in
          --disk) device=$2 ;; --serial) given_serial=$2 ;; --hostname) hostname=$2 ;; --timezone) timezone=$2 ;; --address) network=$2 ;;
          --gateway) gateway=$2 ;; --dns) dns=$2 ;; --ssd) ssd=$2 ;; --ssd-serial) ssd_serial=$2 ;;
        esac
        shift ;;
      -*) die "unknown option $1; see ./flash.sh --help" ;;
      *) [[ -z $image ]] || die "two images given: $image and $1"; image=$1 ;;
    esac
    shift
  done
  need sed awk realpath numfmt blkid
  if ((list)); then list_disks 0; return; fi
  check_provisioning
  need dd tee blockdev od openssl sha256sum
  [[ -n $image ]] || image=$(newest_image)
  [[ -n $image ]] || die "no image given, and none was built: \`make image\` builds one"
  [[ -r $image ]] || die "can't read $image"
  # Its sums lie beside the file itself, and zstd reads no links.
  image=$(realpath "$image")
  [[ $image != *.zst ]] || need zstd
  # A truncated one has a size all the same, but zstd fails.
  bytes=$(image_bytes "$image") || bytes=0
  ((${bytes:-0} > HEAD_BYTES)) || die "$image is not a Lucid image, or is damaged: its size can't be told; download it again"
  [[ -n $device ]] || device=$(ask_disk "$bytes")
  disk=$(resolve_disk "$device")
  why=$(refusal_of "$disk" "$bytes")
  [[ -z $why ]] || die "$device can't be written: $why"
  recordings=$(fate_of_recordings "$disk" "$bytes")
  [[ $recordings != lost || -n $discard ]] \
    || die "$device holds recordings, and this image, which has another size than the one before, leaves no place for them: start it," \
      "back them up (\`lucid backup\`) and give --discard-recordings, or take another disk; nothing was written"
  confirm "$disk" "$recordings"
  warn_of_others "$disk"
  ((EUID == 0)) || die "writing to a disk needs root: sudo ./flash.sh …"
  device=/dev/$disk
  # The kernel knows of users that no list here shows: other namespaces, other machines' disks.
  if [[ $disk != loop* ]]; then blockdev --rereadpt "$device" 2>/dev/null || die "$device is in use: close what uses it, and start again"; fi
  # Secrets go through here: in memory where that is to be had, and gone at the end.
  work=$(TMPDIR=$([[ -d /dev/shm ]] && echo /dev/shm || echo /tmp) mktemp -d)
  # shellcheck disable=SC2064  # now, not then: `work` is local
  trap "rm -rf '$work'" EXIT
  umask 077
  check_sum "$image" "$work/sum"
  write_image "$image" "$device" "$bytes" "$work"
  read_back "$device" "$bytes" "$work"
  say "Written and read back: $(human "$bytes")."
  if ((wanted)); then
    code=$(make_code)
    fingerprint=$(make_authority "$work")
    provision "$device" "$work" "$code"
    summary "$code" "$fingerprint"
  fi
  blockdev --rereadpt "$device" 2>/dev/null || true
  say "Put the disk into the Pi, connect it to the network, and switch it on. The first start takes about a minute."
}

summary() {
  local at=${hostname:-lucid-XXXX}.local
  [[ -z $network ]] || at="${network%/*} (or $at)"
  cat <<TEXT

  Dashboard                https://$at
  First-administrator code $1
  Certificate (SHA-256)    $2

Keep this: the code is on the disk and here, nowhere else, and works once.${hostname:+}
TEXT
  [[ -n $hostname ]] || say "XXXX are the last four characters of the board's serial number."
}

main "$@"
