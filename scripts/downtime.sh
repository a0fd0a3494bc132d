#!/usr/bin/env bash
# How long the files of a product are between old and new, measured: `lockstep apply` of a patch
# that changes many small files, beside `mv` of as many files and one `sync`, in the same run, on the
# same file system. Prints a table in Markdown. It takes about a quarter of an hour, most of it for
# making and removing the trees.
#
#   scripts/downtime.sh [--check]
#
# With --check it ends with 1 where the exchange of 10,000 files takes more than 3 times what mv and
# sync take; else never because of a time. What is measured stands at the top of
# scripts/downtime/measure.py.
#
# | variable | is | default |
# |---|---|---|
# | LOCKSTEP | the program, a release build | target/release/lockstep, built when it is not given |
# | LOCKSTEP_WORK | the folder in which a temporary one is made and removed | TMPDIR, or /tmp |
# | LOCKSTEP_COUNTS | how many files, and how often each is measured, a list | "1000:5 10000:5 100000:3" |
# | LOCKSTEP_SEED | what the contents follow from | 1 |
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(dirname "$HERE")
readonly HERE REPOSITORY

# shellcheck source=ground.sh
source "$HERE/ground.sh"

case ${1:-} in
    "" | --check) ;;
    *)
        usage
        [[ $1 == --help || $1 == -h ]]
        exit
        ;;
esac

check_tools "/usr/bin/time time" "python3 python3" "ssh-keygen openssh-client" "mv coreutils" "xargs findutils"

if [[ -z ${LOCKSTEP:-} ]]; then
    (cd "$REPOSITORY" && cargo build --locked --release --bin lockstep)
    LOCKSTEP=$REPOSITORY/target/release/lockstep
fi
export LOCKSTEP
exec python3 "$HERE/downtime/measure.py" "$@"
