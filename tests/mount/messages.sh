#!/bin/bash
# SPDX-License-Identifier: MIT
# Message queues as a user types them, in bash and in dash, with a native program on the other side of the queue.
# usage: messages.sh QUEUE-PROGRAM (queue.c) mq|sysv
set -eu

if [ -z "${UNDER:-}" ]; then
    for UNDER in bash dash; do
        export UNDER
        "$UNDER" "$0" "$@" || { echo "FAILED under $UNDER"; exit 1; }
    done
    exit 0
fi

kind=$2
about=$kind
# shellcheck source=tests/mount/words.sh
. "$(dirname "$0")/words.sh"
if [ "$kind" = mq ]; then
    name=q Q=$MNT/mq/q C=$MNT/ctl/mq/q dir=$MNT/mq normal=0
else
    name=0x0000002a Q=$MNT/sysv/msg/by-key/$name C=$MNT/ctl/sysv/msg/by-key/$name dir=$MNT/sysv/msg/by-key normal=1
fi

native() { "$program" "$kind" "$name" "$@"; }
program=$1

quick() { # COMMAND...: must not wait
    timeout 5 "$@" || is "$* within 5 s" 0 $?
}

now() { date +%s%N | cut -c1-13; }
export Q C

# Send and take, a message each.
touch "$Q"
is 'touch makes the queue' 0 "$(native count)"
echo a > "$Q"
echo b > "$Q"
is 'two messages' 2 "$(native count)"
is 'cat prints one message and ends' a "$(quick cat "$Q")"
is 'cat took one' 1 "$(native count)"
# shellcheck disable=SC2034
msg=$(cat "$Q")
is 'msg=$(cat q)' b "$msg"
is 'empty again' 0 "$(native count)"
rm "$Q"
native create
echo one >> "$Q"
printf two > "$Q"
is 'what a native receiver gets' "$normal 4 one

$normal 3 two" "$(native receive 2)"
native send "$normal" three four
is 'what a native sender sent' threefour "$(quick cat "$Q"; quick cat "$Q")"

# An empty queue: wait, and do not take what comes after the wait.
start=$(now)
status=0
timeout 1 cat "$Q" || status=$?
took=$(($(now) - start))
is 'timeout 1 cat' 124 "$status"
[ "$took" -ge 950 ] && [ "$took" -lt 3000 ] || is 'time of timeout 1 cat' '1000 ms' "$took"
echo later > "$Q"
is 'the message after a wait that ended' 1 "$(native count)"
is 'the next reader gets it' later "$(quick cat "$Q")"
timeout 10 cat "$Q" > "$SCRATCH/got" &
sleep 0.2
echo awaited > "$Q"
wait $!
is 'a waiting cat' awaited "$(cat "$SCRATCH/got")"
timeout 10 cat "$Q" > "$SCRATCH/got" &
sleep 0.2
native send "$normal" natively
wait $!
is 'a waiting cat and a native sender' natively "$(cat "$SCRATCH/got")"

# One descriptor, message after message.
native send "$normal" m1 m2 m3
exec 3< "$Q"
is '$(cat <&3), first' m1 "$(quick cat <&3)"
is '$(cat <&3), second' m2 "$(quick cat <&3)"
exec 3<&-
is 'closing takes nothing' 1 "$(native count)"
is 'the third' m3 "$(quick cat "$Q")"
echo 'first line' > "$Q"
echo 'second line' > "$Q"
exec 3< "$Q"
IFS= read -r line <&3
is 'read -r line' 'first line' "$line"
is 'read takes one' 1 "$(native count)"
IFS= read -r line <&3 || true # the end of the first message
[ -n "$line" ] || IFS= read -r line <&3
is 'read -r line, again' 'second line' "$line"
exec 3<&-
exec 3<> "$Q"
echo 'to myself' >&3
is 'exec 3<>' 'to myself' "$(quick cat <&3)"
exec 3>&-
is 'empty message' "$normal 0 " "$(native send "$normal" ''; native receive 1)"
env printf 'two\nlines\n' > "$Q" # the one built into bash writes each line
is 'newlines are bytes' 'two
lines' "$(quick cat "$Q")"

# Lines.
printf 'x\ny y\n  z\\\n' > "$C/lines"
is 'lines sends each' "$normal 1 x
$normal 3 y y
$normal 4   z\\" "$(native receive 3)"
native send "$normal" l1 'l 2' 'l\3'
timeout 10 "$UNDER" -c 'n=0
    while IFS= read -r l; do printf "<%s>\n" "$l"; n=$((n + 1)); [ $n = 3 ] && break; done < "$C/lines"' > "$SCRATCH/got"
is 'while read' '<l1>
<l 2>
<l\3>' "$(cat "$SCRATCH/got")"
timeout 10 "$UNDER" -c 'while IFS= read -r l; do echo "$l"; [ "$l" = end ] && break; done < "$C/lines"' \
    > "$SCRATCH/got" &
for word in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 end; do echo "$word" > "$Q"; done
wait $!
is 'while read streams' '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 end' "$(tr '\n' ' ' < "$SCRATCH/got" | sed 's/ *$//; s/  */ /g')"
is 'nothing is left' 0 "$(native count)"

# Many. Nothing is lost and nothing changes places.
count=${COUNT:-100000}
QUEUE_SECONDS=60 native seq "$count" &
timeout 60 seq "$count" > "$C/lines" || is 'seq > lines' 0 $?
wait $! || is 'native receiver of seq' 0 $?
QUEUE_SECONDS=60 native sendseq "$((count / 2))" &
# head wants to seek back in a regular file and says that it can't.
timeout 60 head -n "$((count / 2))" "$C/lines" > "$SCRATCH/got" 2> "$SCRATCH/err" || true
wait $! || is 'native sender' 0 $?
seq "$((count / 2))" | cmp - "$SCRATCH/got" || is 'lines read' same different
is 'nothing is left' 0 "$(native count)"
timeout 60 head -n "$((count / 4))" "$C/lines" > "$SCRATCH/got" 2> "$SCRATCH/err" &
timeout 60 seq "$((count / 4))" > "$C/lines" || is 'seq > lines' 0 $?
wait $! || true
seq "$((count / 4))" | cmp - "$SCRATCH/got" || is 'lines to lines' same different

# What does not purge, what does.
native send "$normal" 'kept' 'too'
: > "$Q"
is '> does not purge' 2 "$(native count)"
echo and >> "$Q"
is '>> neither' 3 "$(native count)"
is 'ls -l tells the bytes' 11 "$(stat -c %s "$Q")"
fails 'Invalid argument' 'truncate -s 5 "$Q"'
is 'a refused truncate' 3 "$(native count)"
truncate -s 0 "$Q"
is 'truncate -s 0 purges' '0 0' "$(native count) $(stat -c %s "$Q")"

# Names.
fails 'not permitted' "mv '$Q' '$dir/other'"
fails 'not permitted' "ln '$Q' '$dir/other'"
chmod 640 "$Q"
chown 1234:4321 "$Q"
is 'chmod and chown' '640 1234 4321' "$(stat -c '%a %u %g' "$Q")"
is 'a regular file' 'regular empty file' "$(stat -c %F "$Q")"
rm "$Q"
fails 'No such file' 'cat "$Q"'
if native count 2> "$SCRATCH/err"; then is 'the native name after rm' gone there; fi
echo made > "$Q"
is '> makes a queue' 1 "$(native count)"
native remove
fails 'No such file' 'stat "$Q"'
[ "$failures" = 0 ]
