#!/bin/sh
# apt-install PACKAGE...: installs packages and leaves no lists.
set -eu
apt-get update -q
apt-get install -q -y "$@"
rm -rf /var/lib/apt/lists/*
