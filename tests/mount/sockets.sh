#!/bin/bash
# SPDX-License-Identifier: MIT
# A listening socket as a user types it, in bash and in dash: an echo server of ten lines, clients of all sorts.
# usage: sockets.sh
# shellcheck disable=SC2016  # what is in single quotes is for the shell under test
set -eu

if [ -z "${UNDER:-}" ]; then
    for UNDER in bash dash; do
        export UNDER
        "$UNDER" "$0" "$@" || { echo "FAILED under $UNDER"; exit 1; }
    done
    exit 0
fi

TURNS=100 AT_ONCE=40
if [ "${IPCFS_LONG:-}" = 1 ]; then TURNS=1000 AT_ONCE=100; fi
# shellcheck source=tests/mount/words.sh
. "$(dirname "$0")/words.sh"
umask 022
export S="$MNT/sock/echo"
work=$SCRATCH/sockets.$UNDER
mkdir "$work"

soon() { # EXPECTED COMMAND...: what is closed is gone a moment later
    want=$1 tries=0
    shift
    while [ "$("$@")" != "$want" ] && [ $tries -lt 250 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    is "$*" "$want" "$("$@")"
}

at_least() { # NUMBER COMMAND...
    want=$1 tries=0
    shift
    while [ "$("$@")" -lt "$want" ] && [ $tries -lt 500 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    [ "$("$@")" -ge "$want" ] || is "$*" "$want" "$("$@")"
}

gauge() { awk -v name="ipcfs_$1" '$1 == name { print int($2) }' "$MNT/ctl/metrics"; }
descriptors() { find "/proc/$IPCFS_PID/fd" -mindepth 1 | wc -l; }
handlers() { pgrep -cf "^$UNDER $work/server" || true; }
connections() { ss -Hxa | grep -c "ESTAB.*$(readlink "$S/socket") " || true; }

mkdir "$S"
is 'a new one' 'stream 4096' "$(cat "$S/type") $(cat "$S/backlog")"

cat > "$work/server" << 'END'
while exec 3<> $S/accept; do
    while IFS= read -r line; do
        printf '%s\n' "$line"
    done <&3 >&3 &
    exec 3>&-
done
END
"$UNDER" "$work/server" 2> "$work/server.err" &
server=$!
soon 1 gauge parked

# One client, typed.
exec 4<> "$S/connect"
printf '%s\n' 'hello  \n there' >&4
IFS= read -r line <&4
is 'typed' 'hello  \n there' "$line"
exec 4>&-
is 'socat' native "$(echo native | socat -t 5 - "UNIX-CONNECT:$S/socket")"
soon 1 handlers
soon 1 gauge parked

handles=$(gauge handles) fds=$(descriptors)
state() { echo "$(handlers) $(($(gauge handles) - handles)) $(gauge parked) $(connections)"; }
settled() {
    echo "settles after $1: handlers, handles, parked, connections"
    soon '1 0 1 0' state
    [ "$(descriptors)" -le $((fds + 2)) ] || is "descriptors of the daemon after $1" "$fds" "$(descriptors)"
}

# One after another: the shell, a native program, one process each.
cat > "$work/clients.py" << 'END'
import os, random, socket, sys
path, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    lines = b''.join(b'%d \\ %s\n' % (i, random.randbytes(random.randrange(40)).hex().encode()) for _ in range(3))
    s.sendall(lines)
    if i % 2:
        s.shutdown(socket.SHUT_WR)
    got = b''
    while len(got) < len(lines):
        more = s.recv(100)
        if not more:
            break
        got += more
    if got != lines or i % 2 and s.recv(1):
        sys.exit(f'client {i}: {got!r}, sent {lines!r}')
    s.close()
END
i=0
while [ $i -lt $((TURNS * 5 / 10)) ]; do
    exec 4<> "$S/connect"
    echo "turn $i" >&4
    read -r line <&4
    exec 4>&-
    [ "$line" = "turn $i" ] || is 'turn' "turn $i" "$line"
    i=$((i + 1))
done
python3 "$work/clients.py" "$S/socket" $((TURNS * 4 / 10)) || is 'native clients' 0 $?
i=0
while [ $i -lt $((TURNS / 20)) ]; do
    line=$(echo "program $i" | socat -t 5 - "UNIX-CONNECT:$S/socket")
    [ "$line" = "program $i" ] || is 'socat' "program $i" "$line"
    line=$("$UNDER" -c 'exec 4<> $S/connect 5< /dev/fd/4; echo "shell '$i'" >&4; exec 4>&-; cat <&5')
    [ "$line" = "shell $i" ] || is 'a shell each' "shell $i" "$line"
    i=$((i + 1))
done
soon 1 handlers
soon 1 gauge parked
settled 'one after another'

# Many at once. All are connected before anybody goes on; a third never ends, and is killed.
i=0
while [ $i -lt 60 ]; do
    echo "line $i"
    i=$((i + 1))
done > "$work/lines"
cat > "$work/shell-client" << 'END'
exec 4<> $S/connect 5< /dev/fd/4
echo first >&4
read -r line <&5
while [ ! -e $1/go ]; do sleep 0.3; done
cat $1/lines >&4
exec 4>&-
cat <&5 > $1/got.$2
END
cat > "$work/client.py" << 'END'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
f = s.makefile('rwb')
f.write(b'first\n')
f.flush()
f.readline()
while not os.path.exists(sys.argv[1] + '/go'):
    time.sleep(0.2)
with open(sys.argv[1] + '/lines', 'rb') as lines:
    s.sendall(lines.read())
s.shutdown(socket.SHUT_WR)
with open(f'{sys.argv[1]}/got.{sys.argv[3]}', 'wb') as out:
    out.write(f.read())
END
cat > "$work/victim" << 'END'
exec 4<> $S/connect
echo first >&4
read -r line <&4
while echo more; do read -r line <&4; [ $1 = 0 ] || sleep 0.$1; done >&4
END
i=0 victims='' clients=''
while [ $i -lt $AT_ONCE ]; do
    case $((i % 10)) in
    0 | 3 | 6) "$UNDER" "$work/victim" $((i / 5)) & victims="$victims $!" ;;
    1 | 8) python3 "$work/client.py" "$work" "$S/socket" $i & clients="$clients $!" ;;
    5) (
        echo first
        while [ ! -e "$work/go" ]; do sleep 0.3; done
        cat "$work/lines"
    ) | socat -t 30 - "UNIX-CONNECT:$S/socket" | tail -n +2 > "$work/got.$i" & clients="$clients $!" ;;
    *) "$UNDER" "$work/shell-client" "$work" $i & clients="$clients $!" ;;
    esac
    i=$((i + 1))
