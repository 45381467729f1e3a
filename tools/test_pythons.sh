#!/bin/sh
# The tests of `make test` on every Python of this machine that pyproject.toml allows, each in an
# environment of its own (build/pythons/3.x). Ends with a line for each; fails where one failed.
set -u
cd "$(dirname "$0")/.."

# The first Python of a version that can make environments: of the path, then of pyenv.
find_python() {
	for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
		if "$found" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
			echo "$found"
			return
		fi
	done
	return 1
}

status=0
told=
for version in 3.11 3.12 3.13 3.14; do
	if ! python=$(find_python $version); then
		result='not to be had'
	elif ${MAKE:-make} --no-print-directory VENV=build/pythons/$version PYTHON="$python" pytest; then
		result=passed
	else
		result=failed
		status=1
	fi
	told="${told}Python $version: $result
"
done
printf '%s' "$told"
exit $status
