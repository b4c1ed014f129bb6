#!/bin/sh
# manage.py as the workers of systemd/ run it: with their settings, as their user. For root.
#
#   deploy/manage.sh migrate
#   deploy/manage.sh createsuperuser
#   SETTINGS=... SITE_USER=... VENV=... deploy/manage.sh check
#
# The file of settings is read as systemd reads it: NAME=value to the end of the line, quotes around a value go.
set -eu
cd "$(dirname "$0")/.."
settings=${SETTINGS:-/etc/voice/voice.env} user=${SITE_USER:-voice}
if [ ! -r "$settings" ]; then
    echo "The settings in $settings cannot be read. Run this as root, or name another file: SETTINGS=/path" >&2
    exit 1
fi

set -- "${VENV:-$PWD/.venv}/bin/python" manage.py "$@"
words=$#
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    [A-Z]*=\"*\" | [A-Z]*=\'*\')
        value=${line#*=?}
        set -- "$@" "${line%%=*}=${value%?}"
        ;;
    [A-Z]*=*) set -- "$@" "$line" ;;
    esac
done <"$settings"
# The settings stand behind the command now, and belong before it.
while [ "$words" -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    words=$((words - 1))
done
set -- env -i PATH="$PATH" LANG=C.UTF-8 TERM="${TERM:-dumb}" DATA_DIR=/var/lib/voice STATIC_ROOT="$PWD/staticfiles" "$@"
umask 077
[ "$(id -un)" != "$user" ] || exec "$@"
exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"
