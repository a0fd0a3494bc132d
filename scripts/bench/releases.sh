# The pairs of real releases, fetched by their own clients, checked and unpacked. Sourced by bench.sh.

# shellcheck shell=bash

readonly CLOSURES=(
    "google-closure-compiler-java-20261011.0.0.tgz 98fcb7d974363c681448373c9a1519374e81dc0d34cb763add352c4151de9077"
    "google-closure-compiler-java-20261015.0.0.tgz ca26ec5391c4bd95e180e930137ee9cd8ed39b7ac432043854601b827a5fb4a9"
)
readonly PYARROWS=(
    "pyarrow-19.0.0-cp311-cp311-manylinux_2_28_x86_64.whl be686bf625aa7b9bada18defb3a3ea3981c1099697239788ff111d87f04cd263"
    "pyarrow-19.0.1-cp311-cp311-manylinux_2_28_x86_64.whl 49a3aecb62c1be1d822f8bf629226d4a96418228a42f5b40835c1f10d42e4db6"
)

# find_releases: each unpacked, and listed as name, versions and folders.
find_releases() {
    local pair
    PAIRS=$WORK/pairs
    mkdir "$PAIRS"
    for pair in ${LOCKSTEP_PAIRS:-closure pyspark pyarrow}; do
        say "fetching $pair"
        "find_$pair"
    done
}

# list_pair NAME OLD NEW
list_pair() {
    printf '%s\t' "$1" "$2" "$3" "$PAIRS/$1-$2" >>"$PAIRS/list"
    printf '%s\n' "$PAIRS/$1-$3" >>"$PAIRS/list"
}

# unpack_tar FILE FOLDER
unpack_tar() {
    mkdir "$2"
    tar -C "$2" --no-same-owner --strip-components=1 -xzf "$CACHE/$1"
}

fetch_closure() {
    local stem=${1%.tgz}
    (cd "$CACHE" && npm pack --silent "${stem%-*}@${stem##*-}" >/dev/null)
}

find_closure() {
    local row version
    for row in "${CLOSURES[@]}"; do
        fetched "${row% *}" "${row#* }" fetch_closure "${row% *}"
        version=${row%.tgz *}
        unpack_tar "${row% *}" "$PAIRS/closure-${version##*-}"
    done
    list_pair closure 20261011.0.0 20261015.0.0
}

find_pyspark() {
    local version
    fetch_sdists
    for version in 3.5.0 3.5.1; do
        unpack_tar "pyspark-$version.tar.gz" "$PAIRS/pyspark-$version"
    done
    list_pair pyspark 3.5.0 3.5.1
}

# fetch_pyarrow VERSION
fetch_pyarrow() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --platform manylinux_2_28_x86_64 --python-version 3.11 --dest "$CACHE" "pyarrow==$1"
}

find_pyarrow() {
    local row version
    for row in "${PYARROWS[@]}"; do
        version=$(cut -d- -f2 <<<"$row")
        fetched "${row% *}" "${row#* }" fetch_pyarrow "$version"
        mkdir "$PAIRS/pyarrow-$version"
        unzip -q "$CACHE/${row% *}" -d "$PAIRS/pyarrow-$version"
    done
    list_pair pyarrow 19.0.0 19.0.1
}
