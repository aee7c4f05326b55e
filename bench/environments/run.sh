#!/bin/bash
# Runs the suite in the environments of docs/WHERE-IT-RUNS.md and prints a table of what came out, and one of how long the
# first build of each took, and its last step.
#
#   bench/environments/run.sh [E1 E2 ... E9-xfs ...]
#
# It must be root, to make the environments; builder itself runs as each of them says. It needs runc,
# mmdebstrap, uidmap, passt and qemu-user-static. CACHE is where the base file system is kept (made once, with
# mmdebstrap), APT_CONF a file with what apt needs to reach its mirrors, USER1 an ordinary user with ranges in
# /etc/subuid, BUILDER a binary to take instead of building one, CERTIFICATES those that the mirrors of go and npm are
# known by. CASES=attacks tries what commands may not do; CASES="doctor go npm" builds with tools from packages;
# CASES="doctor steps packages" is for its times.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
CACHE=${CACHE:-/var/cache/builder-environments}
USER1=${USER1:-dev}
CERTIFICATES=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
CASES=${CASES:-doctor copy base run users kept mounts readonly stages fails foreign apt}
ALL="E1 E2 E3 E4 E5 E6 E7 E8 E9-ext4 E9-xfs E9-btrfs E9-tmpfs E9-overlay E9-full E9-noshm E9-notmp E9-nohome E9-pids64 E9-mem256 E10"
SMALL="doctor copy base run mounts fails"
undo=()

at_exit() {
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}" || true; done
	find /sys/fs/cgroup -depth -type d -path '*/builder-environments*' -exec rmdir {} + 2> /dev/null || true # what runc leaves
}
trap at_exit EXIT

# later COMMAND...: to be done at the end, the last first
later() { undo+=("$(printf '%q ' "$@")"); }

prepare() {
	mkdir -p "$CACHE/bin" "$CACHE/results"
	chmod 755 "$CACHE"
	cd "$here/../.."
	if [ -n "${BUILDER:-}" ]; then install -m 755 "$BUILDER" "$CACHE/bin/builder"; else CGO_ENABLED=0 go build -trimpath -o "$CACHE/bin/builder" ./cmd/builder; fi
	go build -o "$CACHE/bin/environments" ./bench/environments
	[ -f "$CACHE/rootfs.tar" ] || {
		mmdebstrap --variant=minbase bookworm "$CACHE/rootfs.tmp.tar"
		mv "$CACHE/rootfs.tmp.tar" "$CACHE/rootfs.tar"
	}
	[ -d "$CACHE/rootfs" ] || { mkdir "$CACHE/rootfs.tmp"; tar -C "$CACHE/rootfs.tmp" --numeric-owner -xpf "$CACHE/rootfs.tar"; mv "$CACHE/rootfs.tmp" "$CACHE/rootfs"; }
	[ -d "$CACHE/rootfs.E8" ] || shifted "$CACHE/rootfs.E8" 200000
	rm -rf "$CACHE/suite"
	cp -r "$here/suite" "$CACHE/suite"
	printf 'package main\n\nfunc main() {}\n' > "$CACHE/main.go"
	CGO_ENABLED=0 GOARCH=arm64 go build -trimpath -ldflags=-s -o "$CACHE/suite/foreign/program" "$CACHE/main.go"
	CGO_ENABLED=0 go build -trimpath -o "$CACHE/suite/attacks/attacker" ./e2e/attacker
	mkdir "$CACHE/suite/qemu"
	cp "$(command -v qemu-aarch64-static)" "$CACHE/suite/qemu/" # as an image with builder in it would have it
	chmod -R a+rX "$CACHE/suite"
}

