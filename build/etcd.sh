#!/bin/sh
# Finds an etcd, or installs one, and prints its path.
set -eu

usage() {
    cat <<'USAGE'
Usage: build/etcd.sh [--no-install] [--help]

Prints the path of an etcd server binary. Looks at, in this order:
  1. ETCD_BIN, if it is set: it must name an executable file
  2. the PATH
  3. the package etcd-server (Debian, Ubuntu), which is installed when this runs as root
     (not with --no-install)
Anything else that is said goes to standard error. Fails with a hint when there is no etcd.
USAGE
}

install=true
case "${1:-}" in
    "") ;;
    --no-install) install=false ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

if [ -n "${ETCD_BIN:-}" ]; then
    if [ -x "$ETCD_BIN" ] && [ ! -d "$ETCD_BIN" ]; then
        echo "$ETCD_BIN"
        exit 0
    fi
    echo "ETCD_BIN is '$ETCD_BIN', which is no executable file; e.g. ETCD_BIN=/usr/bin/etcd" >&2
    exit 1
fi

if command -v etcd; then
    exit 0
fi

if [ $install = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "etcd is not on the PATH: installing the package etcd-server" >&2
    # The package would start a server of its own on the default ports; none is wanted here.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends etcd-server etcd-client >&2 ||
        { apt-get update >&2 && apt-get install -y --no-install-recommends etcd-server etcd-client >&2; }
    if command -v etcd; then
        exit 0
    fi
fi

echo "No etcd was found. Install it (Debian: apt-get install etcd-server) or set ETCD_BIN to the path of the binary." >&2
exit 1
