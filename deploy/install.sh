#!/bin/sh
# Installs the site for deployment, here or in an image: packages by their hashes, static files. Starts nothing.
#
#   deploy/install.sh             into .venv and static/ beside the code
#   VENV=... STATIC_ROOT=... deploy/install.sh
#
# The Dockerfile runs this and nothing else, so what is tested is what an image holds.
set -eu
cd "$(dirname "$0")/.."
export VENV="${VENV:-.venv}" STATIC_ROOT="${STATIC_ROOT:-$PWD/staticfiles}"
scripts/venv.sh scale
# No database and no secret is needed for this; the settings only want a folder that can be written to.
DATA_DIR=$(mktemp -d)
trap 'rm -rf "$DATA_DIR"' EXIT
DATA_DIR=$DATA_DIR PYTHON_DOTENV_DISABLED=1 DEBUG=false "$VENV/bin/python" manage.py collectstatic --no-input --verbosity 0
"$VENV/bin/python" -m compileall -q conversations realtime voiceproject
echo "Installed: packages in $VENV, static files in $STATIC_ROOT."
