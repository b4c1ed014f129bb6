#!/bin/sh
# Makes the virtual environment and installs one lock file into it. Starts nothing.
#
#   scripts/venv.sh run     what the site needs        (requirements/run.lock)
#   scripts/venv.sh scale   that, PostgreSQL and Redis (requirements/scale.lock)
#   scripts/venv.sh dev     that and the test tools    (requirements/dev.lock)
#
# PYTHON names the interpreter to use, VENV the folder (.venv). The lock file that was installed is kept in the
# environment, so a second call compares two files and is done. Every failure ends in one sentence and exit code 1.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-run}
venv=${VENV:-.venv}
lock=requirements/$kind.lock
installed=$venv/installed-$kind.lock

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Succeeds when "$1" is a Python that this project runs on.
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; }
version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null 2>&1 || fail "PYTHON names $PYTHON, which was not found. Check the path."
        suits "$PYTHON" && { echo "$PYTHON"; return; }
        old=$(version_of "$PYTHON" || true)
    else
        old=
        for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
            command -v "$candidate" >/dev/null 2>&1 || continue
            suits "$candidate" && { echo "$candidate"; return; }
            [ -n "$old" ] || old=$(version_of "$candidate" || true)
        done
    fi
    [ -n "$old" ] || fail "No Python was found. Install Python 3.11 or newer (Debian: apt-get install python3 python3-venv) and try again."
    fail "Python $old does not suit: this project needs 3.11 to 3.14. Install one of those, or name it: make run PYTHON=/path/to/python3.11"
}

[ -f "$lock" ] || fail "There is no $lock. Use: scripts/venv.sh run or scripts/venv.sh dev"

# A copied or half-made environment, or one whose Python was removed, is made anew.
if [ -e "$venv" ] && ! { [ -x "$venv/bin/python" ] && suits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    [ -f "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] ||
        fail "$venv is not a virtual environment. Move it away, or name another folder: VENV=/path/to/folder"
    rm -rf "$venv"
fi
if [ -f "$installed" ] && cmp -s "$lock" "$installed"; then
    exit 0
fi

if [ ! -e "$venv" ]; then
    python=$(choose_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv module is missing. Install it (Debian: apt-get install python3-venv) and try again."
    echo "Making a virtual environment with Python $(version_of "$python") in $venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || {
        rm -rf "$venv"
        fail "The virtual environment could not be made in $venv. Check that the folder can be written to and the disk is not full."
    }
fi

echo "Installing the packages of $lock (a few minutes the first time)"
log=$venv/pip.log
status=$venv/pip.status
# The pipe shows what is being fetched; pip's own exit code travels in a file, for POSIX sh has no pipefail.
{
    PYTHONUNBUFFERED=1 "$venv/bin/python" -m pip install --no-input --disable-pip-version-check --no-color \
        --progress-bar off --require-hashes --only-binary :all: -r "$lock" 2>&1 && echo 0 >"$status" || echo $? >"$status"
} | tee "$log" | while IFS= read -r line; do
    case $line in
    *Downloading\ *.whl*" ("*")")
        file=${line#*Downloading }
        file=${file%% *}
        file=${file##*/}
        printf '  %s, %s\n' "${file%%-*}" "$(printf '%s' "${line##*(}" | tr -d ')')"
        ;;
    esac
done
if [ "$(cat "$status")" != 0 ]; then
    if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        fail "A downloaded package is not the one that was pinned, so nothing was installed. Try again; if it stays so, see $log."
    elif grep -q 'No space left' "$log"; then
        fail "The disk is full: about 1 GB is needed. Make room and try again."
    elif grep -qiE 'Retrying|connection|timed out|Name or service|resolution|SSLError|HTTP error|ProxyError' "$log"; then
        fail "The packages could not be downloaded. Check the network connection and try again (details: $log)."
    elif grep -q 'No matching distribution' "$log"; then
        fail "One of the packages has no build for this system: $(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' "$log" | head -n 1). See docs/troubleshooting.md (details: $log)."
    fi
    fail "The packages could not be installed. The reason is at the end of $log."
fi
cp "$lock" "$installed"
# The development lock holds every pin of the other one, so it stands for both.
if [ "$kind" = dev ]; then cp requirements/run.lock "$venv/installed-run.lock"; fi
