#!/bin/sh
# Compiles the programs of this folder as an old and as a new compiler do, each for its own set of instructions.
set -eu
cd "$(dirname "$0")"
for source in *.c; do
  clang-14 -g -O2 -target bpf -mcpu=v3 -w -fdebug-prefix-map="${PWD%/*}"=. -c "$source" -o "${source%.c}_v3.o"
  clang-19 -g -O2 -target bpf -mcpu=v4 -w -fdebug-prefix-map="${PWD%/*}"=. -c "$source" -o "${source%.c}_v4.o"
done
