# Trees of small files, and how the cost of each command grows with them. Sourced by real-input.sh.
#
# Ten components of equal size: 5 % of the files change, 1 % come and 1 % go from the first release
# to the second. Then the same with all files in one component.

# shellcheck shell=bash

SMALL_TABLES=()

part_small() {
    local files
    for files in ${LOCKSTEP_SMALL:-2000 20000 200000}; do
        SMALL_TABLES+=("small-$files")
        small_road "small-$files" "$files" 10
    done
    if ((${LOCKSTEP_ONE:-200000} > 0)); then
        small_road one "${LOCKSTEP_ONE:-200000}" 1
    fi
}

# small_road TABLE FILES COMPONENTS
small_road() {
    local files=$2 components=$3 version number pins recipe
    table "$1" "$files" "$files small files in $components component(s)"
    found "$WORK/$1"
    for version in 1 2; do
        python3 "$HERE/real-input/trees.py" small "$WORLD/release-$version" \
            --seed "${LOCKSTEP_SEED:-1}" --files "$files" --parts "$components" --release "$version" >&2
        pins=()
        for ((number = 0; number < components; number++)); do
            recipe=part$number
            publish "publish release $version" "$recipe/$version.0/$recipe-$version.0.0" \
                "$WORLD/release-$version/$recipe"
            pins+=("$recipe=$version.0.0")
        done
        release "publish releases" "all/$version.0/all-$version.0.0" "${pins[@]}"
        join_parts "$WORLD/release-$version"
    done
    bytes_of "publish release 1" "$WORLD/release-1"
    bytes_of "publish release 2" "$WORLD/release-2"
    mkdir "$WORLD/root"
    environment "$WORLD/root" SMALL
    small_step 1
    small_step 2
    small_look
    cp -a "$WORLD/release-1" "$WORLD/unpacked"
    adopt "$WORLD/unpacked" UNPACKED "$WORLD/release-1"
    lockstep "publish again" 0 publish component --repository "$WORLD/repository" --keys "$WORLD/keys/vendor" \
        --recipe part0/2.0/part0-2.0.0 --files "$WORLD/again"
    held_against "$WORLD/root"
    rm -rf "$WORLD"
}

# The parts of a release in one tree, as an installation has them; the first is kept to be published
# again.
join_parts() {
    local part
    rm -rf "$WORLD/again"
    cp -al "$1/part0" "$WORLD/again"
    for part in "$1"/part*; do
        cp -al "$part/." "$1.joined/" 2>/dev/null || { mkdir "$1.joined" && cp -al "$part/." "$1.joined/"; }
    done
    rm -rf "$1"
    mv "$1.joined" "$1"
}

# small_step VERSION
small_step() {
    local patch=$WORLD/usb/$1.patch.spr receipt=$WORLD/usb/$1.receipt.spr
    prepare "prepare release $1" SMALL "$patch" "all/$1.0/all-$1.0.0"
    lockstep "apply release $1 --dry-run" 0 apply "$patch" --root "$WORLD/root" --dry-run
    apply "apply release $1" 0 "$WORLD/root" "$patch" "$receipt"
    lockstep "receive $1" 0 receive "$receipt" --desk "$WORLD/desk"
    same_tree "release $1 in $TABLE" "$WORLD/root" "$WORLD/release-$1"
}

small_look() {
    lockstep "snapshot" 0 snapshot --root "$WORLD/root" --output "$WORLD/usb/3.snapshot.spr"
    bytes_of "snapshot" "$WORLD/usb/3.snapshot.spr"
    lockstep "status" 0 status --check --root "$WORLD/root"
    lockstep "components" 0 components --root "$WORLD/root"
    lockstep "history" 0 history --check --root "$WORLD/root"
    lockstep "recover" 0 recover --root "$WORLD/root"
    lockstep "environments" 0 environments --desk "$WORLD/desk"
    lockstep "inspect" 0 inspect "$WORLD/usb/1.patch.spr"
    lockstep "verify" 0 verify "$WORLD/usb/1.patch.spr" --site "$WORLD/site.spr"
}
