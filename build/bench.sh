#!/bin/sh
# Measures what has a goal, beside references in the same run.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/bench.sh [--quick] [--json FILE] [LINE]
       build/bench.sh --charts DIRECTORY

Measures what has a goal (see docs/performance.md) and prints for each: ours, the reference in the same run, both compared, the goal, and
whether it was met. Needs the .NET SDK, and an etcd, which build/etcd.sh finds. Ends with 0 if all goals were met, 1 if not, 2 for wrong
arguments.

  --quick             a short run: under ten minutes, and more noise
  --json FILE         writes what was measured to FILE too
  --charts DIRECTORY  draws how costs grow with the size of a service, instead, as SVG files in DIRECTORY
  LINE                one of these alone
                        handler         what our handler adds to a call: bytes and time
                        pick            what choosing an instance costs, for each policy
                        calls           gRPC calls over loopback: one instance beside a fixed address, three beside other balancers
                        rebuilds        what a rolling restart of a large service costs a client
                        client          our client of etcd beside dotnet-etcd and bare stubs
                        changes         how soon a change in etcd is known, beside a bare watch
                        coldstart       how soon 10,000 instances are known, beside one bare range
                        onechange       what a change in a large service costs, beside one in a small service
                        memory          what an instance takes
                        footprint       what an application costs etcd
                        crash           what a killed instance costs its callers
                        reregistration  how soon 1,000 registrations are back after etcd lost its data
USAGE
}

for argument in "$@"; do
    case $argument in -h | --help) usage; exit 0 ;; esac
done

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
ETCD_BIN=$("$root/build/etcd.sh")
export ETCD_BIN
dotnet build "$root/test/Discovery.Benchmarks" -c Release -v quiet -nologo >&2
program=$root/test/Discovery.Benchmarks/bin/Release/net10.0/Discovery.Benchmarks.dll
if [ "${1:-}" = --charts ]; then
    shift
    exec dotnet "$program" charts "$@"
fi

exec dotnet "$program" bench "$@"
