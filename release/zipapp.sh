#!/bin/sh
# zipapp.sh PYTHON SHIV WHEEL FILE: one file of the wheel and of what it needs, by the hashes of requirements/run.txt.
set -eu
python=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv --without-pip "$folder"
pip() { "$python" -m pip --python "$folder/bin/python" install -q --disable-pip-version-check --no-compile "$@"; }
pip --require-hashes -r requirements/run.txt
pip --no-deps --no-index "$3"
mkdir -p "$(dirname "$4")"
"$2" --site-packages "$folder"/lib/python3*/site-packages --console-script vnicheck --output-file "$4" --compressed \
	--reproducible --python '/usr/bin/env python3' --preamble release/preamble.py
ls "$4"
