#!/bin/sh
# Builds, makes sure there is an etcd, and runs the tour.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/run.sh [--etcd] [ARGUMENT ...]

Builds examples/Quickstart, makes sure there is an etcd, and runs the tour: three greeter instances, a web API that calls
them by name, and a client. It says step by step what happens, and its exit code is 0 only if all of it held.

  --etcd            insists on a real etcd, and installs Debian's etcd-server when it must and runs as root
  ARGUMENT          is handed to the tour, e.g. --serve, or --Etcd:Registration:Layout=OpenIm; `build/run.sh -- --help`
                    lists what it understands

The etcd: the one named by Etcd__Endpoints (e.g. Etcd__Endpoints=http://10.0.0.1:2379), --Etcd:Endpoints=URL or ConnectionStrings__etcd;
else, where one is installed (ETCD_BIN or the PATH), it is started on free ports with an empty directory and ended afterwards;
else the tour runs the embedded etcd of Discovery.EmbeddedEtcd within its own process.
USAGE
}

real=false
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --etcd) real=true; shift ;;
        --) shift; break ;;
        *) break ;;
    esac
done

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }

echo "Building the tour ..."
dotnet build "$root/examples/Quickstart" -c Release -v quiet -nologo

endpoint_given() {
    # In any case, as text or as a list: all that .NET reads. A variable that is empty names none.
    env | grep -Eiq '^(Etcd__Endpoints(__[0-9]+)?|ConnectionStrings__etcd)=.' && return 0
    printf '%s\n' "$@" | grep -Eiq '^(--|/)?(Etcd:Endpoints|ConnectionStrings:etcd)'
}

etcd_pid=
etcd_dir=
tour_pid=
cleanup() {
    trap '' INT TERM HUP
    # The tour first: it leaves etcd in good order while there is one.
    [ -z "$tour_pid" ] || kill "$tour_pid" 2>/dev/null || true
    [ -z "$tour_pid" ] || wait "$tour_pid" 2>/dev/null || true
    [ -z "$etcd_pid" ] || kill "$etcd_pid" 2>/dev/null || true
    [ -z "$etcd_pid" ] || wait "$etcd_pid" 2>/dev/null || true
    [ -z "$etcd_dir" ] || rm -rf "$etcd_dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
# Ctrl+C reaches all processes of the terminal; etcd must outlive the tour.
setsid=$(command -v setsid || true)

if endpoint_given "$@"; then
    etcd=
elif [ $real = true ]; then
    etcd=$("$root/build/etcd.sh")
elif ! etcd=$("$root/build/etcd.sh" --no-install 2>/dev/null); then
    [ -z "${ETCD_BIN:-}" ] || "$root/build/etcd.sh" --no-install
    echo "No etcd is installed: the tour runs the embedded one (--etcd insists on a real one)."
    etcd=
    set -- --embedded "$@"
fi

if [ -n "$etcd" ]; then
    etcd_dir=$(mktemp -d)
    # Two ports that were free a moment ago; should another process be quicker, the next two are tried.
    for attempt in 1 2 3 4 5; do
        client=$(($(od -An -N2 -tu2 /dev/urandom) % 20000 + 20000))
        peer=$((client + 1))
        $setsid "$etcd" --name tour --data-dir "$etcd_dir/$attempt" --log-level info --logger zap \
            --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
            --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
            --initial-cluster "tour=http://127.0.0.1:$peer" >"$etcd_dir/log" 2>&1 &
        etcd_pid=$!
        for _ in $(seq 100); do
            kill -0 "$etcd_pid" 2>/dev/null || break
            grep -qs "serving client traffic" "$etcd_dir/log" && break 2
            sleep 0.1
        done
        kill "$etcd_pid" 2>/dev/null || true
        etcd_pid=
    done
    [ -n "$etcd_pid" ] || { echo "etcd did not start:" >&2; cat "$etcd_dir/log" >&2; exit 1; }
    export Etcd__Endpoints__0="http://127.0.0.1:$client"
    echo "Started $etcd at $Etcd__Endpoints__0 (it ends with the tour)."
fi

cd "$root/examples/Quickstart"
code=0
# In the background, so that a signal to this script is heard at once; cleanup hands it on.
dotnet bin/Release/net10.0/Quickstart.dll "$@" &
tour_pid=$!
wait "$tour_pid" || code=$?
tour_pid=
exit "$code"
