#!/bin/bash
# SPDX-License-Identifier: MIT
# Critical sections under "hold", as a user writes them in bash and in dash: a counter file that many increment is exact,
# also where holders are killed and where native programs take the same semaphore.
# usage: sections.sh SEMAPHORE-PROGRAM (semaphore.c)     (ONLY=word: parts of it; IPCFS_SCALE: fewer of everything)
# shellcheck disable=SC2317  # the parts are called by their names
set -eu

program=$1
work=$SCRATCH/sections
scale=4
[ "$ASAN${IPCFS_LONG:-0}" != 01 ] || scale=1
scale=${IPCFS_SCALE:-$scale}
failures=0

if [ "${2:-}" = worker ]; then
    # sections.sh PROGRAM worker HOLD COUNT NAME, by the shell under test: an increment is a subshell, which may be killed.
    i=0
    while [ "$i" -lt "$4" ]; do
        i=$((i + 1))
        (
            exec 9< "$3"
            read -r pid rest < /proc/self/stat
            echo "$pid" > "$work/holder"
            read -r n < "$work/counter"
            echo $((n + 1)) > "$work/next.$5.$i"
            : > "$work/try.$5.$i"
            mv "$work/next.$5.$i" "$work/counter"
        ) || [ $? = 137 ] || exit 1
    done
    exit 0
fi

is() { # WHAT EXPECTED GOT
    if [[ $2 != "$3" ]]; then
        echo "FAILED: $part: $1: expected '$2', got '$3'"
        failures=$((failures + 1))
    fi
}

native() { SEMAPHORE_SECONDS=60 "$program" "$family" "$name" "$@"; }

soon() { # EXPECTED COMMAND...: within five seconds it prints this
    local want=$1 end=$((SECONDS + 6)) got
    shift
    while got=$("$@"); [[ $got != "$want" && $SECONDS -lt $end ]]; do
        sleep 0.02
    done
    is "$*" "$want" "$got"
}

begin() { # PART FAMILY VALUE: an empty counter and a new semaphore
    part="$1 of $2" family=$2
    rm -rf "$work"
    mkdir "$work"
    echo 0 > "$work/counter"
    if [[ $family == posix ]]; then
        name=lock hold=$MNT/sem/lock/hold
        mkdir "$MNT/sem/lock"
        echo "$3" > "$MNT/sem/lock/post"
    else
        name=0x0000005e hold=$MNT/sysv/sem/by-key/0x0000005e/0/hold
        mkdir "$MNT/sysv/sem/by-key/$name"
        echo "$3" > "$MNT/sysv/sem/by-key/$name/0/post"
    fi
    started=$(date +%s%N)
}

ended() { # COUNT: what must have been counted
    soon 1 native value
    is 'the counter' "$1" "$(cat "$work/counter")"
    native remove
    is 'what the shells complain of' '' "$(grep -sv Killed "$work/errors")"
    printf 'ok %s: %d increments, %d ms\n' "$part" "$1" "$((($(date +%s%N) - started) / 1000000))"
}

# Increments that were done: each leaves its try and no next.
done_ones() {
    local tries nexts
    tries=$(find "$work" -name 'try.*' | wc -l)
    nexts=$(find "$work" -name 'next.*' | while read -r f; do [[ ! -e ${f/next/try} ]] || echo; done | wc -l)
    echo $((tries - nexts))
}

join() { # PID...
    local pid
    for pid; do
        wait "$pid" || is "status of process $pid" 0 $?
    done
}

# The shell says of each that is killed that it was.
worker() { "$shell" "$0" "$program" worker "$hold" "$1" "$2" 2>> "$work/errors"; }

# The lines of the promise: nothing but a subshell, a read and an echo that is not atomic.
plain() {
    local pids=() i each=$((100 / scale))
    begin plain "$1" 1
    for i in {1..50}; do
        # shellcheck disable=SC2016
        "$shell" -c 'i=0
            while [ $i -lt "$3" ]; do
                i=$((i + 1))
                ( exec 9< "$1"; read -r n < "$2"; echo $((n + 1)) > "$2" ) || exit 1
            done' - "$hold" "$work/counter" "$each" &
        pids+=($!)
    done
    join "${pids[@]}"
    ended $((50 * each))
}

# Whoever has just said that he is inside is killed, now and then: at once, or he is no more inside.
kill_holders() { # STOP-FILE
    local pid kills=0
    while [[ ! -e $1 ]]; do
        sleep "0.0$((RANDOM % 5))"
        for _ in {1..20}; do
            pid=
            read -r pid < "$work/holder" || true
            if [[ -n $pid ]] && kill -KILL "$pid"; then
                kills=$((kills + 1))
                break
            fi
        done
    done 2> /dev/null
    echo "$kills" > "$work/kills"
}

killed() {
    local pids=() i killer each=$((60 / scale)) want
    begin "killed holders" "$1" 1
    for i in {1..20}; do
        worker "$each" "$i" &
        pids+=($!)
    done
    kill_holders "$work/stop" &
    killer=$!
    join "${pids[@]}"
    : > "$work/stop"
    join "$killer"
    want=$(done_ones)
    (($(cat "$work/kills") >= 3)) || is 'holders killed' 'three or more' "$(cat "$work/kills")"
    echo "  $(cat "$work/kills") kills, $want of $((20 * each)) increments done"
    ended "$want"
}

# Beside programs that know nothing of the mount. Those of System V are killed too: SEM_UNDO.
mixed() {
    local pids=() victims=() i killer each=$((60 / scale)) want
    begin "native ones beside" "$1" 1
    for i in {1..10}; do
        worker "$each" "$i" &
        pids+=($!)
        native section "$work" $((each * 5)) "native$i" alive &
        pids+=($!)
    done
    kill_holders "$work/stop" &
    killer=$!
    if [[ $1 == sysv ]]; then
        for i in {1..10}; do
            SEMAPHORE_SECONDS=60 "$program" sysv "$name" section "$work" 1000000 "victim$i" 2> /dev/null &
            victims+=($!)
        done
        for i in "${victims[@]}"; do # this shell says of each that it was killed
            sleep 0.1
            kill -KILL "$i"
            wait "$i" || is 'status of a killed one' 137 $?
        done 2> /dev/null
    fi
    join "${pids[@]}"
    : > "$work/stop"
    join "$killer"
    want=$(done_ones)
    echo "  $(cat "$work/kills") kills of shells, ${#victims[@]} of programs, $want increments done"
    ended "$want"
}

for shell in bash dash; do
    for family in posix sysv; do
        for what in plain killed mixed; do
            [[ "$what $family $shell" == *"${ONLY:-}"* ]] || continue
            # Both shells do each thing once: the plain one in dash, the others in turn.
            [[ $what != plain || $shell == dash || ${ONLY:-} == plain* ]] || continue
            [[ $what == plain || ( $what == killed && $shell == bash ) || ( $what == mixed && $shell == dash ) ]] || continue
            "$what" "$family"
        done
    done
done
exit $((failures > 0))
