# Running commands with a stopwatch, and the tables that come of it. Sourced by real-input.sh.
#
# A row is a command of one table. Where several commands have one name (publishing ten
# components), their seconds add up and the greatest peak counts.

# shellcheck shell=bash

declare -A row_seconds row_peak row_bytes row_code
declare -A table_files table_title
tables=()
declare -A table_rows

# table NAME FILES TITLE: the rows that follow stand in this table.
table() {
    TABLE=$1
    table_files[$1]=$2
    table_title[$1]=$3
    table_rows[$1]=""
    tables+=("$1")
}

# measure NAME CODE COMMAND...: runs the command, which must end with CODE, and notes what it took.
measure() {
    local name=$1 wanted=$2 log code=0 seconds peak key
    shift 2
    log=$LOGS/$TABLE.$(tr -c 'A-Za-z0-9\n' - <<<"$name").log
    printf '$ %s\n' "$*" >>"$log"
    /usr/bin/time -q -f '%e %M' -o "$LOGS/time" "$@" >>"$log" 2>&1 || code=$?
    if ((code != wanted)); then
        tail -30 "$log" >&2
        die "$name ended with $code, not with $wanted: $*"
    fi
    read -r seconds peak <"$LOGS/time"
    key="$TABLE|$name"
    if [[ -z ${row_seconds[$key]:-} ]]; then
        table_rows[$TABLE]+="$name"$'\n'
        row_seconds[$key]=0
        row_peak[$key]=0
    fi
    row_seconds[$key]=$(awk -v a="${row_seconds[$key]}" -v b="$seconds" 'BEGIN { print a + b }')
    if ((peak > row_peak[$key])); then row_peak[$key]=$peak; fi
    row_code[$key]=$code
    printf '%-44s %8s s %6s MB  exit %s\n' "$name" "$seconds" "$((peak / 1024))" "$code" >&2
}

# bytes_of NAME PATH: what the command of that name made, or read.
bytes_of() { row_bytes["$TABLE|$1"]=$(du -sb "$2" | cut -f1); }

print_tables() {
    local name
    for name in "${tables[@]}"; do
        printf '\n## %s\n\n| command | seconds | peak MB | MB | us per file | exit |\n' "${table_title[$name]}"
        printf '|---|---:|---:|---:|---:|---:|\n'
        print_rows "$name"
    done
    print_growth
}

print_rows() {
    local row key
    while IFS= read -r row; do
        [[ -n $row ]] || continue
        key="$1|$row"
        awk -v row="$row" -v seconds="${row_seconds[$key]}" -v peak="${row_peak[$key]}" \
            -v bytes="${row_bytes[$key]:-}" -v files="${table_files[$1]}" -v code="${row_code[$key]}" 'BEGIN {
                size = (bytes == "" ? "" : sprintf("%.2f", bytes / 1e6))
                each = (files > 0 ? sprintf("%.1f", seconds * 1e6 / files) : "")
                printf "| %s | %.2f | %.0f | %s | %s | %s |\n", row, seconds, peak / 1024, size, each, code
            }'
    done <<<"${table_rows[$1]}"
}

# How the time per file grows from the smallest to the greatest of the trees of small files.
print_growth() {
    local first last row
    ((${#SMALL_TABLES[@]} > 1)) || return 0
    first=${SMALL_TABLES[0]}
    last=${SMALL_TABLES[-1]}
    printf '\n## Time per file, from %s to %s files\n\n' "${table_files[$first]}" "${table_files[$last]}"
    printf '| command | us at %s | us at %s | grows by |\n|---|---:|---:|---:|\n' "${table_files[$first]}" "${table_files[$last]}"
    while IFS= read -r row; do
        [[ -n $row ]] || continue
        awk -v row="$row" -v a="${row_seconds["$first|$row"]}" -v n="${table_files[$first]}" \
            -v b="${row_seconds["$last|$row"]:-0}" -v m="${table_files[$last]}" 'BEGIN {
                a = a * 1e6 / n; b = b * 1e6 / m
                printf "| %s | %.1f | %.1f | %s |\n", row, a, b, (a > 0 ? sprintf("%.2f", b / a) : "")
            }'
    done <<<"${table_rows[$first]}"
}
