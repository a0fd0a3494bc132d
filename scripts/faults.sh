#!/usr/bin/env bash
# The fault sweeps: kills, errors, power cuts, torn writes and full disks, and what must be found bad.
#
#   scripts/faults.sh [--sample|--full] [--seed N] [--jobs N]
#
# The sample (the default) takes a few points of every kind; the full run takes thousands. Both end
# with a table, and with another code than 0 where a point is bad, a fault did not fire, or a control
# was not caught. Needs root, Rust and the Debian packages below. docs/faults.md says what is swept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# command and the Debian package that has it
readonly COMMANDS=(
    "python3 python3"
    "strace strace"
    "nbdkit nbdkit"
    "nbdfuse libnbd-bin"
    "mkfs.xfs xfsprogs"
    "mkfs.ext4 e2fsprogs"
    "losetup mount"
    "unshare util-linux"
    "ssh-keygen openssh-client"
)

die() {
    printf 'faults.sh: %s\n' "$*" >&2
    exit 2
}

case " $* " in *" --help "* | *" -h "*)
    sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'
    exit 0
    ;;
esac

missing=()
for row in "${COMMANDS[@]}"; do
    command -v "${row%% *}" >/dev/null || missing+=("${row##* }")
done
nbdkit python --version >/dev/null 2>&1 || missing+=("nbdkit-plugin-python")
((${#missing[@]} == 0)) || die "these Debian packages are missing: ${missing[*]}"
((EUID == 0)) || die "it mounts file systems: run it as root"
[[ -e /dev/fuse ]] || die "there is no /dev/fuse"

work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-faults.XXXXXXXX")
sweeps=""
# What is mounted and running ends with its namespaces, and these with their first process.
tidy() {
    if [[ -n $sweeps ]]; then kill -KILL "$sweeps" 2>/dev/null || true; fi
    rm -rf --one-file-system "$work" "$work.faulty"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP

# The program with faults built in first, so that the plain one is what is left in target/debug.
cargo build --quiet --locked --features faulty
cp target/debug/lockstep "$work.faulty"
cargo build --quiet --locked
grep -q LOCKSTEP_FAULTY "$work.faulty" || die "the program for the controls has no faults built in"
if grep -q LOCKSTEP_FAULTY target/debug/lockstep; then
    die "the program has faults built in"
fi

unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private \
    python3 -B scripts/faults/main.py --program target/debug/lockstep --faulty "$work.faulty" \
    --work "$work" "$@" &
sweeps=$!
code=0
wait "$sweeps" || code=$?
sweeps=""
exit "$code"