# shifted DIRECTORY ID: the root file system as a user namespace sees it whose root is ID
shifted() {
	rm -rf "$1.tmp"
	install -d -o "$2" -g "$2" "$1.tmp"
	unshare --user sleep 60 &
	local pid=$!
	until [ "$(readlink /proc/$pid/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
	echo "0 $2 65536" > /proc/$pid/uid_map
	echo "0 $2 65536" > /proc/$pid/gid_map
	nsenter --target $pid --user --setuid 0 --setgid 0 tar -C "$1.tmp" --numeric-owner --exclude './dev/*' -xpf - < "$CACHE/rootfs.tar"
	kill $pid
	mv "$1.tmp" "$1"
}

serve() {
	mkdir -p "$CACHE/registry"
	rm -f "$CACHE/address"
	"$CACHE/bin/builder" registry --listen 127.0.0.1:0 "$CACHE/registry" > "$CACHE/address" &
	later kill $!
	until [ -s "$CACHE/address" ]; do sleep 0.05; done
	address=$(cat "$CACHE/address")
	mkdir -p "$CACHE/base"
	ln -f "$CACHE/rootfs.tar" "$CACHE/base/"
	printf 'FROM scratch\nADD rootfs.tar /\n' > "$CACHE/base/Dockerfile"
	"$CACHE/bin/builder" build -q --root "$CACHE/store" -t "$address/debian:12" "$CACHE/base" > /dev/null
}

# settings NAME DIRECTORY CASES STORE [LINE...]: the settings of the suite
settings() {
	mkdir -p "$2/home"
	{
		printf '%s=%q\n' REPOSITORY "$address/${1,,}" BASE "$address/debian:12" CASES "$3" BUILDER_ROOT "$4"
		printf '%s\n' "${@:5}"
	} > "$2/settings"
	if [ -f "${APT_CONF:-}" ]; then cp "$APT_CONF" "$2/apt.conf"; fi
	mkdir -p "$2/certificates"
	if [ -f "$CERTIFICATES" ]; then cp "$CERTIFICATES" "$2/certificates/all"; fi
}

# as UID DIRECTORY: the words before a command that make an ordinary user of this machine run it
as() {
	echo setpriv --reuid "$1" --regid "$1" --clear-groups env -i PATH="$CACHE/bin:/usr/local/bin:/usr/bin:/bin" HOME="$2/home" WORK="$2"
}

container() {
	local name=$1 work=$2 owner=$3 bundle=$CACHE/bundle/$1 root=$CACHE/rootfs
	[ "$name" != E8 ] || root=$CACHE/rootfs.E8
	settings "$name" "$work" "$CASES" /work/store BUILDER_QEMU_DIR=/suite/qemu
	chown -R "$owner" "$work"
	rm -rf "$bundle"
	mkdir -p "$bundle"/{upper,work,root}
	chown --reference="$root" "$bundle/upper"
	mount -t overlay overlay -o "lowerdir=$root,upperdir=$bundle/upper,workdir=$bundle/work" "$bundle/root"
	"$CACHE/bin/environments" config "$name" "$bundle/root" "$work" "$CACHE/bin/builder" "$CACHE/suite" > "$bundle/config.json"
	runc run -b "$bundle" "builder-$name-$$" || true
	umount "$bundle/root"
}

ordinary() {
	local name=$1 work=$2 uid=$3 cases=$4
	settings "$name" "$work" "$cases" "${5:-$work/store}"
	chown -R "$uid:$uid" "$work"
	# shellcheck disable=SC2046 # words
	"${@:6}" $(as "$uid" "$work") "$CACHE/suite/suite.sh" || true
}

# disk TYPE DIRECTORY: mounts a new file system of 3 GB
disk() {
	truncate -s 3G "$2.img"
	case $1 in
	xfs) mkfs.xfs -q -f "$2.img" ;;
	btrfs) mkfs.btrfs -q -f "$2.img" ;;
	ext4) mkfs.ext4 -q -F "$2.img" ;;
	esac
	mount -o loop "$2.img" "$2"
	later umount "$2"
	later rm -f "$2.img"
}

