#!/bin/sh
# Creates the virtual environment at $1 with the first Python >= 3.11 it finds; $PYTHON names one to use instead.
set -eu
venv=$1

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if suits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "Watercooler needs Python 3.11 or newer; ${PYTHON:-what the PATH has as python3} is missing or older." >&2
    echo "Debian 12, Ubuntu 24.04 or newer: sudo apt install python3 python3-venv" >&2
    echo "macOS: brew install python" >&2
    echo "Elsewhere: install one and name it: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$python lacks the module that makes virtual environments." >&2
    echo "Debian and Ubuntu: sudo apt install python3-venv    (or python$version-venv, where $python is not the system's own)" >&2
    exit 1
fi
echo "Creating $venv with $("$python" --version)"
"$python" -m venv "$venv"
