# The actors of a run: a vendor, a site owner, a desk, hosts. Sourced by real-input.sh.

# shellcheck shell=bash

# found FOLDER: keys, an empty repository, a site file.
found() {
    WORLD=$1
    mkdir -p "$WORLD/usb" "$WORLD/keys"
    local who
    for who in owner desk; do
        ssh-keygen -q -t ed25519 -N '' -C "$who@acme.example" -f "$WORLD/keys/$who"
    done
    lockstep "publish init" 0 publish init --repository "$WORLD/repository" --keys "$WORLD/keys/vendor"
    lockstep "site new" 0 site new --name acme --vendor "stibo=$WORLD/repository/metadata/1.root.json" \
        --preparer "$WORLD/keys/desk.pub" --key "$WORLD/keys/owner" --output "$WORLD/site.spr"
}

# lockstep NAME CODE ARGUMENT...
lockstep() {
    local name=$1 code=$2
    shift 2
    measure "$name" "$code" "$LOCKSTEP_PROGRAM" "$@"
}

# publish NAME RECIPE FILES [OPTION...]
publish() {
    local name=$1 recipe=$2 files=$3
    shift 3
    lockstep "$name" 0 publish component --repository "$WORLD/repository" --keys "$WORLD/keys/vendor" \
        --recipe "$recipe" --files "$files" "$@"
}

# release NAME RECIPE COMPONENT=VERSION...
release() {
    local name=$1 recipe=$2 pin pins=()
    shift 2
    for pin in "$@"; do pins+=(--component "$pin"); done
    lockstep "$name" 0 publish release --repository "$WORLD/repository" --keys "$WORLD/keys/vendor" \
        --recipe "$recipe" "${pins[@]}"
}

# environment ROOT ENVIRONMENT: made, and known to the desk.
environment() {
    lockstep "init" 0 init --root "$1" --name "$2" --site "$WORLD/site.spr" --service none \
        --output "$WORLD/usb/$2.snapshot.spr"
    lockstep "enrol" 0 enrol "$WORLD/usb/$2.snapshot.spr" --desk "$WORLD/desk"
}

# adopt ROOT ENVIRONMENT TREE: what lies there already is taken in, and is as TREE afterwards.
adopt() {
    local full=$WORLD/usb/$2-full.snapshot.spr patch=$WORLD/usb/$2-1.patch.spr receipt=$WORLD/usb/$2-1.receipt.spr
    lockstep "init --adopt" 0 init --adopt --root "$1" --name "$2" --site "$WORLD/site.spr" \
        --service none --output "$WORLD/usb/$2.snapshot.spr"
    lockstep "enrol" 0 enrol "$WORLD/usb/$2.snapshot.spr" --desk "$WORLD/desk"
    lockstep "snapshot --full" 0 snapshot --full --root "$1" --output "$full"
    bytes_of "snapshot --full" "$full"
    lockstep "prepare --adopt" 0 prepare "$full" --adopt --desk "$WORLD/desk" --output "$patch"
    bytes_of "prepare --adopt" "$patch"
    apply "apply the adoption" 0 "$1" "$patch" "$receipt"
    lockstep "receive the adoption" 0 receive "$receipt" --desk "$WORLD/desk"
    lockstep "status --full" 0 status --full --check --root "$1"
    same_tree "$2, adopted" "$1" "$3"
}

# prepare NAME ENVIRONMENT OUTPUT RECIPE
prepare() {
    lockstep "$1" 0 prepare --environment "$2" --desk "$WORLD/desk" --site "$WORLD/site.spr" \
        --key "$WORLD/keys/desk" --source "$WORLD/repository" --to "to:$4.spr" --output "$3"
    bytes_of "$1" "$3"
}

# apply NAME CODE ROOT PATCH RECEIPT
apply() {
    lockstep "$1" "$2" apply "$4" --root "$3" --receipt "$5"
}

# Every path below a folder with kind, mode, link target and content, but for the node's own state.
list_tree() {
    (
        cd "$1"
        find . -mindepth 1 -path ./.lockstep -prune -o -printf '%y %m %p -> %l\n' | LC_ALL=C sort
        find . -path ./.lockstep -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
    )
}

# same_tree WHAT A B: two folders hold the same.
same_tree() {
    list_tree "$2" >"$LOGS/left"
    list_tree "$3" >"$LOGS/right"
    if ! cmp -s "$LOGS/left" "$LOGS/right"; then
        diff "$LOGS/left" "$LOGS/right" | head -20 >&2 || true
        die "$1: the trees differ"
    fi
    echo "$1: $(grep -c '^f ' "$LOGS/left") files, byte for byte the same" >&2
}

# held_against TREE: what other tools take for the same tree.
held_against() {
    # shellcheck disable=SC2016 # the inner shell expands them
    measure "b3sum" 0 sh -c 'cd "$1" && find . -path ./.lockstep -prune -o -type f -print0 | xargs -0 b3sum >"$2"' - "$1" "$LOGS/b3sums"
    measure "cp -r" 0 cp -r "$1" "$WORLD/copy"
    bytes_of "cp -r" "$WORLD/copy"
    rm -rf "$WORLD/copy"
    # shellcheck disable=SC2016
    measure "tar, zstd" 0 sh -c 'tar -C "$1" --exclude=./.lockstep -cf - . | zstd -q -o "$2"' - "$1" "$WORLD/copy.tar.zst"
    bytes_of "tar, zstd" "$WORLD/copy.tar.zst"
    rm -f "$WORLD/copy.tar.zst"
}
