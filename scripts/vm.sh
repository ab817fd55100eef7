#!/bin/sh
# Boots a Debian kernel under qemu with virtual cameras and runs one program in it:
# /dev/video0 up are of the kernel's own vivid driver, /dev/video10 is a loopback
# that hands out what is written into it, and USB cameras can be plugged in that a
# program in there plays (vhci_hcd). No root, no KVM.
#
#   vm.sh [-cams N] [-files DIR] [-env NAME=VALUE]... [-timeout S]
#         [-disk IMG [-cut LINE] [-later S]] PROGRAM [ARG...]
#
# PROGRAM is a static ELF file for arm64 or amd64, which is the machine's kind.
# DIR is copied into the machine as /files, the program's working folder. What
# the program prints is printed, its exit status is ours; 125 is a machine that
# failed, 124 one that took longer than S seconds (1200), 137 one whose power was cut.
#
# IMG is a disk, made if it is missing, with an ext4 file system at /disk. When the
# program prints LINE the power is cut: what the kernel has not written is lost. LOG
# gets each write of the disk, and when it was told to flush, in the format of the
# kernel's dm-log-writes, and LOG.base is the disk before all of them: that is what the
# disks are made from that a power cut may leave (cmd/edged/powercut_linux_test.go). -later
# sets the clock as if so many seconds more had passed.
#
# It has one CPU, whose clock counts instructions, a nanosecond each, and leaps over
# the time in which it would idle: waiting costs nothing, and what takes a second in
# there does so however busy the host is. (Of two CPUs each would run for a tenth of
# a second while the other waits for it.) With a disk it does not leap: what waits for
# the disk would find that hours went by.
#
# Needs qemu-system-arm or qemu-system-x86, e2fsprogs, kmod, cpio, xz-utils, apt, make, go and
# a C compiler for the machine's kind. The kernel comes from the host's own package
# sources, once, and is kept in ${XDG_CACHE_HOME:-~/.cache}/edged-vm.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/edged-vm
mkdir -p "$cache"
PATH=$PATH:/usr/sbin:/sbin
cams=4 files='' limit=1200 disk='' log='' cut='' later=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
die() { echo "vm.sh: $*" >&2; exit 125; }
root=$work/root
mkdir -p "$root/etc" "$root/modules" "$root/dev" "$root/files"
: >"$root/etc/env"
while :; do
	case ${1:-} in
	-cams) cams=$2 ;;
	-files) files=$2 ;;
	-env) printf '%s\n' "$2" >>"$root/etc/env" ;;
	-timeout) limit=$2 ;;
	-disk) disk=$2 ;;
	-log) log=$2 ;;
	-cut) cut=$2 ;;
	-later) later=$2 ;;
	-*) die "unknown option $1" ;;
	*) break ;;
	esac
	shift 2
done
[ -f "${1:-}" ] || die "no program ${1:-}"
case $(od -An -tx1 -j18 -N2 "$1" | tr -d ' ') in
b700) arch=arm64 ;;
3e00) arch=amd64 ;;
*) die "$1 is neither an arm64 nor an amd64 program" ;;
esac

. "$here/vmkernel.sh"
exec 9>"$cache/lock"
flock 9
[ -e "$base/ok" ] || fetch_kernel
flock -u 9
version=$(cat "$base/ok")
tree=$base/tree/lib/modules/$version

