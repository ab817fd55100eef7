#!/bin/sh
# Installs what `make test` and `make bench-arm` need besides Go: certificates to fetch
# modules, a C compiler for the race detector, qemu to run arm64 tests and to count
# instructions (its static build has no plugins), llvm to check encodings and to predict
# cycles, clang and its linker for plugins in C, python3 for the protocol's Python client
# and the training's own tests, systemd to check the unit, ffmpeg for cameras that speak
# RTSP, minisign to check what is signed here.
# Debian and its relatives as root; elsewhere it names what is missing.
set -eu

missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need gcc gcc
need qemu-aarch64-static qemu-user-static
need qemu-aarch64 qemu-user
need llvm-mc-19 llvm-19
need clang-19 clang-19
need wasm-ld-19 lld-19
need python3 python3
need systemd-analyze systemd
need ffmpeg ffmpeg
need minisign minisign
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] || missing="$missing ca-certificates"
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
command -v python3 >/dev/null 2>&1 && /usr/bin/python3 -c 'import torch' 2>/dev/null || missing="$missing python3-torch"

if [ "${1:-}" = vm ]; then # make test-vm needs these, and none of the above
	missing=""
	need qemu-system-aarch64 qemu-system-arm
	[ "${VM_ARCH:-arm64}" = arm64 ] || need qemu-system-x86_64 qemu-system-x86
	PATH=$PATH:/usr/sbin:/sbin need depmod kmod
	need cpio cpio
	need xz xz-utils
	need make make
	PATH=$PATH:/usr/sbin:/sbin need mkfs.ext4 e2fsprogs
	case ${VM_ARCH:-arm64} in
	arm64) need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu; lib=/usr/aarch64-linux-gnu libc=libc6-dev-arm64-cross ;;
	*) need x86_64-linux-gnu-gcc gcc; lib=/usr libc=libc6-dev ;;
	esac
	[ "$(find $lib -name libc.a 2>/dev/null)" ] || missing="$missing $libc"
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing:$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
	exit 0
fi
echo "these are needed, of Debian or their equivalents:$missing" >&2
echo "install them and run make again, e.g. sudo apt-get install$missing" >&2
exit 1
