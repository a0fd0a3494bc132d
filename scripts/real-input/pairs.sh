# pyspark 3.5.0 and 3.5.1 from PyPI, as four components and two releases. Sourced by real-input.sh.
#
# Root A is installed from nothing, root B was only unpacked and is adopted; both are patched to
# 3.5.1 and then compared with a tree unpacked from the release. The refusals on the way must come.

# shellcheck shell=bash

part_pairs() {
    local folder=$WORK/pairs version
    mkdir "$folder"
    fetch_sdists
    table pairs 0 "pyspark 3.5.0 and 3.5.1"
    found "$folder"
    for version in 3.5.0 3.5.1; do
        unpack "$version" "$folder/unpacked-$version"
        publish_pyspark "$version"
    done
    install_a
    adopt_b
    refuse_a
    patch_to_351 A INSTALLED
    patch_to_351 B ADOPTED
    look_a
    held_against "$folder/unpacked-3.5.1"
}

# unpack VERSION FOLDER
unpack() {
    mkdir "$2"
    tar -C "$2" --no-same-owner --strip-components=1 -xzf "$CACHE/pyspark-$1.tar.gz"
}

# Each component is a folder of its own, cut out of an unpacked release.
publish_pyspark() {
    local version=$1 parts=$WORLD/parts-$1 tree=$WORLD/unpacked-$1 part pins=()
    mkdir -p "$parts/spark-jars/deps" "$parts/spark-python" "$parts/spark-data/deps" "$parts/spark-rest"
    cp -a "$tree/deps/jars" "$parts/spark-jars/deps/"
    cp -a "$tree/pyspark" "$parts/spark-python/"
    cp -a "$tree/deps/data" "$tree/deps/examples" "$parts/spark-data/deps/"
    tar -C "$tree" --exclude=./deps/jars --exclude=./pyspark --exclude=./deps/data --exclude=./deps/examples -cf - . |
        tar -C "$parts/spark-rest" -xf -
    for part in "$parts"/*; do
        part=${part##*/}
        publish "publish components" "$part/3.5/$part-$version" "$parts/$part" --config 'setup.cfg'
        pins+=("$part=$version")
    done
    rm -rf "$parts"
    release "publish releases" "spark/3.5/spark-$version" "${pins[@]}"
    bytes_of "publish components" "$WORLD/repository"
}

install_a() {
    mkdir "$WORLD/A"
    environment "$WORLD/A" INSTALLED
    prepare "prepare 3.5.0 from nothing" INSTALLED "$WORLD/usb/A-1.patch.spr" spark/3.5/spark-3.5.0
    apply "apply 3.5.0 from nothing" 0 "$WORLD/A" "$WORLD/usb/A-1.patch.spr" "$WORLD/usb/A-1.receipt.spr"
    lockstep "receive" 0 receive "$WORLD/usb/A-1.receipt.spr" --desk "$WORLD/desk"
    same_tree "A at 3.5.0" "$WORLD/A" "$WORLD/unpacked-3.5.0"
}

# A second copy that was only unpacked, taken in without touching a file.
adopt_b() {
    unpack 3.5.0 "$WORLD/B"
    adopt "$WORLD/B" ADOPTED "$WORLD/unpacked-3.5.0"
}

# What must not go. Each leaves A as it was.
refuse_a() {
    local patch=$WORLD/usb/INSTALLED-2.patch.spr file=$WORLD/A/pyspark/version.py
    mkdir "$WORLD/OTHER"
    environment "$WORLD/OTHER" OTHER
    prepare "prepare 3.5.1" INSTALLED "$patch" spark/3.5/spark-3.5.1
    apply "refused: another environment" 10 "$WORLD/OTHER" "$patch" "$WORLD/usb/no"
    apply "refused: applied before" 12 "$WORLD/A" "$WORLD/usb/A-1.patch.spr" "$WORLD/usb/no"
    flip_a_bit "$patch" "$WORLD/usb/flipped.patch.spr"
    apply "refused: one bit flipped" 22 "$WORLD/A" "$WORLD/usb/flipped.patch.spr" "$WORLD/usb/no"
    same_tree "A after the refusals" "$WORLD/A" "$WORLD/unpacked-3.5.0"
    cp -a "$file" "$WORLD/version.py"
    echo '# edited by hand' >>"$file"
    apply "refused: a file drifted" 13 "$WORLD/A" "$patch" "$WORLD/usb/no"
    cp -a "$WORLD/version.py" "$file"
    same_tree "A, put back" "$WORLD/A" "$WORLD/unpacked-3.5.0"
}

# flip_a_bit FILE COPY: the lowest bit of the byte in the middle.
flip_a_bit() {
    python3 - "$1" "$2" <<'PYTHON'
import pathlib, sys
content = bytearray(pathlib.Path(sys.argv[1]).read_bytes())
content[len(content) // 2] ^= 1
pathlib.Path(sys.argv[2]).write_bytes(content)
PYTHON
}

# patch_to_351 ROOT ENVIRONMENT: with the patch that is there, or a new one.
patch_to_351() {
    local patch=$WORLD/usb/$2-2.patch.spr
    [[ -e $patch ]] || prepare "prepare 3.5.1" "$2" "$patch" spark/3.5/spark-3.5.1
    lockstep "apply 3.5.1 --dry-run" 0 apply "$patch" --root "$WORLD/$1" --dry-run
    apply "apply 3.5.1" 0 "$WORLD/$1" "$patch" "$WORLD/usb/$2-2.receipt.spr"
    lockstep "receive" 0 receive "$WORLD/usb/$2-2.receipt.spr" --desk "$WORLD/desk"
    same_tree "$1 at 3.5.1" "$WORLD/$1" "$WORLD/unpacked-3.5.1"
    apply "refused: applied twice" 12 "$WORLD/$1" "$patch" "$WORLD/usb/no"
}

look_a() {
    lockstep "snapshot" 0 snapshot --root "$WORLD/A" --output "$WORLD/usb/A-3.snapshot.spr"
    bytes_of "snapshot" "$WORLD/usb/A-3.snapshot.spr"
    lockstep "status --check" 0 status --check --root "$WORLD/A"
    lockstep "inspect a patch" 0 inspect "$WORLD/usb/INSTALLED-2.patch.spr"
    lockstep "verify a patch" 0 verify "$WORLD/usb/A-1.patch.spr" --site "$WORLD/site.spr"
    lockstep "history --check" 0 history --check --root "$WORLD/A"
}
