#!/bin/sh
# Finds an etcd, or gets one, and prints its path.
set -eu

usage() {
    cat <<'USAGE'
Usage: build/etcd.sh [--version 3.4|3.5] [--tool etcd|etcdctl] [--no-install] [--help]

Prints the path of an etcd server binary. Without --version it looks at, in this order:
  1. ETCD_BIN, if it is set: it must name an executable file
  2. the PATH
  3. the package etcd-server (Debian, Ubuntu), which is installed when this runs as root

With --version the etcd is of that minor version, and etcdctl lies beside it:
  1. ETCD_BIN and the PATH, where they lead to this version
  2. ${XDG_CACHE_HOME:-~/.cache}/discovery-aspnetcore/etcd/VERSION, from an earlier call
  3. the packages etcd-server and etcd-client of a release of Debian or Ubuntu that has this version. They come from the
     mirror that this machine's apt uses, and are unpacked into that directory: nothing is installed, and root is not needed.

  --tool etcdctl    prints the path of etcdctl instead: the one beside etcd (ETCDCTL_BIN goes first)
  --no-install      looks only, and gets nothing

Anything else that is said goes to standard error. Fails with a hint when there is no etcd.
USAGE
}

version=
tool=etcd
install=true
while [ $# -gt 0 ]; do
    case $1 in
        --version | --tool)
            [ $# -gt 1 ] || { usage >&2; exit 2; }
            [ "$1" = --tool ] && tool=$2 || version=$2
            shift 2
            ;;
        --no-install) install=false; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
case $tool in
    etcd | etcdctl) ;;
    *) echo "--tool is '$tool'; it can be etcd or etcdctl" >&2; exit 2 ;;
esac
case $version in
    "" | 3.4 | 3.5) ;;
    *) echo "--version is '$version'; it can be 3.4 or 3.5" >&2; exit 2 ;;
esac

fail() {
    echo "$1" >&2
    exit 1
}

# Prints what was asked for, given the path of etcd, and ends.
answer() {
    if [ "$tool" = etcd ]; then
        echo "$1"
    elif [ -n "${ETCDCTL_BIN:-}" ] && [ -z "$version" ]; then
        echo "$ETCDCTL_BIN"
    elif [ -x "$(dirname -- "$1")/etcdctl" ]; then
        echo "$(dirname -- "$1")/etcdctl"
    else
        command -v etcdctl || fail "No etcdctl lies beside $1. Install it (Debian: apt-get install etcd-client) or set ETCDCTL_BIN."
    fi
    exit 0
}

# Whether a binary is of the version that was asked for.
has_version() {
    timeout 10 "$1" --version 2>/dev/null | grep -q "^etcd Version: $(echo "$version" | sed 's/\./\\./')\."
}

if [ -n "${ETCD_BIN:-}" ]; then
    [ -x "$ETCD_BIN" ] && [ ! -d "$ETCD_BIN" ] ||
        fail "ETCD_BIN is '$ETCD_BIN', which is no executable file; e.g. ETCD_BIN=/usr/bin/etcd"
    [ -n "$version" ] || answer "$ETCD_BIN"
fi

