#!/bin/sh
# Writes the public surface of the shipped projects into their .PublicAPI folders.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/public-api.sh [PROJECT ...]

Writes .PublicAPI/PublicAPI.Unshipped.txt of the projects under src (or of those named, e.g. Discovery.Etcd) anew from the
sources: every public member that PublicAPI.Shipped.txt does not list. Look at what `git diff` says of it, and commit it.
Each build checks it.
USAGE
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
esac
[ $# -gt 0 ] || set -- $(cd "$root/src" && ls -d Discovery.*)

for project in "$@"; do
    folder=$root/src/$project
    [ -f "$folder/$project.csproj" ] || { echo "There is no project src/$project; e.g. Discovery.Etcd" >&2; exit 2; }
    mkdir -p "$folder/.PublicAPI"
    [ -f "$folder/.PublicAPI/PublicAPI.Shipped.txt" ] || echo "#nullable enable" >"$folder/.PublicAPI/PublicAPI.Shipped.txt"
    echo "#nullable enable" >"$folder/.PublicAPI/PublicAPI.Unshipped.txt"
    echo "$project ..."
    dotnet format analyzers "$folder/$project.csproj" --diagnostics RS0016 --severity warn --verbosity minimal
    echo "  $(($(grep -c . "$folder/.PublicAPI/PublicAPI.Unshipped.txt") - 1)) members"
done
