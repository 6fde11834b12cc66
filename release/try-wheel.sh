#!/bin/sh
# try-wheel.sh PYTHON WHEEL: the wheel in a new environment, beside what it needs and nothing else, far from the sources.
set -eu
python=$1
wheel=$(realpath "$2")
pins=$(realpath requirements/run.txt)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$pins"
venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-index "$wheel"
venv/bin/python -m pip check --disable-pip-version-check
version=$(basename "$wheel" | cut -d- -f2)
[ "$(venv/bin/vnicheck --version)" = "vnicheck $version" ]
venv/bin/vnicheck demo >demo.txt
grep -q '6 of 6 observations are as predicted' demo.txt
venv/bin/vnicheck demo -f html -o demo.html
venv/bin/vnicheck demo -f sarif -o demo.sarif
venv/bin/vnicheck rules | grep -q '^VNC101 '
venv/bin/vnicheck schema report >schema.json
venv/bin/vnicheck collect-script | sh -n
echo "$(basename "$wheel"): well"
