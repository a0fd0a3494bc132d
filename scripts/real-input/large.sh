# Large content: 20 GB in a few files, and a tree of 3 GB that is held against b3sum. Sourced by
# real-input.sh.
#
# Each copy is removed as soon as it has served, so that the whole takes about twice the content
# in disk space. What is installed is compared by the digests of what was made.

# shellcheck shell=bash

part_large() {
    table large 0 "${LOCKSTEP_LARGE:-20} GB in a few large files"
    large_road "$WORK/large" large "${LOCKSTEP_LARGE:-20}"
    rm -rf "$WORLD"
    table summed 0 "${LOCKSTEP_SUMMED:-3} GB in files of all sizes, held against b3sum"
    large_road "$WORK/summed" mixed "${LOCKSTEP_SUMMED:-3}"
    held_against "$WORLD/root"
    rm -rf "$WORLD"
}

# large_road FOLDER SHAPE GB
large_road() {
    local patch=$1/usb/1.patch.spr
    found "$1"
    python3 "$HERE/real-input/trees.py" "$2" "$WORLD/tree" --seed "${LOCKSTEP_SEED:-1}" --gigabytes "$3" >&2
    list_tree "$WORLD/tree" >"$WORLD/wanted"
    publish "publish component" big/1.0/big-1.0.0 "$WORLD/tree"
    bytes_of "publish component" "$WORLD/tree"
    rm -rf "$WORLD/tree"
    mkdir "$WORLD/root"
    environment "$WORLD/root" LARGE
    prepare "prepare" LARGE "$patch" big/1.0/big-1.0.0
    rm -rf "$WORLD/repository/blobs"
    lockstep "inspect" 0 inspect "$patch"
    lockstep "verify" 0 verify "$patch" --site "$WORLD/site.spr"
    lockstep "apply --dry-run" 0 apply "$patch" --root "$WORLD/root" --dry-run
    apply "apply" 0 "$WORLD/root" "$patch" "$WORLD/usb/1.receipt.spr"
    rm -f "$patch"
    lockstep "receive" 0 receive "$WORLD/usb/1.receipt.spr" --desk "$WORLD/desk"
    list_tree "$WORLD/root" | cmp - "$WORLD/wanted" || die "what was installed differs from what was published"
    lockstep "snapshot" 0 snapshot --root "$WORLD/root" --output "$WORLD/usb/2.snapshot.spr"
    bytes_of "snapshot" "$WORLD/usb/2.snapshot.spr"
    lockstep "status" 0 status --check --root "$WORLD/root"
}