# variant NAME WORK: E9, an ordinary user with something missing or unusual
variant() {
	local name=$1 work=$2 uid store=$2/disk
	uid=$(id -u "$USER1")
	mkdir "$store"
	case ${name#E9-} in
	ext4 | xfs | btrfs) disk "${name#E9-}" "$store" ;;
	tmpfs) mount -t tmpfs -o size=3g tmpfs "$store"; later umount "$store" ;;
	full) mount -t tmpfs -o size=64m tmpfs "$store"; later umount "$store" ;;
	overlay)
		mkdir "$work"/{lower,upper,over}
		mount -t overlay overlay -o "lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/over" "$store"
		later umount "$store" ;;
	esac
	chown "$uid:$uid" "$store"
	case ${name#E9-} in
	noshm) ordinary "$name" "$work" "$uid" "$SMALL" "" unshare --mount sh -c 'umount /dev/shm 2> /dev/null; rmdir /dev/shm 2> /dev/null || mount -t tmpfs -o ro,mode=000 tmpfs /dev/shm; exec "$@"' - ;;
	notmp) ordinary "$name" "$work" "$uid" "$SMALL" "" unshare --mount sh -c 'mount -t tmpfs -o ro,mode=555 tmpfs /tmp; exec "$@"' - ;;
	nohome)
		settings "$name" "$work" "$SMALL" "$store/store" 'unset HOME'
		chown -R "$uid:$uid" "$work"
		# shellcheck disable=SC2046
		$(as "$uid" "$work") "$CACHE/suite/suite.sh" || true ;;
	pids64) ordinary "$name" "$work" "$uid" "$SMALL" "" limited pids pids.max 64 ;;
	mem256) ordinary "$name" "$work" "$uid" "$SMALL" "" limited memory memory.limit_in_bytes 268435456 ;;
	*) ordinary "$name" "$work" "$uid" "$SMALL" "$store/store" env ;;
	esac
}

# limited CONTROLLER FILE VALUE COMMAND...: runs a command in a control group
limited() {
	local group=/sys/fs/cgroup/$1/builder-environments-$$
	[ -d /sys/fs/cgroup/"$1" ] || group=/sys/fs/cgroup/builder-environments-$$
	mkdir -p "$group"
	local file=$2
	[ -e "$group/$file" ] || file=memory.max
	echo "$3" > "$group/$file"
	(echo $BASHPID > "$group/cgroup.procs"; exec "${@:4}") || true
	rmdir "$group" || true
}

environment() {
	local name=$1 work=$CACHE/work/$1
	rm -rf "$work"
	mkdir -p "$work"
	chmod 755 "$CACHE/work"
	echo "== $name" >&2
	case $name in
	E1) ordinary E1 "$work" "$(id -u "$USER1")" "$CASES" ;;
	E2) ordinary E2 "$work" 1999 "$CASES" ;;
	E3 | E4 | E6) container "$name" "$work" 0:0 ;;
	E5 | E7) container "$name" "$work" 1000:1000 ;;
	E8) container "$name" "$work" 200000:200000 ;;
	E9-*) variant "$name" "$work" ;;
	E10) ordinary E10 "$work" "$(id -u "$USER1")" "$CASES" "" "$CACHE/bin/environments" refuse overlay,binfmt_misc ;;
	*) echo "there is no environment $name" >&2; return 1 ;;
	esac >&2
	[ -s "$work/results" ] || printf 'doctor\tfail\tthe suite did not start\n' > "$work/results"
	cp "$work/results" "$CACHE/results/$name"
}

# table CELL NAME...: a row for each environment, with what the command CELL prints for one and a case
table() {
	echo "| environment | sandbox |$(for c in $CASES; do [ "$c" = doctor ] || echo -n " $c |"; done)"
	echo "|---|---|$(for c in $CASES; do [ "$c" = doctor ] || echo -n "---|"; done)"
	local name c line
	for name in "${@:2}"; do
		[ -f "$CACHE/results/$name" ] || continue
		line="| $name | $(awk -F'\t' '$1 == "doctor" { print $3 }' "$CACHE/results/$name") |"
		for c in $CASES; do
			[ "$c" != doctor ] || continue
			line+=" $("$1" "$name" "$c") |"
		done
		echo "$line"
	done
}

taken() { awk -F'\t' -v c="$2" '$1 == c { print $4 }' "$CACHE/results/$1"; }

# result ENVIRONMENT CASE: a digest that is not that of E1 is marked
result() {
	awk -F'\t' -v c="$2" -v first="$CACHE/results/E1" '
		BEGIN { while ((getline < first) > 0) if ($1 == c) want = $3 }
		$1 == c { found = $2; if ($2 == "pass" && want ~ /^sha256/ && $3 != want) found = "pass, another image" }
		END { print found }' "$CACHE/results/$1"
}

[ "$(id -u)" = 0 ] || { echo "run.sh must be root" >&2; exit 1; }
names=("$@")
[ $# -gt 0 ] || read -ra names <<< "$ALL"
prepare
serve
for name in "${names[@]}"; do environment "$name"; done
table result "${names[@]}"
echo
table taken "${names[@]}"
