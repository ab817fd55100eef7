# For vm.sh: fetch_kernel puts into $base Debian's kernel for $arch, its modules and
# the module v4l2loopback made for it, and writes its version into $base/ok. Uses
# $cache, $work and die.

base=$cache/$arch-loopback
case $arch in
arm64) triplet=aarch64-linux-gnu ;;
amd64) triplet=x86_64-linux-gnu ;;
esac

# apt_ ARCH TOOL ARG...: with a private state, so that dpkg needs no foreign
# architecture.
apt_() {
	a=$1 tool=$2
	shift 2
	mkdir -p "$cache/apt-$a/lists/partial" "$cache/apt-$a/archives/partial"
	: >"$cache/apt-$a/status"
	"$tool" -qq -o APT::Architecture="$a" -o APT::Architectures="$a" \
		-o Dir::State="$cache/apt-$a" -o Dir::Cache="$cache/apt-$a" \
		-o Dir::State::status="$cache/apt-$a/status" -o Dir::Etc::Preferences=/dev/null \
		-o Acquire::Languages=none -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"
}

# unpack ARCH FOLDER PACKAGE...
unpack() {
	a=$1 to=$2
	shift 2
	mkdir -p "$work/debs"
	(cd "$work/debs" && apt_ "$a" apt-get download "$@") >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot download $*"; }
	for deb in "$work/debs"/*.deb; do dpkg -x "$deb" "$to"; done
	rm -r "$work/debs"
}

fetch_kernel() {
	host=$(dpkg --print-architecture)
	for a in "$arch" "$host"; do
		apt_ "$a" apt-get update >"$work/log" 2>&1 || cat "$work/log" >&2
	done
	image=$(apt_ "$arch" apt-cache depends "linux-image-$arch" | sed -n 's/^ *Depends: \(linux-image-[0-9][^: ]*\).*/\1/p' | head -n 1)
	[ -n "$image" ] || die "no package linux-image-$arch"
	version=${image#linux-image-}
	rm -rf "$base"
	mkdir -p "$base/tree"
	unpack "$arch" "$base/tree" "$image"
	mv "$base/tree/boot/vmlinuz-$version" "$base/vmlinuz"
	find "$base/tree/lib/modules" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$base/tree" "$version"

	# The build tools of the kernel are programs for this host.
	src=$work/src
	unpack "$arch" "$src" "linux-headers-$version" "linux-headers-${version%-"$arch"}-common" v4l2loopback-dkms
	unpack "$host" "$src" "linux-kbuild-$(echo "$version" | cut -d. -f1,2)"
	headers=$src/usr/src/linux-headers-$version
	sed -i "s#^include /usr/src#include $src/usr/src#" "$headers/Makefile"
	module=$(echo "$src"/usr/src/v4l2loopback-*)
	env -u MAKEFLAGS make -s -C "$headers" M="$module" CROSS_COMPILE="$triplet-" DEB_BUILD_ARCH="$host" DEB_HOST_ARCH="$arch" \
		DEB_HOST_GNU_TYPE="$triplet" modules >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; die "cannot make v4l2loopback"; }
	mv "$module/v4l2loopback.ko" "$base/"
	echo "$version" >"$base/ok"
}
