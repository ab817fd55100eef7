#!/bin/sh
# Boots Debian's systemd under qemu with a virtual webcam, starts edged by dist/edged.service
# and tries what docs/service.md says of it: scripts/vmservice.sh, which runs in there.
#
#   vmsystemd.sh BINARY
#
# BINARY is edged for amd64 or arm64, static. Needs what vm.sh does, no root. Packages are
# fetched once and kept beside the kernel of vm.sh.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/edged-vm
mkdir -p "$cache"
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
die() { echo "vmsystemd.sh: $*" >&2; exit 125; }
[ -f "${1:-}" ] || die "no binary ${1:-}"
case $(od -An -tx1 -j18 -N2 "$1" | tr -d ' ') in
b700) arch=arm64 ;;
3e00) arch=amd64 ;;
*) die "$1 is neither for arm64 nor for amd64" ;;
esac

. "$here/vmkernel.sh"
exec 9>"$cache/lock"
flock 9
[ -e "$base/ok" ] || fetch_kernel
system=$cache/$arch-systemd
if [ ! -e "$system/ok" ]; then
	rm -rf "$system"
	mkdir -p "$system"
	apt_ "$arch" apt-get update >"$work/log" 2>&1 || cat "$work/log" >&2
	unpack "$arch" "$system" $(apt_ "$arch" apt-get install --no-install-recommends --print-uris systemd udev busybox-static |
		sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p")
	: >"$system/ok"
fi
flock -u 9
version=$(cat "$base/ok")

root=$work/root
cp -R "$system" "$root"
rm "$root/ok"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/root" "$root/var/lib" \
	"$root/etc/edged" "$root/etc/modules-load.d" "$root/etc/modprobe.d" \
	"$root/etc/systemd/system/multi-user.target.wants" "$root/etc/systemd/system/edged.service.d"
for tool in sh sleep kill cat grep ls nsenter stat cut rm; do
	[ -e "$root/bin/$tool" ] || ln -s busybox "$root/bin/$tool"
done

# The kernel's modules of one camera, by what they need.
modules=lib/modules/$version
mkdir -p "$root/$modules"
for m in $(sed -n 's#^\(.*/vivid\.ko\): *#\1 #p' "$base/tree/$modules/modules.dep"); do
	mkdir -p "$root/$modules/${m%/*}"
	cp "$base/tree/$modules/$m" "$root/$modules/$m"
done
cp "$base/tree/$modules/modules.order" "$base/tree/$modules/modules.builtin" "$base/tree/$modules/modules.builtin.modinfo" "$root/$modules/"
depmod -b "$root" "$version"
echo vivid >"$root/etc/modules-load.d/vivid.conf"
echo 'options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0' >"$root/etc/modprobe.d/vivid.conf"

# What the package installs, but for what its script does with systemd running.
cp "$1" "$root/usr/bin/edged"
cp "$here/../dist/edged.service" "$root/lib/systemd/system/"
cp "$here/../dist/sysusers.conf" "$root/usr/lib/sysusers.d/edged.conf"
cp "$here/../dist/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/edged.conf"
# A picture that stands still is not looked at for long.
cat >"$root/etc/edged/edged.yaml" <<'EOF'
memory: {snapshot: 1s}
plugins:
  - {file: /etc/edged/seen.wasm, allow: [on_frame, on_caption]}
scenes:
  - {name: room, interval: 200ms, views: [{name: door, source: "v4l2:video0", size: 320x180, controls: {horizontal_movement: 4}}]}
EOF
(cd "$here/.." && GOFLAGS='' CGO_ENABLED=0 go run scripts/vmbundles.go "$root/root")
chmod 700 "$root/root"
mv "$root/root/seen.wasm" "$root/etc/edged/"
cp "$here/../fw/testdata/minisign.pub" "$root/etc/edged/fw.pub"
# Signs of life come in seconds here instead of minutes.
printf '[Service]\nWatchdogSec=12\n' >"$root/etc/systemd/system/edged.service.d/watchdog.conf"
ln -s /lib/systemd/system/edged.service "$root/etc/systemd/system/multi-user.target.wants/edged.service"
cp "$here/vmservice.sh" "$root/check"
cat >"$root/etc/systemd/system/check.service" <<'EOF'
[Unit]
After=edged.service
[Service]
Type=oneshot
ExecStart=/bin/sh /check
TimeoutStartSec=infinity
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
[Install]
WantedBy=multi-user.target
EOF
ln -s /etc/systemd/system/check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"
: >"$root/etc/machine-id"
(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) >"$work/initrd"

# As in vm.sh the clock counts instructions and leaps over the time in which nothing happens.
tty=ttyS0
case $arch in
arm64) set -- qemu-system-aarch64 -machine virt,gic-version=3 -cpu cortex-a76; tty=ttyAMA0 ;;
amd64) set -- qemu-system-x86_64 -machine q35 -cpu max ;;
esac
timeout -k 5 "${LIMIT:-600}" "$@" -nodefaults -no-user-config -display none -no-reboot -m 1024 \
	-accel tcg,thread=single -icount shift=0,sleep=off -rtc clock=vm \
	-kernel "$base/vmlinuz" -initrd "$work/initrd" -device virtio-rng-pci -serial stdio \
	-append "console=$tty quiet panic=-1 mitigations=off random.trust_cpu=on rdinit=/lib/systemd/systemd systemd.show_status=no" \
	</dev/null | sed -u 's/\r$//' | tee "$work/out"
grep -q '^check: all of it$' "$work/out"
