#!/bin/sh
# The backends that package kernels has for this CPU, best first, without portable: read
# from what the kernel says of the CPU, so that a test notices when a faster backend is
# not chosen. Nothing where it says nothing.
set -u
has() { for f; do grep -qE "^(flags|Features).*[[:space:]]$f([[:space:]]|\$)" /proc/cpuinfo 2>/dev/null || return 1; done; }
list=""
case "$(uname -m)" in
x86_64)
	if has avx2 fma f16c; then
		list=avx2
		has avx512f avx512bw avx512dq avx512vl avx512_vnni && list="avx512vnni $list"
	fi ;;
aarch64)
	if has asimd; then
		list=neon
		if has asimddp; then
			list="neon-dotprod $list"
			has i8mm && list="neon-i8mm $list"
		fi
	fi ;;
esac
echo $list
