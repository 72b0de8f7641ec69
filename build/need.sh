#!/bin/sh
# Makes sure that a command exists, by installing a Debian package where that is possible.
set -eu

usage() {
    echo "Usage: build/need.sh COMMAND PACKAGE"
    echo "Makes sure that COMMAND is on the PATH, or exists if it is a path; when it does not and this runs as root, installs Debian's PACKAGE."
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
esac
[ $# -eq 2 ] || { usage >&2; exit 2; }

is_there() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

if is_there "$1"; then
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "$1 is not there: installing the package $2" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$2" >&2 ||
        { apt-get update >&2 && apt-get install -y --no-install-recommends "$2" >&2; }
fi

is_there "$1" || { echo "$1 is needed and was not found. Install it (Debian: apt-get install $2)." >&2; exit 1; }