done
at_least $((AT_ONCE + 1)) handlers
{
    for pid in $victims; do kill -KILL "$pid"; done
    # shellcheck disable=SC2086  # numbers
    wait $victims || true
} 2> /dev/null
: > "$work/go"
for pid in $clients; do wait "$pid" || is "a client of $AT_ONCE at once" 0 $?; done
i=0 wrong=0
for got in "$work"/got.*; do
    cmp "$work/lines" "$got" || wrong=$((wrong + 1))
    i=$((i + 1))
done
is 'echoed to those at once, wrong' "$((AT_ONCE * 7 / 10)) 0" "$i $wrong"
soon 1 handlers
soon 1 gauge parked
settled 'many at once'

# The directory goes: so does the server, and nobody comes any more.
link=$(readlink "$S/socket")
rmdir "$S"
wait $server || true
grep -q 'Identifier removed' "$work/server.err" || is 'what the server says' 'Identifier removed' "$(cat "$work/server.err")"
[ ! -e "$link" ] || is 'the node' gone "$(ls -l "$link")"
fails 'No such file' 'exec 4< $S/connect'

# Bytes of all values, and a server which sends, with nothing but cat.
mkdir "$S"
# cat(1) and grep(1) refuse what is one regular file to read and to write; a connection is none.
head -c 3000000 /dev/urandom > "$work/bytes"
"$UNDER" -c 'while exec 3<> $S/accept; do cat <&3 >&3 & exec 3>&-; done' 2> /dev/null &
server=$!
socat -t 20 - "UNIX-CONNECT:$S/socket" < "$work/bytes" > "$work/back"
cmp "$work/bytes" "$work/back" || is 'bytes by socat' equal different
exec 4<> "$S/connect" 5< /dev/fd/4
cat "$work/bytes" >&4 5<&- 4>&4 &
exec 4>&-
cmp "$work/bytes" - <&5 || is 'bytes by a shell' equal different
exec 5<&-
wait $! || is 'who sent' 0 $?
rmdir "$S"
wait $server || true

# A packet is a packet; a datagram needs no connection.
echo 'echo type=seqpacket backlog=3' > "$MNT/ctl/sock/create"
is 'create' 'seqpacket 3' "$(cat "$S/type") $(cat "$S/backlog")"
"$UNDER" -c 'exec 3<> $S/accept; dd bs=100 count=2 status=none <&3; echo three >&3' > "$work/packets" &
server=$!
exec 4<> "$S/connect"
echo one >&4
echo two >&4
is 'an answer' three "$(dd bs=100 count=1 status=none <&4)"
exec 4>&-
wait $server
is 'packets' "one
two" "$(cat "$work/packets")"
echo dgram > "$S/type"
"$UNDER" -c 'cat $S/recv; cat $S/recv' > "$work/datagrams" &
server=$!
echo first > "$S/send"
echo second | socat - "UNIX-SENDTO:$S/socket"
wait $server
is 'datagrams' "first
second" "$(cat "$work/datagrams")"
fails 'not supported' 'exec 3<> $S/accept'
fails 'Invalid argument' 'env echo raw > $S/type'
grep -q 'stream, seqpacket or dgram' "$MNT/ctl/last-error" || is 'ctl/last-error' 'the types' "$(cat "$MNT/ctl/last-error")"
fails 'File exists' 'mkdir $S'
rmdir "$S"
is 'ls' '' "$(ls "$MNT/sock")"
[ "$failures" = 0 ]
