#!/usr/bin/env bash
# Every check of the project, from a fresh clone: installs what it needs, then checks, tests and
# builds. Needs Rust (rustup's toolchain with rustfmt and clippy) and, to install, root on Debian.
#
# Prints a table at the end: each stage, its seconds, its budget on two cores. A stage over budget
# is a warning; a stage that does not pass ends the run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ground.sh
source scripts/ground.sh

readonly TUF_VERSION=7.0.1
readonly TARGET=x86_64-unknown-linux-gnu
readonly VENV=.tools/venv
# A security key in software, out of the package of OpenSSH's own tests: unpacked, not installed, because it asks for a server.
readonly SK_DUMMY=.tools/openssh-tests/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so
readonly LOGS=target/test-logs

table=()
skipped=()
failed=""

# command and the Debian package that has it
readonly COMMANDS=(
    "ssh-keygen openssh-client"
    "ssh-agent openssh-client"
    "stty coreutils"
    "timeout coreutils"
    "dpkg dpkg"
    "jq jq"
    "zstd zstd"
    "tar tar"
    "sha256sum coreutils"
    "readelf binutils"
    "cc gcc"
    "strace strace"
    "unzip unzip"
    "zip zip"
    "setpriv util-linux"
    "unshare util-linux"
    "script bsdutils"
    "getfacl acl"
    "chattr e2fsprogs"
    "mount mount"
    "bindfs bindfs"
    "mkfs.btrfs btrfs-progs"
    "python3 python3"
    "nbdkit nbdkit"
    "nbdfuse libnbd-bin"
    "mkfs.xfs xfsprogs"
    "mkfs.ext4 e2fsprogs"
    "losetup mount"
    "xargs findutils"
    "/usr/bin/time time"
)

say() { printf '\n== %s\n' "$*"; }

# stage NAME BUDGET FUNCTION: runs it, notes its seconds, stops the run if it does not pass.
# The function runs in a shell of its own, so that its first failing command ends it.
stage() {
    local name=$1 budget=$2 body=$3 start=$SECONDS code=0
    say "$name"
    set +e
    (
        set -euo pipefail
        "$body"
    )
    code=$?
    set -e
    local seconds=$((SECONDS - start)) note=ok
    if ((seconds > budget)); then note="over budget"; fi
    if ((code != 0)); then
        note="failed ($code)"
        failed=$name
    fi
    table+=("$(printf '%-22s %8s %8s  %s' "$name" "$seconds" "$budget" "$note")")
    if ((code != 0)); then exit 1; fi
}

