#!/bin/sh
# Compiles the programs of this folder, or those that are named, with the compiler that made the committed objects.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- *.c
for source in "$@"; do
  clang-14 -g -O2 -target bpf -mcpu=v3 -w -fdebug-prefix-map="$PWD"=. -c "$source" -o "${source%.c}.o"
done
