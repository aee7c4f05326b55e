#!/bin/sh
# apk add PACKAGE...: makes sure that Debian has the packages of these names, of which some are called otherwise.
set -eu
[ "$1" = add ] || { echo "apk $1: this is not Alpine" >&2; exit 1; }
shift
for package; do
	case $package in
	--no-cache | lld) continue ;;
	clang) package=gcc-aarch64-linux-gnu ;;
	musl-dev) package=libc6-dev ;;
	esac
	dpkg-query --show "$package" >/dev/null 2>&1 || apt-install "$package"
done
