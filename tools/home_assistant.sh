#!/bin/sh
# A real Home Assistant Core in an environment of its own: home_assistant.sh FOLDER PYTHON UV.
# PYTHON is a path, or a version (3.13) that is looked for in the path and in pyenv.
set -eu
folder=$1
python=$2
uv=$3
release=2026.2.3

if [ ! -x "$python" ]; then
	for found in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$python".*/bin/python; do
		[ -x "$found" ] && python=$found
	done
fi
[ -x "$folder/bin/python" ] || "$uv" venv --quiet --no-python-downloads --python "$python" "$folder"
# It asks for a later patch release than some systems have; tests/home_assistant/hass.py says more.
set -- --quiet --python "$folder/bin/python" --python-version 3.13.2
"$uv" pip install "$@" "homeassistant==$release"
"$folder/bin/python" tests/home_assistant/requirements.py >"$folder/requirements.txt"
"$uv" pip install "$@" --requirement "$folder/requirements.txt" \
	--constraint "$folder"/lib/python3.13/site-packages/homeassistant/package_constraints.txt