if [ -z "$version" ]; then
    found=$(command -v etcd) && answer "$found"
    if [ $install = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "etcd is not on the PATH: installing the package etcd-server" >&2
        # The package would start a server of its own on the default ports; none is wanted here.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
            trap 'rm -f "$policy"' EXIT
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt="apt-get -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120"
        $apt install -y --no-install-recommends etcd-server etcd-client >&2 ||
            { $apt update >&2 && $apt install -y --no-install-recommends etcd-server etcd-client >&2; } || true
        found=$(command -v etcd) && answer "$found"
    fi
    fail "No etcd was found. Install it (Debian: apt-get install etcd-server) or set ETCD_BIN to the path of the binary."
fi

# From here on: a version was asked for.
for found in "${ETCD_BIN:-}" "$(command -v etcd || true)"; do
    if [ -n "$found" ] && [ -x "$(dirname -- "$found")/etcdctl" ] && has_version "$found"; then
        answer "$found"
    fi
done

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME/discovery-aspnetcore
elif [ -n "${HOME:-}" ]; then
    cache=$HOME/.cache/discovery-aspnetcore
else
    cache=$root/artifacts
fi
home=$cache/etcd/$version
if [ -x "$home/etcd" ] && [ -x "$home/etcdctl" ] && has_version "$home/etcd"; then
    answer "$home/etcd"
fi

hint="Put etcd and etcdctl $version into $home, or set ETCD_BIN to an etcd $version that has etcdctl beside it."
[ $install = true ] || fail "There is no etcd $version on this machine. $hint"
command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "etcd $version is fetched with apt, which this machine does not have. $hint"

# Which releases have it, the newest first: the first that the mirror serves in the right version is taken.
os=$(. /etc/os-release && echo "${ID:-}")
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $os-$version in
    debian-3.4) releases="bookworm"; components="main" ;;
    debian-3.5) releases="sid forky trixie"; components="main" ;;
    ubuntu-3.4) releases="noble"; components="main universe" ;;
    ubuntu-3.5) releases="resolute questing plucky"; components="main universe" ;;
    *) fail "It is not known which packages of '$os' have etcd $version. $hint" ;;
esac
keyring=/usr/share/keyrings/$os-archive-keyring.gpg
[ -r "$keyring" ] || fail "The keys that packages are checked with, $keyring, are missing. Install the package $os-archive-keyring (Ubuntu: ubuntu-keyring), or else: $hint"

# The addresses from which this machine has its own release: of one-line and of deb822 sources, where a suite bears its name.
mirrors() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^ *deb *\(\[[^]]*\]\)\{0,1\} *//p' |
        awk -v suite="$codename" '$2 == suite { print $1 }'
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null /dev/null |
        awk -v suite="$codename" 'BEGIN { RS = ""; FS = "\n" } {
            uris = ""; fits = 0
            for (i = 1; i <= NF; i++) {
                count = split($i, word, /[ \t]+/)
                if (word[1] == "URIs:") for (j = 2; j <= count; j++) uris = uris word[j] "\n"
                if (word[1] == "Suites:") for (j = 2; j <= count; j++) fits = fits || word[j] == suite
            }
            if (fits) printf "%s", uris
        }'
}
mirrors=$(mirrors | awk '!seen[$0]++')
[ -n "$mirrors" ] || fail "The sources of this machine's apt name no mirror of '$codename', from which etcd $version could be fetched. $hint"

mkdir -p "$cache/etcd"
work=$(mktemp -d "$cache/etcd/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# An apt that has sources, lists and archives of its own, and knows nothing of what is installed.
apt() {
    timeout -k 10 300 "$@" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State="$work/state" -o Dir::State::Status="$work/state/status" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=1 >&2
}

# Gets the packages of one release and unpacks them; fails where the mirror, or this version there, is missing.
get() {
    rm -rf "$work/state" "$work/cache" "$work/unpacked" "$work"/*.deb
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/bin"
    : >"$work/state/status"
    echo "deb [signed-by=$keyring] $1 $2 $components" >"$work/sources.list"
    apt apt-get update -q || return 1
    (cd "$work" && apt apt-get download -q etcd-server etcd-client) || return 1
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/unpacked" || return 1
    done
    cp "$work/unpacked/usr/bin/etcd" "$work/unpacked/usr/bin/etcdctl" "$work/bin/" || return 1
    has_version "$work/bin/etcd" || { echo "The etcd of $2 is not $version, or does not run here." >&2; return 1; }
}

for release in $releases; do
    for mirror in $mirrors; do
        echo "Fetching etcd $version from the packages of $release ..." >&2
        if get "$mirror" "$release"; then
            # Another call may have been quicker; its binaries are as good.
            { [ -x "$home/etcd" ] && [ -x "$home/etcdctl" ]; } || rm -rf "$home"
            mv -T "$work/bin" "$home" 2>/dev/null || [ -x "$home/etcd" ] || fail "$home could not be written. $hint"
            answer "$home/etcd"
        fi
    done
done
fail "etcd $version could not be fetched from any of: $(echo $mirrors) (releases: $releases). $hint"