need() { # need MODULE [PARAM...]: the module after all that it depends on
	name=$1
	shift
	line=$(sed -n "s#^\(\([^:]*/\)\{0,1\}$name\.ko\): *#\1 #p" "$tree/modules.dep")
	if [ -z "$line" ]; then
		grep -q "/$name\.ko\$" "$tree/modules.builtin" && return 0
		die "the kernel has no module $name"
	fi
	order=''
	for m in $line; do order="$m $order"; done
	for m in $order; do
		b=${m##*/}
		[ ! -e "$root/modules/$b" ] || continue
		cp "$tree/$m" "$root/modules/$b"
		if [ "$b" = "$name.ko" ]; then echo "/modules/$b $*"; else echo "/modules/$b"; fi >>"$root/etc/modules"
	done
}
need virtio_pci
need virtio_console
if [ "$cams" -gt 0 ]; then
	each() { i=1 s=$1; while [ $i -lt "$cams" ]; do s="$s,$1" i=$((i + 1)); done; echo "$s"; }
	need vivid "n_devs=$cams" "node_types=$(each 0x1)" "num_inputs=$(each 1)" "input_types=$(each 0x0)"
	for m in $(modinfo -F depends "$base/v4l2loopback.ko" | tr , ' '); do need "$m"; done
	cp "$base/v4l2loopback.ko" "$root/modules/"
	echo /modules/v4l2loopback.ko video_nr=10 card_label=loopback exclusive_caps=0 >>"$root/etc/modules"
	need vhci-hcd
	need uvcvideo
fi
if [ -n "$disk" ]; then
	need virtio_blk
	need crc32c_generic
	need ext4
	: >"$root/etc/disk"
	if [ ! -e "$disk" ]; then
		truncate -s 128M "$disk"
		mkfs.ext4 -q -F -b 4096 "$disk"
	fi
fi
(cd "$here" && GOFLAGS='' CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags='-s -w' -o "$root/init" vminit.go)
cp "$1" "$root/files/program"
[ -z "$files" ] || cp -R "$files"/. "$root/files/"
shift
{ echo /files/program; for a in "$@"; do printf '%s\n' "$a"; done; } >"$root/etc/argv"
(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) >"$work/initrd"

case $arch in
arm64) set -- qemu-system-aarch64 -machine virt,gic-version=3 -cpu cortex-a76 ;;
amd64) set -- qemu-system-x86_64 -machine q35 -cpu max ;;
esac
if [ -n "$disk" ]; then
	set -- "$@" -blockdev "driver=file,node-name=image,filename=$disk"
	node=image
	if [ -n "$log" ]; then
		: >"$log"
		cp --sparse=always "$disk" "$log.base"
		set -- "$@" -blockdev "driver=file,node-name=log,filename=$log" \
			-blockdev driver=blklogwrites,node-name=logged,file=image,log=log,log-super-update-interval=1
		node=logged
	fi
	set -- "$@" -device "virtio-blk-pci,drive=$node,write-cache=on"
fi
if [ -n "$cut" ]; then
	{
		until grep -qxF "$cut" "$work/out" 2>/dev/null; do
			sleep 0.1
			[ -d "$work" ] || exit
		done
		kill -9 "$(cat "$work/pid")"
	} &
fi
tty=ttyS0
[ $arch = amd64 ] || tty=ttyAMA0
sleep=off
[ -z "$disk" ] || sleep=on
{ timeout -k 5 "$limit" "$@" -nodefaults -no-user-config -display none -no-reboot \
	-accel tcg,thread=single -icount "shift=0,sleep=$sleep" -m 768 -kernel "$base/vmlinuz" -initrd "$work/initrd" \
	-append "console=$tty quiet panic=-1 mitigations=off random.trust_cpu=on" \
	-chardev "file,id=con,path=$work/console" -serial chardev:con \
	-rtc "base=$(date -u -d "@$(($(date +%s) + later))" +%Y-%m-%dT%H:%M:%S),clock=vm" -pidfile "$work/pid" \
	-device virtio-rng-pci -device virtio-serial-pci \
	-chardev file,id=out,path=/dev/stdout -device virtserialport,chardev=out,name=out \
	</dev/null || echo "vm: stopped with status $?"; } | tee "$work/out" | grep --line-buffered -v '^vm: exit ' || :
status=$(sed -n 's/^vm: exit \([0-9]*\).*/\1/p' "$work/out")
[ -z "$status" ] || { sed -n 's/^vm: exit .* after/vm.sh: the machine ran for/p' "$work/out" >&2; exit "$status"; }
[ -z "$cut" ] || ! grep -qxF "$cut" "$work/out" || exit 137
tail -n 30 "$work/console" >&2
grep -q 'vm: stopped with status 124' "$work/out" && exit 124
exit 125
