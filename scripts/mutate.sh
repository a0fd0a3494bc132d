#!/usr/bin/env bash
# Mutations of every kind of .spr: each is refused, or does what the good file does.
#
#   scripts/mutate.sh [--sample|--full] [--seed N] [--kind KIND] [--only N] [--count N]
#
# The sample (the default) takes 150 of each kind and a few of each control; the full run 10,000. A
# control is the program with one check taken out: it must be found bad. Each kind runs in a process
# of its own, whose memory is measured. --kind (as the table has it) and --only run one case again; then no
# control is run. docs/fuzzing.md says what is mutated and judged.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly KINDS=(snapshot patch "patch head" receipt site enrolment recipe)
# a check that is taken out, and the kinds that must miss it
readonly CONTROLS=(
    "signatures patch,site"
    "signers patch"
    "recipes recipe"
    "contents patch"
    "bounds patch"
    "leftovers patch"
)

die() {
    printf 'mutate.sh: %s\n' "$*" >&2
    exit 2
}

count=150 kinds=("${KINDS[@]}") controls=yes
while (($# > 0)); do
    case $1 in
        --sample) count=150 ;;
        --full) count=10000 ;;
        --count) count=${2:?how many} && shift ;;
        --seed) export LOCKSTEP_MUTATION_SEED=${2:?a number} && shift ;;
        --kind) kinds=("${2:?a kind}") controls=no && shift ;;
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
code=0
# One row each, and what was found: the words of the test itself are left out.
rows() { grep -vE '^$|^running |^test |^test result: ok|^seed |^kind |^ +lawful' || true; }
printf 'seed %s, %s of each kind\n' "${LOCKSTEP_MUTATION_SEED:-1}" "$count"
printf 'kind         cases    same   other   slowest     peak  refused by name\n'
printf '%s\n' '                            lawful        ms       MB'
for kind in "${kinds[@]}"; do
    LOCKSTEP_MUTATIONS=$count LOCKSTEP_MUTATION_KIND=$kind \
        "$plain" --exact every_mutation_is_refused_or_does_the_same --nocapture 2>&1 | rows ||
        code=1
done
if [[ $controls == yes ]]; then
    faulty=$(program --features faulty)
    [[ -x $faulty && $faulty != "$plain" ]] || die "the tests with checks taken out are not built"
    for row in "${CONTROLS[@]}"; do
        LOCKSTEP_MUTATIONS=150 LOCKSTEP_FAULTY=${row%% *} LOCKSTEP_MUTATION_KIND=${row##* } \
            "$faulty" --ignored --exact a_program_without_a_check_is_found_bad --nocapture 2>&1 |
            grep -E '^control |panicked|Error|FAILED' || code=1
    done
fi
exit "$code"
