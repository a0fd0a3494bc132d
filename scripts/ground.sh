# What every measuring script stands on: messages, tools, folders, the program, downloads. Sourced.
#
# | variable | is | default |
# |---|---|---|
# | LOCKSTEP_PROGRAM | the program | target/release/lockstep, built when it is not given |
# | LOCKSTEP_WORK | an empty or missing folder for everything that is made | a temporary one, removed at the end |
# | LOCKSTEP_CACHE | downloads and tools | ~/.cache/lockstep-real-input |

# shellcheck shell=bash

say() { printf '\n== %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Three tries, for what goes over a network.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        printf 'try %s of 3 did not work: %s\n' "$try" "$*" >&2
        sleep $((try * 5))
    done
    return 1
}

# The comment at the top of a script.
usage() { sed -n '2,/^set -euo/p' "$0" | sed -n 's/^# \{0,1\}//p'; }

# missing_packages "COMMAND PACKAGE"...: the Debian packages of the commands that are not there, each on a line.
missing_packages() {
    local row
    for row in "$@"; do
        command -v "${row%% *}" >/dev/null || echo "${row##* }"
    done | sort -u
}

check_tools() {
    local missing
    missing=$(missing_packages "$@" | xargs)
    [[ -z $missing ]] || die "these Debian packages are missing: $missing (apt-get install $missing)"
}

# install_packages PACKAGE...: as root, on Debian.
install_packages() {
    (($# > 0)) || return 0
    ((EUID == 0)) || die "these Debian packages are missing: $*; as root: apt-get install $*"
    export DEBIAN_FRONTEND=noninteractive
    retry apt-get update -q >&2
    retry apt-get install -qy --no-install-recommends "$@" >&2
}

# make_folders NAME: CACHE, WORK and LOGS.
make_folders() {
    CACHE=${LOCKSTEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep-real-input}
    mkdir -p "$CACHE"
    CACHE=$(realpath "$CACHE")
    if [[ -n ${LOCKSTEP_WORK:-} ]]; then
        mkdir -p "$LOCKSTEP_WORK"
        WORK=$(realpath "$LOCKSTEP_WORK")
        [[ -z $(ls -A "$WORK") ]] || die "$WORK is not empty; name another folder with LOCKSTEP_WORK"
    else
        WORK=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-$1.XXXXXX")
        trap 'rm -rf "$WORK"' EXIT
    fi
    LOGS=$WORK/logs
    mkdir "$LOGS"
    # What a person's desk and shell are set to is left alone.
    export XDG_CONFIG_HOME=$WORK/config XDG_STATE_HOME=$WORK/state XDG_CACHE_HOME=$WORK/cache
}

find_program() {
    if [[ -z ${LOCKSTEP_PROGRAM:-} ]]; then
        (cd "$REPOSITORY" && cargo build --release --locked)
        LOCKSTEP_PROGRAM=$REPOSITORY/target/release/lockstep
    fi
    LOCKSTEP_PROGRAM=$(realpath "$LOCKSTEP_PROGRAM")
    [[ -x $LOCKSTEP_PROGRAM ]] || die "$LOCKSTEP_PROGRAM is no program"
}

# b3sum is in few distributions; cargo builds it into the cache folder.
find_b3sum() {
    export PATH=$PATH:$CACHE/tools/bin
    command -v b3sum >/dev/null || retry cargo install --quiet --locked --root "$CACHE/tools" b3sum
}

# fetched FILE SHA256 COMMAND...: FILE of the cache, fetched there by COMMAND unless it is there.
fetched() {
    local path=$CACHE/$1 sum=$2
    shift 2
    if ! sha256sum --status -c <<<"$sum  $path" 2>/dev/null; then
        rm -f "$path"
        retry "$@" || die "${path##*/} could not be fetched"
    fi
    sha256sum --status -c <<<"$sum  $path" || die "${path##*/} is not the file that was measured before: SHA-256 should be $sum"
}

# fetch_sdist FILE: as pip fetches it, NAME-VERSION.tar.gz.
fetch_sdist() {
    local stem=${1%.tar.gz}
    python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --no-binary "${stem%-*}" --dest "$CACHE" "${stem%-*}==${stem##*-}"
}

# Two releases of pyspark, from PyPI.
readonly SDISTS=(
    "pyspark-3.5.0.tar.gz d41a9b76bd2aca370a6100d075c029e22ba44c5940927877e9435a3a9c566558"
    "pyspark-3.5.1.tar.gz dd6569e547365eadc4f887bf57f153e4d582a68c4b490de475d55b9981664910"
)

fetch_sdists() {
    local row
    for row in "${SDISTS[@]}"; do
        fetched "${row% *}" "${row#* }" fetch_sdist "${row% *}"
    done
}
