#!/bin/sh
# try-zipapp.sh PYTHON FILE: the file alone, in an empty folder and home, twice (it unpacks itself the first time).
set -eu
python=$(command -v "$1")
file=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
run() { env -i PATH="$PATH" HOME="$folder" LANG=C.UTF-8 "$python" "$file" "$@"; }
case $(run --version) in "vnicheck "*) ;; *) exit 1 ;; esac
run demo >demo.txt
grep -q '6 of 6 observations are as predicted' demo.txt
run demo -f html -o demo.html
run collect-script | sh -n
echo "$(basename "$file"): well"
