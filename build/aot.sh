#!/bin/sh
# Publishes an application as a native one, and proves that it works.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/aot.sh [--help]

Publishes examples/NativeAot as a native application (native AOT), starts an etcd and the application on free ports, lets it
call itself by name over gRPC and over HTTP, and prints the answer, the size of the binary and the memory it takes. Fails when
the publish warns of our code (IL2xxx, IL3xxx), or when the application does not answer.

It needs a linker and zlib (Debian: gcc or clang, zlib1g-dev), curl and an etcd; what is missing is installed where this runs
as root on Debian or Ubuntu. The compiler comes as a NuGet package.
USAGE
}

[ $# -eq 0 ] || case $1 in
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
command -v clang >/dev/null || "$root/build/need.sh" gcc gcc
"$root/build/need.sh" curl curl
if command -v dpkg >/dev/null && ! dpkg -s zlib1g-dev >/dev/null 2>&1; then
    echo "The package zlib1g-dev is missing: install it if the linker does not find zlib." >&2
    [ "$(id -u)" != 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends zlib1g-dev >&2 || true
fi
etcd=$("$root/build/etcd.sh")

work=$(mktemp -d)
etcd_pid=
app_pid=
cleanup() {
    trap '' INT TERM HUP
    for pid in $app_pid $etcd_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

echo "Publishing examples/NativeAot ..."
# Warnings are told apart below: those of other packages are not ours to mend.
dotnet publish "$root/examples/NativeAot" -c Release -o "$work/app" -nologo -v quiet -p:TreatWarningsAsErrors=false >"$work/publish" 2>&1 ||
    { cat "$work/publish" >&2; exit 1; }
warnings=$(grep -E 'warning IL[23][0-9]{3}' "$work/publish" | sed "s| \[[^]]*\]\$||; s|$root/||g" | sort -u || true)
[ -z "$warnings" ] || echo "$warnings"
ours=$(echo "$warnings" | grep -cE 'Discovery\.|examples/NativeAot' || true)
[ "$ours" -eq 0 ] || { echo "The publish warns of $ours places of ours." >&2; exit 1; }

# wait_for TEXT LOG PID: until the process has said so; fails when it ends before, or says nothing for 10 s.
wait_for() {
    for _ in $(seq 100); do
        ! grep -qs "$1" "$2" || return 0
        kill -0 "$3" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# Two ports that were free a moment ago; should another process be quicker, the next two are tried.
for attempt in 1 2 3 4 5; do
    client=$(($(od -An -N2 -tu2 /dev/urandom) % 20000 + 20000))
    peer=$((client + 1))
    "$etcd" --name aot --data-dir "$work/etcd-$attempt" --log-level info --logger zap \
        --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "aot=http://127.0.0.1:$peer" >"$work/etcd.log" 2>&1 &
    etcd_pid=$!
    ! wait_for "serving client traffic" "$work/etcd.log" "$etcd_pid" || break
    kill "$etcd_pid" 2>/dev/null || true
    etcd_pid=
done
[ -n "$etcd_pid" ] || { echo "etcd did not start:" >&2; cat "$work/etcd.log" >&2; exit 1; }

fail() {
    echo "$1" >&2
    cat "$work/app.log" >&2
    exit 1
}
(
    cd "$work/app"
    exec env Etcd__Endpoints__0="http://127.0.0.1:$client" \
        Kestrel__Endpoints__Grpc__Url=http://127.0.0.1:0 Kestrel__Endpoints__Web__Url=http://127.0.0.1:0 ./NativeAot
) >"$work/app.log" 2>&1 &
app_pid=$!
wait_for "Application started" "$work/app.log" "$app_pid" || fail "The application did not start:"
# Kestrel tells its endpoints in the order of their names: Grpc, Web.
web=$(sed -n 's/.*Now listening on: //p' "$work/app.log" | tail -n 1)
answer=$(curl -sS --fail --max-time 20 "$web/call/traveller") || fail "The application did not answer:"
memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$app_pid/status" 2>/dev/null || true)
echo "$answer"
[ "$answer" = "Hello traveller over gRPC, Hello traveller over HTTP" ] || fail "The answer is not the right one:"

kill "$app_pid"
code=0
wait "$app_pid" || code=$?
app_pid=
[ "$code" -eq 0 ] || fail "The application ended with $code:"
echo "The binary has $(($(wc -c <"$work/app/NativeAot") / 1024)) KiB${memory:+; it took $memory KiB of memory}. No warnings of ours."
