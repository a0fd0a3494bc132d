#!/usr/bin/env bash
# Mutations of every kind of .spr: each is refused, or does what the good file does.
#
#   scripts/mutate.sh [--sample|--full] [--seed N] [--kind KIND] [--only N] [--count N]
#
# The sample (the default) takes 120 of each kind, the full run 10,000. Both end with the controls: the
# program with one check taken out must be found bad. --kind (as the table has it) and --only run one
# kind or case again, without controls. docs/fuzzing.md says what is mutated and judged.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    printf 'mutate.sh: %s\n' "$*" >&2
    exit 2
}

export LOCKSTEP_MUTATIONS=120
controls=yes
while (($# > 0)); do
    case $1 in
        --sample) LOCKSTEP_MUTATIONS=120 ;;
        --full) LOCKSTEP_MUTATIONS=10000 ;;
        --count) LOCKSTEP_MUTATIONS=${2:?how many} && shift ;;
        --seed) export LOCKSTEP_MUTATION_SEED=${2:?a number} && shift ;;
        --kind) export LOCKSTEP_MUTATION_KIND=${2:?a kind} controls=no && shift ;;
        --only) export LOCKSTEP_MUTATION_ONLY=${2:?a number} controls=no && shift ;;
        --help | -h)
            sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'
            exit 0
            ;;
        *) die "there is no option $1" ;;
    esac
    shift
done

# The worlds are small and are put back often: in memory, where there is one.
if [[ -z ${TMPDIR:-} && -w /dev/shm ]]; then export TMPDIR=/dev/shm; fi

# program FLAGS...: builds the tests, and says where they are.
program() {
    cargo test --quiet --locked --test mutation --no-run --message-format=json "$@" |
        sed -n 's/.*"name":"mutation".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

plain=$(program)
[[ -x $plain ]] || die "the tests are not built"
"$plain" --exact every_mutation_is_refused_or_does_the_same --nocapture
if [[ $controls == yes ]]; then
    faulty=$(program --features faulty)
    [[ -x $faulty && $faulty != "$plain" ]] || die "the tests with checks taken out are not built"
    "$faulty" --ignored --exact a_program_without_a_check_is_found_bad --nocapture
    # The plain program is what is left in target/debug.
    cargo build --quiet --locked
fi
