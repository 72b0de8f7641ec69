#!/bin/sh
# Builds everything and runs all tests.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/test.sh [ARGUMENT ...]

Makes sure of what the tests need (etcd and etcdctl; Node.js, Go and grpc-go for the peers in other languages), builds the solution, runs
all tests, and ends with the line "N passed, N failed, N skipped". What is missing is installed from Debian's packages when
this runs as root; else it says what to install.

  ARGUMENT          is handed to dotnet test, e.g. --filter FullyQualifiedName~Layouts
USAGE
}

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --) shift; break ;;
        *) break ;;
    esac
done

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
ETCD_BIN=$("$root/build/etcd.sh")
export ETCD_BIN
"$root/build/need.sh" etcdctl etcd-client
"$root/build/need.sh" node nodejs
"$root/build/need.sh" npm npm
"$root/build/need.sh" go golang-go
"$root/build/need.sh" /usr/share/gocode/src/google.golang.org/grpc golang-google-grpc-dev

cd "$root"
results=artifacts/test-results
rm -rf "$results"
dotnet build Discovery.AspNetCore.sln -v quiet -nologo

# One project after another: the tests measure times, and start clusters of their own.
code=0
dotnet test Discovery.AspNetCore.sln --no-build -m:1 -nologo --logger trx --results-directory "$results" "$@" || code=$?

sum() {
    cat "$results"/*.trx 2>/dev/null | grep -o "<Counters [^>]*" | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' |
        awk '{ n += $1 } END { print n + 0 }'
}

# What tests measured stands in their results; the console shows only those that failed.
echo "Measured:"
for trx in "$results"/*.trx; do
    [ -e "$trx" ] || continue
    awk '/<ResultSummary/ { exit } /<StdOut>/ { on = 1 } { end = /<\/StdOut>/ }
        on { gsub(/<[^>]*>/, ""); sub(/^ +/, ""); print "  " $0 } end { on = 0 }' "$trx" |
        grep -E "[0-9] m?s\b|[0-9] calls|[0-9] operations|[0-9] event streams" | grep -v "is not available" || true
done

total=$(sum total)
passed=$(sum passed)
skipped=$(($(sum total) - $(sum executed)))
failed=$((total - passed - skipped))
[ "$failed" -eq 0 ] || code=1
[ "$total" -gt 0 ] || { echo "No test ran." >&2; code=1; }
# A test host that crashes takes its results with it: that is a failure too.
[ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $skipped skipped"
exit "$code"
