#!/bin/bash
# SPDX-License-Identifier: MIT
# Semaphores as a user types them, in bash and in dash, with a native program on the other side.
# usage: semaphores.sh SEMAPHORE-PROGRAM (semaphore.c) posix|sysv
# shellcheck disable=SC2016  # what is in single quotes is for the shell under test
set -eu

if [ -z "${UNDER:-}" ]; then
    for UNDER in bash dash; do
        export UNDER
        "$UNDER" "$0" "$@" || { echo "FAILED under $UNDER"; exit 1; }
    done
    exit 0
fi

program=$1 kind=$2
about=$kind
# shellcheck source=tests/mount/words.sh
. "$(dirname "$0")/words.sh"
if [ "$kind" = posix ]; then
    name=lock dir=$MNT/sem create=$MNT/ctl/sem/create
    O=$dir/lock S=$dir/lock C=$MNT/ctl/sem/lock
else
    name=0x0000002a dir=$MNT/sysv/sem/by-key create=$MNT/ctl/sysv/sem/create
    O=$dir/$name S=$O/0 C=$MNT/ctl/sysv/sem/by-key/$name
fi

native() { "$program" "$kind" "$name" "$@"; }

quick() { # COMMAND...: must not wait
    timeout 5 "$@" || is "$* within 5 s" 0 $?
}

soon() { # EXPECTED COMMAND...: what is closed is given back a moment later
    want=$1 tries=0
    shift
    while [ "$("$@")" != "$want" ] && [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    is "$*" "$want" "$("$@")"
}
export S O C

# Made, used from both sides, looked at.
mkdir "$O"
is 'a new one is empty' 0 "$(native value)"
echo > "$S/post"
echo 2 > "$S/post"
is 'posts' 3 "$(native value)"
is 'cat wait prints what is left' 2 "$(quick cat "$S/wait")"
is 'value' 2 "$(cat "$S/value")"
left=$(cat "$S/wait")
is 'left=$(cat wait)' 1 "$left"
read -r left < "$S/wait"
is 'read < wait' 0 "$left"
status=0
timeout 0.3 cat "$S/wait" || status=$?
is 'timeout cat wait' 124 $status
is 'nothing was taken' 0 "$(native value)"
native post 5
is 'native posts' 5 "$(cat "$S/value")"
echo 1 > "$S/value"
is 'echo > value' 1 "$(native value)"
fails 'Invalid argument' 'env echo many > $S/value'
grep -q 'value' "$MNT/ctl/last-error" || is 'ctl/last-error' 'the file' "$(cat "$MNT/ctl/last-error")"
fails 'File exists' 'mkdir "$O"'
ls -lR "$O" > /dev/null
grep -q "value[:=] *1" "$C/state" || is 'state' 'value 1' "$(cat "$C/state")"
is 'looking takes nothing' 1 "$(native value)"

# A mutex: a subshell, a group, a function, open for both.
(exec 9< "$S/hold"; is 'inside' 0 "$(native value)"; exit $failures) || failures=$((failures + $?))
soon 1 native value
{ is 'in a group' 0 "$(native value)"; } 9< "$S/hold"
soon 1 native value
exec 9<> "$S/hold"
is 'exec 9<>' 0 "$(native value)"
status=0
timeout 0.3 "$UNDER" -c 'exec 8< $S/hold' || status=$?
is 'a second holder' 124 $status
exec 9<&-
soon 1 native value
locked() { is 'in a function' 0 "$(cat "$S/value")"; }
locked 9< "$S/hold"
soon 1 native value

# A worker that is killed while it holds.
"$UNDER" -c 'exec 9< $S/hold; echo in > $SCRATCH/says; exec sleep 60' &
worker=$!
soon 0 native value
{ kill -KILL $worker; wait $worker; } 2> /dev/null || true
soon 1 native value

# A latch: so many go through a gate as are let through.
echo 0 > "$S/value"
rm -f "$SCRATCH"/through.*
pids=
for i in 1 2 3 4 5; do
    (cat "$S/wait" > /dev/null; : > "$SCRATCH/through.$i") &
    pids="$pids $!"
done
through() { find "$SCRATCH" -name 'through.*' | wc -l; }
sleep 0.3
is 'nobody yet' 0 "$(through)"
echo 3 > "$S/post"
soon 3 through
native post 2
soon 5 through
# shellcheck disable=SC2086  # numbers
wait $pids

# Producer and consumer, one native.
SEMAPHORE_SECONDS=20 native wait 300 > "$SCRATCH/took" &
consumer=$!
i=0
while [ $i -lt 300 ]; do
    echo > "$S/post"
    i=$((i + 1))
done
wait $consumer
is 'a native consumer' '300 0' "$(wc -l < "$SCRATCH/took") $(native value)"
native post 300 &
i=0
while [ $i -lt 300 ]; do
    read -r left < "$S/wait"
    i=$((i + 1))
done
is 'a consumer in shell' 0 "$(native value)"
wait

# Removed, made again with a line.
native post 1
rmdir "$O"
fails 'No such file' 'cat $S/value'
if native value 2> /dev/null; then is 'natively gone' failure success; fi
if [ "$kind" = posix ]; then
    echo "$name value=3 mode=0660" > "$create"
    is 'create' '3 660' "$(native value) $(stat -c %a "$SHM/sem.$name")"
else
    echo "$name nsems=3 mode=0660" > "$create"
    echo 1 0 2 > "$O/values"
    is 'values' '1 0 2' "$(native value)"
    echo '0:-1 1:+1 2:-2' > "$O/op"
    is 'op' '0 1 0' "$(cat "$O/values")"
    "$UNDER" -c 'echo "0:-1 1:-1" > $O/op' &
    worker=$!
    sleep 0.2
    is 'an op that waits has taken nothing' '0 1 0' "$(native value)"
    echo 1 > "$O/0/post"
    wait $worker
    is 'an op that waited' '0 0 0' "$(native value)"
    is 'zero' 0 "$(quick cat "$O/1/zero")"
    fails 'File too large' 'env echo 3:1 > $O/op'
    fails 'out of range' 'env echo 0:32768 > $O/op'
    ipcs -s | grep -q "^$name" || is 'ipcs -s' "$name" "$(ipcs -s)"
fi
fails 'File exists' "env echo '$name' > '$create'"
native remove
is 'ls' '' "$(ls "$dir")"
[ "$failures" = 0 ]
