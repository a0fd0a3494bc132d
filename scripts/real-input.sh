#!/usr/bin/env bash
# Lockstep on real input, measured: two releases of a real product from PyPI, trees of many small
# files, and a tree of few large ones. Prints tables in Markdown.
#
#   scripts/real-input.sh [--pairs] [--small] [--large]
#
# Without an option, all three parts run. What each does stands at the top of its file in
# scripts/real-input/. Ends with 1 when two trees differ, a command ends otherwise than it must, or a
# refusal does not come; never because of a time.
#
# | variable | is | default |
# |---|---|---|
# | LOCKSTEP_PROGRAM | the program | target/release/lockstep, built when it is not given |
# | LOCKSTEP_WORK | an empty or missing folder for everything that is made | a temporary one, removed at the end |
# | LOCKSTEP_CACHE | downloads and tools | ~/.cache/lockstep-real-input |
# | LOCKSTEP_SMALL | how many small files, a list | "2000 20000 200000" |
# | LOCKSTEP_ONE | how many small files in a single component | 200000 |
# | LOCKSTEP_LARGE | GB of content in large files | 20 |
# | LOCKSTEP_SUMMED | GB of content in the tree that is held against b3sum | 3 |
# | LOCKSTEP_SEED | what the generated trees follow from | 1 |
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$HERE")
readonly HERE REPOSITORY

# shellcheck source=ground.sh
source "$HERE/ground.sh"
# shellcheck source=real-input/measure.sh
source "$HERE/real-input/measure.sh"
# shellcheck source=real-input/world.sh
source "$HERE/real-input/world.sh"
# shellcheck source=real-input/pairs.sh
source "$HERE/real-input/pairs.sh"
# shellcheck source=real-input/small.sh
source "$HERE/real-input/small.sh"
# shellcheck source=real-input/large.sh
source "$HERE/real-input/large.sh"

# command and the Debian package that has it
readonly TOOLS=(
    "/usr/bin/time time"
    "find findutils"
    "python3 python3"
    "sha256sum coreutils"
    "ssh-keygen openssh-client"
    "tar tar"
    "zstd zstd"
)

choose_parts() {
    local word
    parts=()
    for word in "$@"; do
        case $word in
            --pairs | --small | --large) parts+=("${word#--}") ;;
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
    if ((${#parts[@]} == 0)); then parts=(pairs small large); fi
}

say_where() {
    echo
    echo "- $("$LOCKSTEP_PROGRAM" --version), $(git -C "$REPOSITORY" rev-parse --short HEAD 2>/dev/null || echo 'no commit known')"
    echo "- $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo) of memory, Linux $(uname -r), $(stat -f -c %T "$WORK") below the work folder"
    echo "- $(b3sum --version), $(zstd --version | tr -d '*' | xargs), $(tar --version | head -1), $(python3 --version)"
    echo "- seed ${LOCKSTEP_SEED:-1}; every file was read or written just before, so reading is from memory"
}

main() {
    local parts part
    choose_parts "$@"
    check_tools "${TOOLS[@]}"
    make_folders real-input
    find_program
    find_b3sum
    for part in "${parts[@]}"; do
        say "$part"
        "part_$part"
    done
    echo
    echo "# Real input"
    say_where
    print_tables
    echo
    echo "every tree is as it should be, and every refusal came"
}

main "$@"
