#!/usr/bin/env bash
# Lockstep beside the programs that people know, in one run on one machine: writes
# docs/benchmarks.md, the plots beside it, and the numbers that both are made from.
#
#   scripts/bench.sh [deltas] [snapshot] [verify] [apply] [growth] [page]
#   scripts/bench.sh --sample
#
# Without a section, all of them run, and then the page is made; with sections, those alone. `page`
# makes the page again from the numbers that are there.
#
# | section | measures | against |
# |---|---|---|
# | deltas | size, create and apply of patches, on closure-compiler, pyspark and pyarrow | zstd --patch-from, bsdiff, xdelta3, rsync batch, HDiffPatch |
# | snapshot | a signed snapshot of 3 GB | b3sum, sha256sum |
# | verify | an auditor's check of a patch of 2 GB | sha256sum |
# | apply | an installation of 3 GB from nothing | cp -r and sync |
# | growth | every command at 1,000, 10,000, 100,000 and 1,000,000 files | itself |
#
# Needs Debian packages (installed where they are missing and this is root), cargo for b3sum, npm and
# pip for the releases, about 50 GB of disk, and an idle machine. How long each section takes, the
# page says. Ends with another code than 0 where a result is not byte for byte right; never because
# of a time.
#
# --sample takes a minute: generated releases and a few files, no network, the peers that are there,
# and a page in a folder that is removed. It shows that the script runs, and says nothing of speed.
#
# | variable | is | default |
# |---|---|---|
# | LOCKSTEP_PROGRAM | the program | target/release/lockstep, built when it is not given |
# | LOCKSTEP_WORK | an empty or missing folder for everything that is made | a temporary one, removed at the end |
# | LOCKSTEP_CACHE | downloads and tools | ~/.cache/lockstep-real-input |
# | LOCKSTEP_RUNS | how often each command runs | 5 |
# | LOCKSTEP_GROWTH_RUNS | the same for `growth` | LOCKSTEP_RUNS |
# | LOCKSTEP_COUNTS | how many files, a list | "1000 10000 100000 1000000" |
# | LOCKSTEP_MEGABYTES | the size of the large tree | 3000 |
# | LOCKSTEP_PAIRS | which releases, a list | "closure pyspark pyarrow" |
# | LOCKSTEP_SEED | what the generated trees follow from | 1 |
# | LOCKSTEP_DOCS | where the page, the plots and the numbers go | docs |
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$HERE")
readonly HERE REPOSITORY

# shellcheck source=ground.sh
source "$HERE/ground.sh"
# shellcheck source=bench/releases.sh
source "$HERE/bench/releases.sh"

# command and the Debian package that has it
readonly TOOLS=("/usr/bin/time time" "python3 python3" "ssh-keygen openssh-client" "sha256sum coreutils" "xargs findutils" "findmnt util-linux")
readonly PEERS=("zstd zstd" "bsdiff bsdiff" "bspatch bsdiff" "xdelta3 xdelta3" "rsync rsync" "unzip unzip")
readonly HDIFFPATCH=2.6.0

SAMPLE=""
sections=()

choose_sections() {
    local word
    for word in "$@"; do
        case $word in
            deltas | snapshot | verify | apply | growth | page) sections+=("$word") ;;
            --sample) SAMPLE=--sample ;;
            --help | -h)
                usage
                exit 0
                ;;
            *)
                usage >&2
                exit 2
                ;;
        esac
    done
    if ((${#sections[@]} == 0)); then sections=(deltas snapshot verify apply growth page); fi
}

# wants SECTION
wants() { [[ " ${sections[*]} " == *" $1 "* ]]; }

# HDiffPatch's Python binding, in an environment of its own.
find_hdiffpatch() {
    local venv=$CACHE/tools/hdiffpatch-$HDIFFPATCH
    export HDIFF_PYTHON=$venv/bin/python
    if ! "$HDIFF_PYTHON" -c 'import hdiffpatch' 2>/dev/null; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        retry "$HDIFF_PYTHON" -m pip install --quiet --disable-pip-version-check "hdiffpatch==$HDIFFPATCH"
    fi
}

get_ready() {
    if [[ -n $SAMPLE ]]; then
        check_tools "${TOOLS[@]}"
        return 0
    fi
    # shellcheck disable=SC2046 # a list of package names
    install_packages $(missing_packages "${TOOLS[@]}" "${PEERS[@]}")
    if wants snapshot; then find_b3sum; fi
    if wants deltas; then
        find_hdiffpatch
        find_releases
    fi
}

main() {
    local measured=() section
    choose_sections "$@"
    make_folders bench
    DOCS=${LOCKSTEP_DOCS:-$REPOSITORY/docs}
    if [[ -n $SAMPLE ]]; then DOCS=$WORK/docs; fi
    export WORK RESULTS=$DOCS/benchmarks/results
    for section in "${sections[@]}"; do
        if [[ $section != page ]]; then measured+=("$section"); fi
    done
    if ((${#measured[@]} > 0)); then
        find_program
        export LOCKSTEP_PROGRAM
        get_ready
        say "measuring: ${measured[*]}"
        # shellcheck disable=SC2086 # an option or none
        python3 "$HERE/bench/run.py" $SAMPLE "${measured[@]}"
    fi
    if wants page; then python3 "$HERE/bench/page.py" "$DOCS"; fi
}

main "$@"
