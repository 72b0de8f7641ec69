#!/bin/sh
# Builds everything and runs all tests.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

# The projects whose tests run against a real etcd; `project filter` where that is not so for all of its tests,
# or where a test takes long and no version of etcd answers it differently.
facing_etcd="Discovery.Aspire.Hosting.Tests FullyQualifiedName~RunningEtcd
Discovery.EmbeddedEtcd.Tests Needs=etcd|Needs=etcdctl
Discovery.Etcd.DotnetEtcd.Tests Needs=etcd
Discovery.IntegrationTests FullyQualifiedName!~.Interop.&FullyQualifiedName!~.Neighbours.&FullyQualifiedName!~RollingRestart&FullyQualifiedName!~.TestKit.&FullyQualifiedName!~LateNetwork&FullyQualifiedName!~KestrelMatrix&FullyQualifiedName!~EndpointChoice"

usage() {
    cat <<'USAGE'
Usage: build/test.sh [--etcd 3.4|3.5|both] [ARGUMENT ...]

Makes sure of what the tests need (etcd and etcdctl of both versions; Node.js, Go, grpc-go and etcd's Go client for the peers
in other languages; Chromium for the page), builds the solution, runs all tests, and ends with the line "N passed, N failed,
N skipped". What is missing is fetched or installed from Debian's packages; where that cannot be it says what to install.

  --etcd VERSION    which etcd: 3.4, 3.5, or both (the default). With both, all tests run on 3.5 and those that talk to a
                    real etcd once more on 3.4
  ARGUMENT          is handed to dotnet test, e.g. --filter FullyQualifiedName~Layouts

Some tests do little in every run, and more where the environment says so:
  DISCOVERY_LEADER_KILLS     leaders killed under a writer and a watch (5)
  DISCOVERY_RESTARTS         instances restarted under load (10)
  DISCOVERY_OUTAGE_SECONDS   how long etcd is away (6 to 12)
  DISCOVERY_RANDOM_RECORDS   random records read by each layout (20,000)
  DISCOVERY_RANDOM_SETTINGS  random settings files (300)
  DIFFERENTIAL_OPERATIONS    operations that etcd and the embedded etcd are compared by (5,000)
  NEIGHBOUR_SILENCE          seconds for which streams between ours and Go are silent (75)

Random input is the same in each run. Another comes from a seed, or from 'random', which draws one; a failure names it:
  DISCOVERY_RANDOM_SEED      of records, settings and the histories that the directory is tested with
  DIFFERENTIAL_SEED          of the operations on both etcds

ETCD_IMAGE=quay.io/coreos/etcd:v3.6.5 build/test.sh runs all tests once, and those that share one etcd run on containers of
that image. It needs a Docker engine. Tests that stop, pause or partition an etcd, or hand it files, and those that need
several members, run on processes of 3.5 all the same.
USAGE
}

etcd=both
[ -z "${ETCD_IMAGE:-}" ] || etcd=3.5
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --etcd)
            case ${2:-} in
                3.4 | 3.5 | both) etcd=$2 ;;
                *) echo "--etcd is '${2:-}'; it can be 3.4, 3.5 or both" >&2; exit 2 ;;
            esac
            shift 2
            ;;
        --) shift; break ;;
        *) break ;;
    esac
done

# The etcdctl beside each etcd is meant.
unset ETCDCTL_BIN
command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
# use VERSION: the tests that follow run on this etcd, and with the etcdctl beside it.
use() {
    ETCD_BIN=$("$root/build/etcd.sh" --version "$1")
    export ETCD_BIN
}
case $etcd in
    both) first=3.5; second=3.4; (use $second) ;;
    *) first=$etcd; second= ;;
esac
use $first
"$root/build/need.sh" node nodejs
"$root/build/need.sh" npm npm
"$root/build/need.sh" chromium chromium
"$root/build/need.sh" go golang-go
"$root/build/need.sh" /usr/share/gocode/src/google.golang.org/grpc golang-google-grpc-dev
"$root/build/need.sh" /usr/share/gocode/src/go.etcd.io/etcd/clientv3 golang-etcd-server-dev

cd "$root"
results=artifacts/test-results
rm -rf "$results"
# The compiler's server halves the time. It ends here, so that nothing is left running.
dotnet build Discovery.AspNetCore.sln -v quiet -nologo -p:UseSharedCompilation=true
dotnet build-server shutdown --vbcscompiler >/dev/null

code=0
# run TARGET DIRECTORY ARGUMENT ...: runs tests, whose results go into the directory.
run() {
    target=$1 directory=$2
    shift 2
    # One project after another: the tests measure times, and start clusters of their own.
    dotnet test "$target" --no-build -m:1 -nologo --logger trx --results-directory "$directory" "$@" </dev/null || code=$?
}

# has_filter ARGUMENT ...: whether the caller chose tests.
has_filter() {
    for argument in "$@"; do
        case $argument in --filter | --filter[=:]*) return 0 ;; esac
    done
    return 1
}

echo "All tests, on etcd $first${ETCD_IMAGE:+ and $ETCD_IMAGE}"
run Discovery.AspNetCore.sln "$results/$first" "$@"
if [ -n "$second" ]; then
    use $second
    echo "The tests that talk to a real etcd, on etcd $second"
    while read -r project filter; do
        if [ -z "$filter" ] || has_filter "$@"; then
            run "test/$project" "$results/$second" "$@"
        else
            run "test/$project" "$results/$second" --filter "$filter" "$@"
        fi
    done <<LIST
$facing_etcd
LIST
fi

# counters NAME: the sum of one of the counters of all results.
counters() {
    find "$results" -name '*.trx' -exec cat {} + 2>/dev/null | grep -o "<Counters [^>]*" | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' |
        awk '{ n += $1 } END { print n + 0 }'
}

# What tests measured stands in their results; the console shows only those that failed.
echo "Measured:"
find "$results" -name '*.trx' | sort | while read -r trx; do
    awk '/<ResultSummary/ { exit } /<StdOut>/ { on = 1 } { end = /<\/StdOut>/ }
        on { gsub(/<[^>]*>/, ""); sub(/^ +/, ""); print "  " $0 } end { on = 0 }' "$trx" |
        grep -E "[0-9] m?s\b|[0-9] (calls|operations|event streams|requests|takeovers)|streams of|log lines" | grep -v "is not available" || true
done

# Which tests failed, and how, once more: what the console said of them is far above.
find "$results" -name '*.trx' | sort | while read -r trx; do
    awk '/<UnitTestResult / { failed = /outcome="Failed"/; name = $0; sub(/.* testName="/, "", name); sub(/" .*/, "", name) }
        failed && /<ErrorInfo>/ { on = 1; lines = 0; print "Failed: " name }
        on && ++lines <= 20 { gsub(/<[^>]*>/, ""); sub(/^ */, "  "); if (/[^ ]/) print }
        /<\/ErrorInfo>/ { on = 0 }' "$trx" |
        sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&#x[DA];//g; s/&amp;/\&/g'
done

total=$(counters total)
passed=$(counters passed)
skipped=$((total - $(counters executed)))
failed=$((total - passed - skipped))
[ "$failed" -eq 0 ] || code=1
[ "$total" -gt 0 ] || { echo "No test ran." >&2; code=1; }
# A test host that crashes takes its results with it: that is a failure too.
[ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $skipped skipped"
exit "$code"
