#!/bin/sh
# Writes what is made of the options: the schema of appsettings.json, and the tables of docs/settings.md.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
WRITE_SETTINGS=1 exec dotnet test "$root/test/Docs.Tests" --filter FullyQualifiedName~SchemaTests "$@"
