# SPDX-License-Identifier: MIT
"""Looking at it all (ls, find, stat, grep -r, tar) takes nothing, blocks on nothing and disturbs nobody, whatever goes on."""
import os
import random
import subprocess
import time

from listeners import CREATE, SOCK, Left, Listener, clean_listeners, parked, put_line, raw_write, set_nonblocking, wait_parked
from mounttest import ASAN, CTL, LONG, SEED, attempt, eq, in_child, join, main, metrics, ok
from queues import Watch, output, shell

LOOKS = [f'ls -laR {SOCK}', f'find {SOCK} -ls', f'stat {SOCK}/* {SOCK}/*/*', f'du -a {SOCK}', f'find {SOCK} -size +0 -o -newer /proc',
         f'grep -r . {CTL}/sock {CTL}/pipe', f'grep -r . {CTL}', f'tar cf - {CTL} | wc -c', f'find {CTL} -type f | xargs -d "\\n" cat',
         f'cat {SOCK}/*/type {SOCK}/*/backlog', f'readlink {SOCK}/*/socket', f'cat {CTL}/sock/list.json {CTL}/pipe/list {CTL}/sock/limits', f'ls -l {SOCK}/*/.']


def test_everything_busy():
    """A queue that is full, one in which somebody waits, data on its way, datagrams, openers: all is there afterwards."""
    with Left('all that was looked at'):
        s, full, grams = Listener('flow'), Listener('full', 'backlog=2'), Listener('grams', 'type=dgram')
        client, server = s.pair()
        queue = [os.open(full.connect, os.O_RDWR) for _ in range(3)]
        for i, fd in enumerate(queue):
            os.write(fd, b'%d' % i)
        os.write(client, b'data')
        send = os.open(grams.send, os.O_WRONLY)
        for i in range(5):
            os.write(send, b'%d' % i)
        waiting = [shell(f'exec 3<> {full.connect}; echo w >&3; cat <&3'), shell(f'exec 3<> {s.accept}; cat <&3'),
                   shell(f'exec cat <&{client}', pass_fds=[client])]
        wait_parked(3, 'all wait')
        before = metrics()
        with Watch():
            for line in LOOKS * 2:
                begin = time.monotonic()
                p = shell(f'set -o pipefail; {line} > /dev/null')
                out, status = output(p, 10)
                ok(status == 0, f'{line}: status {status}, {out}')
                ok(time.monotonic() - begin < (10 if ASAN else 4), f'{line} takes {time.monotonic() - begin:.1f} s')
        eq((parked(), [p.poll() for p in waiting]), (3, [None] * 3), 'all wait on')
        ok(metrics()['ipcfs_handles'] <= before['ipcfs_handles'] + 1, 'handles')
        eq(os.read(server, 100), b'data', 'what was sent')
        recv = os.open(grams.recv, os.O_RDONLY | os.O_DIRECT)
        eq([os.read(recv, 10) for _ in range(5)], [b'%d' % i for i in range(5)], 'datagrams')
        for want in (b'0', b'1', b'2', b'w\n'):
            fd = os.open(full.accept, os.O_RDWR)
            eq(os.read(fd, 10), want, 'who was queued')
            os.close(fd)
        native = s.native()
        native.sendall(b'late')
        native.close()
        os.write(server, b'answer')
        os.close(server)
        os.close(client)
        eq([output(p) for p in waiting], [('', 0), ('late', 0), ('answer', 0)], 'who waited')
        for fd in (*queue, send, recv):
            os.close(fd)
        for s in (s, full, grams):
            s.remove()


def server(until):
    while time.monotonic() < until:
        fd = attempt(os.open, f'{SOCK}/echo/accept', os.O_RDWR | os.O_NONBLOCK)
        if not isinstance(fd, int):
            time.sleep(0.001)
            continue
        set_nonblocking(fd, False)
        while data := os.read(fd, 65536):
            os.write(fd, data)
        os.close(fd)
    return 0


def client(until, seed):
    rng, count = random.Random(seed), 0
    while time.monotonic() < until - 0.5:
        fd = os.open(f'{SOCK}/echo/connect', os.O_RDWR)
        for _ in range(rng.randrange(5)):
            data = rng.randbytes(rng.randrange(1, 30_000))
            eq(raw_write(fd, data), len(data), 'a write')
            got = b''
            while len(got) < len(data):
                got += (more := os.read(fd, 65536))
                ok(more, 'the server is there')
            eq(got == data, True, 'what came back')
        os.close(fd)
        count += 1
    return 0 if count > 10 else 1


def looker(until, seed):
    rng = random.Random(seed)
    while time.monotonic() < until:
        line = rng.choice(LOOKS)
        p = subprocess.run(['bash', '-c', f'exec > /dev/null 2>&1; {line}'], timeout=20)
        ok(p.returncode in (0, 1, 2, 123), f'{line}: status {p.returncode}')
    return 0


def namer(until, seed):
    """Others come and go meanwhile; what is looked at may be gone."""
    while time.monotonic() < until:
        attempt(put_line, CREATE, f'other{seed} type=dgram')
        attempt(os.mkdir, f'{SOCK}/again')
        attempt(os.rmdir, f'{SOCK}/other{seed}')
        attempt(os.rmdir, f'{SOCK}/again')
    return 0


def test_while_served():
    with Left('looks beside an echo server'):
        s = Listener('echo')
        until = time.monotonic() + (8 if LONG else 2)
        with Watch() as watch:
            watch.MOMENT = 2  # those who make and remove names wait for each other, for the directory
            pids = [in_child(server, until) for _ in range(3)] + [in_child(client, until, SEED + i) for i in range(2)]
            pids += [in_child(looker, until, i) for i in range(2)] + [in_child(namer, until, i) for i in range(2)]
            join(pids, 'all', 40)
        s.remove()


main(globals(), after=clean_listeners, about_daemon=True)