report() {
    printf '\n%-22s %8s %8s  %s\n' stage seconds budget result
    printf '%s\n' "${table[@]}"
    printf '%-22s %8s %8s\n' all "$SECONDS" 1500
    if ((SECONDS > 1500)); then echo "warning: over the budget of 25 minutes for the whole run"; fi
    if ((${#skipped[@]} > 0)); then printf 'not run: %s\n' "${skipped[@]}"; fi
    if [[ -n $failed ]]; then echo "stopped at: $failed"; fi
}
trap report EXIT

packages_that_lack() {
    missing_packages "${COMMANDS[@]}"
    # Debian keeps the part of venv that installs pip apart.
    if command -v python3 >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        echo python3-venv
    fi
    nbdkit python --version >/dev/null 2>&1 || echo nbdkit-plugin-python
}

install_tools() {
    command -v cargo >/dev/null || die "cargo is missing; install Rust with rustup"
    cargo fmt --version && cargo clippy --version
    # shellcheck disable=SC2046 # a list of package names
    install_packages $(packages_that_lack)
    local missing
    missing=$(packages_that_lack | xargs)
    [[ -z $missing ]] || die "still missing after the installation: $missing"
    echo "every tool is there"
}

has_tuf() {
    [[ -x $VENV/bin/python ]] &&
        "$VENV/bin/python" -c "
import importlib.metadata, sys
sys.exit(importlib.metadata.version('tuf') != '$TUF_VERSION')" 2>/dev/null
}

install_python() {
    if ! has_tuf; then
        rm -rf "$VENV"
        python3 -m venv "$VENV"
        retry "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "tuf==$TUF_VERSION"
    fi
    has_tuf || die "tuf $TUF_VERSION is not in $VENV"
    echo "python-tuf $TUF_VERSION in $VENV"
}

fetch_security_key() {
    local folder=.tools/openssh-tests
    if [[ ! -e $SK_DUMMY ]]; then
        rm -rf "$folder" && mkdir -p "$folder"
        if ((EUID == 0)); then retry apt-get update -q; fi
        (cd "$folder" && retry apt-get download -q openssh-tests && dpkg -x openssh-tests_*.deb .)
    fi
    [[ -e $SK_DUMMY ]] || die "the package openssh-tests holds no $SK_DUMMY"
    echo "a security key in software: $SK_DUMMY"
}

fetch_crates() { retry cargo fetch --locked; }

check_format() { cargo fmt --check; }

clippy_full() { cargo clippy --locked --all-targets -- -D warnings; }

clippy_host() { cargo clippy --locked --all-targets --no-default-features -- -D warnings; }

# nextest gives each test a process of its own and tells which are slow; doctests it does not run.
run_tests() {
    mkdir -p "$LOGS"
    if cargo nextest --version >/dev/null 2>&1; then
        NEXTEST_HIDE_PROGRESS_BAR=1 cargo nextest run --locked --no-fail-fast 2>&1 | tee "$LOGS/tests.log"
        cargo test --locked --doc 2>&1 | tee -a "$LOGS/tests.log"
    else
        cargo test --locked --no-fail-fast 2>&1 | tee "$LOGS/tests.log"
    fi
}

sample_mutations() { scripts/mutate.sh --sample; }

sample_faults() { scripts/faults.sh --sample; }

# Whether the measurement runs at all; what it says of so few files and this build is of no account.
sample_downtime() {
    LOCKSTEP=$PWD/target/debug/lockstep LOCKSTEP_COUNTS=200:1 scripts/downtime.sh
}

# Whether the benchmarks run through and make a page, and whether the page that is there says what its numbers say.
sample_benchmarks() {
    LOCKSTEP_PROGRAM=$PWD/target/debug/lockstep scripts/bench.sh --sample
    if [[ -d docs/benchmarks/results ]]; then python3 scripts/bench/page.py docs --check; fi
}

# With private items: module headers are the design, and they name what the design hides.
build_docs() {
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
        cargo doc --locked --no-deps --document-private-items
}

# Whether a program asks for an interpreter: whether it is linked dynamically.
asks_for_interpreter() {
    local headers
    headers=$(readelf -lW "$1")
    grep -q ' LOAD ' <<<"$headers" || die "readelf finds no program in $1"
    grep -q ' INTERP ' <<<"$headers"
}

build_host() {
    # A folder of its own: other flags would throw away what the other stages have built.
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --no-default-features \
        --bin lockstep --target "$TARGET" --target-dir target/host
    local program=target/host/$TARGET/release/lockstep version
    # The check itself is checked on a program that is linked dynamically.
    asks_for_interpreter target/debug/lockstep || die "the check finds no interpreter in the debug build"
    if asks_for_interpreter "$program"; then
        die "the host build is not static: it has an INTERP segment"
    fi
    version=$("$program" --version)
    if [[ -d src/cli && $version != "lockstep "* ]]; then
        die "the host build says of its version: $version"
    fi
    printf 'host build: %s bytes, static, %s\n' "$(stat -c %s "$program")" "${version:-no version yet}"
}

run_deny() { cargo deny --offline --locked check bans licenses sources; }

run_audit() { cargo audit --no-fetch --stale; }

# Tools that take long to build are used where they are, never installed here.
have_tool() {
    if cargo "$1" --version >/dev/null 2>&1; then return 0; fi
    skipped+=("cargo-$1 (not installed)")
    return 1
}

# Of cargo's own lines, "test result: ok. 3 passed; 0 failed; 1 ignored", and of nextest's,
# "Summary [ 9.9s] 713 tests run: 713 passed (1 slow), 1 failed, 1 skipped".
totals() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         /^ +Summary \[/ {
             for (i = 2; i <= NF; i++) {
                 if ($i ~ /^passed/) passed += $(i - 1)
                 if ($i ~ /^failed/) failed += $(i - 1)
                 if ($i ~ /^skipped/) ignored += $(i - 1)
             }
         }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, ignored }' \
        "$LOGS/tests.log"
}

stage "install packages" 120 install_tools
stage "install python-tuf" 60 install_python
stage "fetch a security key" 60 fetch_security_key
stage "fetch crates" 60 fetch_crates
export CARGO_NET_OFFLINE=true
LOCKSTEP_PYTHON=$PWD/$VENV/bin/python
LOCKSTEP_SK_DUMMY=$PWD/$SK_DUMMY
export LOCKSTEP_PYTHON LOCKSTEP_SK_DUMMY

stage "format" 10 check_format
stage "clippy" 120 clippy_full
stage "clippy, host build" 90 clippy_host
stage "tests" 600 run_tests
stage "downtime, sample" 30 sample_downtime
stage "benchmarks, sample" 60 sample_benchmarks
stage "faults, sample" 240 sample_faults
stage "mutations, sample" 120 sample_mutations
stage "documentation" 90 build_docs
stage "host build" 240 build_host
if have_tool deny; then stage "cargo-deny" 30 run_deny; fi
if have_tool audit; then
    if [[ -d ${CARGO_HOME:-$HOME/.cargo}/advisory-db ]]; then
        stage "cargo-audit" 30 run_audit
    else
        skipped+=("cargo-audit (no advisory database on this machine)")
    fi
fi
say "totals of the tests"
totals
