#!/usr/bin/env bash
# Makes the corpora that fuzzing starts from, out of fixtures/golden and fixtures/delta: fuzz/seeds.sh
#
# The first byte of an input says how the rest is read: as a file as it is, or as choices. So each
# golden file stands behind a byte that takes it as it is, a golden delta behind its old file, and 64 texts of digits behind each other one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly GOLDEN=../fixtures/golden

# seed TARGET NAME MODE: what comes on the standard input, behind the byte MODE.
seed() {
    mkdir -p "corpus/$1"
    # shellcheck disable=SC2059 # the byte is an octal escape
    { printf "\\$3" && cat; } >"corpus/$1/$2"
}

# choices TARGET: digits that are the same in every run and look like none in particular.
choices() {
    local number
    for number in {1..64}; do
        { for part in 1 2 3; do printf '%s %s' "$number" "$part" | sha512sum; done; } |
            seed "$1" "choices-$number" "00$((number % 4))"
    done
}

for target in spr statement sshsig vendor recipe operations journal state delta archive matches; do choices "$target"; done
for file in "$GOLDEN"/*.spr; do
    name=$(basename "$file" .spr)
    seed spr "$name" 000 <"$file"
    member=$(tar -tf "$file" 2>/dev/null | head -n 1 || true)
    [[ -n $member ]] || continue
    tar -xOf "$file" "$member" 2>/dev/null | seed statement "$name" 000 || true
    signature=$(tar -tf "$file" 2>/dev/null | grep '\.sig$' | head -n 1 || true)
    [[ -z $signature ]] || tar -xOf "$file" "$signature" | seed sshsig "$name" 000 || true
done
for file in "$GOLDEN"/recipe*.spr; do
    seed recipe "$(basename "$file" .spr)" 000 <"$file"
done
# pair FIRST SECOND: both files, behind the length of the first in two bytes.
pair() {
    local length
    length=$(stat --format=%s "$1")
    # shellcheck disable=SC2059 # the bytes are octal escapes
    printf "\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
    cat "$1" "$2"
}

for delta in ../fixtures/delta/*.delta; do
    name=$(basename "$delta" .delta)
    old=${delta%.delta}.old new=${delta%.delta}.new
    pair "$old" "$delta" | seed delta "$name" 000
    for target in archive matches; do
        pair "$old" "$new" | seed "$target" "$name" 000
        pair "$new" "$old" | seed "$target" "$name-back" 000
    done
done
printf '%s inputs in fuzz/corpus\n' "$(find corpus -type f | wc -l)"
