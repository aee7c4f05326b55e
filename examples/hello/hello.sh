#!/bin/sh
echo "hello VERSION: I am $(whoami) on $(uname -m), $(cat /etc/built)"
