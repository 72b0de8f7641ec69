#!/bin/sh
# Measures what has a goal, beside references in the same run.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/bench.sh [--quick] [--json FILE] [LINE]

Measures what has a goal (see docs/performance.md) and prints for each: ours, the reference in the same run, both compared, the goal, and
whether it was met. Needs the .NET SDK and nothing else. Ends with 0 if all goals were met, 1 if not, 2 for wrong arguments.

  --quick      a short run: a minute or two, and more noise
  --json FILE  writes what was measured to FILE too
  LINE         one of these alone
                 handler    what our handler adds to a call: bytes and time
                 pick       what choosing an instance costs, for each policy
                 calls      unary gRPC calls over loopback: one instance beside a fixed address, three beside other balancers
                 rebuilds   what a rolling restart of a large service costs a client
USAGE
}

for argument in "$@"; do
    case $argument in -h | --help) usage; exit 0 ;; esac
done

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
dotnet build "$root/test/Discovery.Benchmarks" -c Release -v quiet -nologo >&2
exec dotnet "$root/test/Discovery.Benchmarks/bin/Release/net10.0/Discovery.Benchmarks.dll" bench "$@"
