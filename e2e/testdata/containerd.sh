#!/bin/sh
# containerd.sh DIRECTORY ARCHIVE: imports an archive into a containerd of our own, as root of a user namespace,
# and runs the program of the image.
set -eu
cd "$1"
cat >config.toml <<END
version = 2
root = "$1/root"
state = "$1/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$1/socket"
END
containerd --config config.toml >log 2>&1 &
tries=0
until ctr --address socket version >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 200 ] || { cat log; exit 1; }
	sleep 0.1
done
ctr --address socket images import --snapshotter native --all-platforms "$2"
ctr --address socket images list
name=$(ctr --address socket images list -q | head -n 1)
mkdir image
ctr --address socket images mount --snapshotter native "$name" image
chroot image app
