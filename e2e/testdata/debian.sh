#!/bin/sh
# debian.sh ARCHITECTURE SUITE FILE APTCONF: makes an archive of a Debian file system, from the sources on standard
# input and with settings of apt.
# It runs as root of a user namespace. The programs of another architecture run in an emulator: that is
# registered in this namespace, where the kernel can do that, and else has to be on the machine.
set -eu
if mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; then
	mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	head='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00'
	case $(uname -m) in
	x86_64) other="aarch64:M::$head\\xb7\\x00:$mask:/usr/bin/qemu-aarch64-static" ;;
	aarch64) other="x86_64:M::$head\\x3e\\x00:$mask:/usr/bin/qemu-x86_64-static" ;;
	esac
	printf ':qemu-%s:FC' "$other" >/proc/sys/fs/binfmt_misc/register
fi
exec mmdebstrap --quiet --mode=root --variant=apt --architectures="$1" ${INCLUDE:+--include="$INCLUDE"} --aptopt="$4" "$2" "$3" -
