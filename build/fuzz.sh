#!/bin/sh
# Feeds what reads other people's bytes with inputs that afl-fuzz makes, led by what they reach in our code.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/fuzz.sh TARGET [SECONDS]

Builds test/Discovery.Fuzz, instruments our assembly in a copy of it by SharpFuzz, and runs afl-fuzz for some time (60 s). Needs the .NET
SDK and AFL++ (Debian: apt-get install afl++). Ends with 0 if nothing crashed, 1 if something did, 2 for wrong arguments; inputs that
crashed stand in artifacts/fuzz/TARGET.

  TARGET   layouts: records in etcd; snapshot: the file of last known instances; settings: appsettings.json
USAGE
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    layouts | snapshot | settings) target=$1 ;;
    *) usage >&2; exit 2 ;;
esac
seconds=${2:-60}
case $seconds in
    '' | *[!0-9]*) usage >&2; exit 2 ;;
esac

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
"$root/build/need.sh" afl-fuzz afl++
work=$root/artifacts/fuzz/$target
rm -rf "$work"
mkdir -p "$work/in"
dotnet build "$root/test/Discovery.Fuzz" -c Release -v quiet -nologo -o "$work/bin"
[ -x "$root/artifacts/fuzz/tools/sharpfuzz" ] ||
    dotnet tool install SharpFuzz.CommandLine --version 2.3.0 --tool-path "$root/artifacts/fuzz/tools" >/dev/null
"$root/artifacts/fuzz/tools/sharpfuzz" "$work/bin/Discovery.AspNetCore.dll"

case $target in
    layouts)
        printf '10.0.0.1:5000' >"$work/in/address"
        printf '{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{"weight":5,"tags":["a"]}}' >"$work/in/naming"
        printf '{"name":"svc","metadata":{},"endpoints":["grpc://10.0.0.1:9000?isSecure=false"]}' >"$work/in/kratos"
        printf '{"network":"tcp","address":"[fd00::1]:8888","weight":10,"tags":null}' >"$work/in/kitex"
        ;;
    snapshot)
        printf '{"version":1,"prefix":"services/svc/","cluster":"1","revision":7,"sha256":"","records":[{"key":"","value":"","revision":1}]}' >"$work/in/file"
        ;;
    settings)
        printf '{"Etcd":{"Endpoints":["http://a:1"],"Registration":{"ServiceName":"svc","Weight":5},"Discovery":{"Policy":"Random"}}}' >"$work/in/file"
        ;;
esac

# A machine's settings for crash dumps and clock rates are none of this script's business.
export AFL_SKIP_BIN_CHECK=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1
afl-fuzz -V "$seconds" -t 20000 -m none -i "$work/in" -o "$work/out" dotnet "$work/bin/Discovery.Fuzz.dll" "$target" >"$work/log" 2>&1 </dev/null ||
    { tail -n 30 "$work/log" >&2; exit 1; }

grep -E '^(execs_done|edges_found|corpus_count|saved_crashes|saved_hangs)' "$work/out/default/fuzzer_stats"
crashes=$(find "$work/out/default/crashes" -name 'id:*' | wc -l)
[ "$crashes" -eq 0 ] || { echo "$crashes inputs crash: dotnet $work/bin/Discovery.Fuzz.dll $target <$work/out/default/crashes/id:…" >&2; exit 1; }
