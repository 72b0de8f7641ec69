#!/bin/sh
# Makes the packages, and proves that an application can use them.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

usage() {
    cat <<'USAGE'
Usage: build/pack.sh [--version VERSION]

Packs the projects under src into artifacts/packages. Then copies build/consumer, a web application that knows nothing but
these packages, into a temporary folder, restores it from artifacts/packages and this machine's feeds, builds it with
warnings as errors, looks for the schema of appsettings.json, and runs it: it registers itself in an embedded etcd, and calls
itself by name with a typed gRPC client, with an HttpClient, with one that resolves names by Microsoft.Extensions.ServiceDiscovery,
and through YARP; and it has configuration from etcd.

  --version VERSION packs this version instead of the one in src/Directory.Build.props, e.g. 0.2.0-preview.1
USAGE
}

version=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --version)
            [ $# -gt 1 ] || { usage >&2; exit 2; }
            version=$2
            shift 2
            ;;
        *) usage >&2; exit 2 ;;
    esac
done

command -v dotnet >/dev/null || { echo "dotnet is not on the PATH: install the .NET SDK that global.json names." >&2; exit 1; }
property() {
    dotnet msbuild "$root/src/Discovery.AspNetCore.Grpc" -getProperty:"$1"
}
[ -n "$version" ] || version=$(property Version)
grpc=$(property GrpcVersion)

packages=$root/artifacts/packages
rm -rf "$packages"
mkdir -p "$packages"
for project in "$root"/src/*/*.csproj; do
    echo "Packing $(basename "$project" .csproj) ..."
    dotnet pack "$project" -c Release -o "$packages" -p:Version="$version" -nologo -v quiet
done
ls "$packages"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp "$root"/build/consumer/*.cs* "$root/examples/protos/greet.proto" "$root/global.json" "$work/"
# Added to the sources that this machine is configured for.
cat >"$work/nuget.config" <<CONFIG
<configuration>
  <packageSources>
    <add key="packed" value="$packages" />
  </packageSources>
</configuration>
CONFIG

# The packages just made have the version of those made before, so they must not be kept beside others of that version; what
# else is needed may come from there.
cache=${NUGET_PACKAGES:-${HOME:-}/.nuget/packages}
set -- -p:DiscoveryVersion="$version" -p:GrpcVersion="$grpc" -p:RestorePackagesPath="$work/packages"
[ ! -d "$cache" ] || set -- "$@" -p:RestoreFallbackFolders="$cache"
cd "$work"
echo "Building an application from the packages ..."
dotnet build Consumer.csproj -c Release -o "$work/out" -nologo -v quiet "$@"
# What editors look for: the schema of appsettings.json, as an item of the project, and the file where it says.
schema=$(dotnet msbuild Consumer.csproj -p:Configuration=Release -getItem:JsonSchemaSegment "$@" \
    | sed -n 's|.*"FullPath": "\(.*/discovery[.]aspnetcore/.*\)".*|\1|p')
[ -f "$schema" ] || { echo "The schema of appsettings.json is not in the package, or its item is not: '$schema'." >&2; exit 1; }
echo "Running it ..."
answer=$(timeout 120 dotnet out/Consumer.dll)
echo "$answer"
[ "$answer" = "Hello gRPC, Hello HTTP, Hello ServiceDiscovery, Hello YARP, Hello configuration" ] || { echo "The application built from the packages does not work." >&2; exit 1; }

# A project of its own: Aspire's dependencies are newer than those of the other packages. Beside the first one, not below it, for that would compile its sources too.
host=$(mktemp -d)
trap 'rm -rf "$work" "$host"' EXIT
cp "$root"/build/consumer/AppHost/* "$work/nuget.config" "$root/global.json" "$host/"
cd "$host"
echo "Building an AppHost from the packages ..."
dotnet build AppHost.csproj -c Release -o "$host/out" -nologo -v quiet "$@"
answer=$(timeout 120 dotnet out/AppHost.dll)
echo "$answer"
[ "$answer" = "Hello Aspire: etcd at {etcd.bindings.http.url}" ] || { echo "The AppHost built from the packages does not work." >&2; exit 1; }
