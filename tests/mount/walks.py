# SPDX-License-Identifier: MIT
"""Programs that walk through ctl/ and proc/, or all of the mount, on a system with objects of all kinds (everything.py) and
much to do (busy.py): they end, they complain of nothing but what has gone, they take nothing, and they change nothing."""
import array
import fcntl
import json
import os
import re
import subprocess
import termios
import time

import everything
from busy import start_busy
from mounttest import ASAN, CTL, MNT, SHM, eq, get, main, ok
from queues import MQFS, Msg, mount_mqfs
from semaphores import Set
from twins import PIPE, SOCK

BOUND = 60 if ASAN else 20
GONE = re.compile(r'No such (file or directory|process)|File removed before we read it|file changed as we read it|'
                  r'socket ignored|Exiting with failure status due to previous errors')
WALKS = ('grep -r x ctl proc', 'tar c ctl proc > /dev/null', 'find . -type f', 'du -a', 'ls -lR', 'find ctl -type f -exec cat {} +',
         'grep -rs "" ctl/shm ctl/mq ctl/sem ctl/sysv ctl/pipe ctl/sock')
busy = everything.Crowd()
crowd, _ = everything.start_all()
known = set(os.listdir(SHM)), {p: os.listdir(p) for p in (PIPE, SOCK)}


def walk(line):
    begin = time.monotonic()
    p = subprocess.run(['bash', '-c', line], cwd=MNT, stdin=subprocess.DEVNULL, capture_output=True, timeout=BOUND)
    rest = [text for text in p.stderr.decode(errors='replace').splitlines() if not GONE.search(text)]
    eq(rest, [], f'complaints of {line}')
    ok(p.returncode in (0, 1, 2, 123), f'{line}: status {p.returncode}')
    print(f'  {line}: {time.monotonic() - begin:.2f} s, {len(p.stdout)} bytes', flush=True)
    return p.stdout


# ---- what must stay ----

def queued(pid, fd):
    """Bytes in a pipe, without taking part in it for longer than a moment."""
    room = array.array('i', [0])
    with open(f'/proc/{pid}/fd/{fd}', 'rb', buffering=0, opener=lambda p, _: os.open(p, os.O_RDONLY | os.O_NONBLOCK)) as f:
        fcntl.ioctl(f, termios.FIONREAD, room)
    return room[0]


def pipes():
    """Of each end of a pipe that a process of the crowd has."""
    found = {}
    for name, pid in crowd.pids.items():
        for fd in os.listdir(f'/proc/{pid}/fd'):
            if int(fd) > 2 and (os.readlink(f'/proc/{pid}/fd/{fd}').startswith('pipe:') or name.startswith('fifo-read')):
                found[name, fd] = queued(pid, fd)
    return found


def states():
    """As the kernel tells, and not the mount: also when each was last used, and by whom. To look at a queue of POSIX leaves a
    time there, whoever does it."""
    out = {'pipes': pipes()}
    for where, names in ((SHM, known[0]), *known[1].items()):
        for name in names:
            st = os.lstat(f'{where}/{name}')
            out[where, name] = (st.st_mode, st.st_size, st.st_nlink, st.st_ino, st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)
            if where == SHM:
                with open(f'{SHM}/{name}', 'rb', opener=lambda p, _: os.open(p, os.O_RDONLY | os.O_NOATIME)) as f:
                    out['content', name] = f.read()
    for name in ('in', 'full', 'idle'):
        st = os.stat(f'{MQFS}/{name}')
        out['mq', name] = (st.st_mode, st.st_nlink, re.sub('NOTIFY.*', '', get(f'{MQFS}/{name}').decode()))
    for kind in ('shm', 'msg', 'sem'):
        lines = get(f'/proc/sysvipc/{kind}').decode().splitlines()
        out[kind] = {line.split()[1]: line for line in lines[1:] if int(line.split()[0]) & 0xffffffff < 0x9000}
    for number in out['sem']:
        s = Set.by_id(int(number))
        count = s.stat()['nsems']
        out['values', number] = (s.values(), [s.pid(i) for i in range(count)], [s.counts(i) for i in range(count)])
    return out


def same(before, after, what):
    eq(sorted(map(str, before)), sorted(map(str, after)), f'objects after {what}')
    for key, value in before.items():
        eq(after[key], value, f'{key} after {what}')


def shown():
    """What the mount itself says of the objects, but for the times of queues, and what a moment changes."""
    out = {}
    for kind, rows in json.loads(get(f'{CTL}/list.json')).items():
        for row in rows:
            if kind in ('pipe', 'sock') and not row.get('name'):
                continue
            key = kind, row.get('name') or row.get('id')
            out[key] = {k: v for k, v in row.items() if kind != 'mq' or k not in ('atime', 'ctime')}
    return out


def waiting():
    return sorted((r['pid'], r['call'], r['object'], r['since']) for r in json.loads(get(f'{CTL}/waits.json')) if r['pid'] in crowd.pids.values()
                  and r['call'] != 'wait4')


def near(one, other):
    """Since when is told to about a millisecond, or the kernel has forgotten it; here nobody may have run in between, by seconds."""
    return len(one) == len(other) and all(a[:3] == b[:3] and (None in (a[3], b[3]) or abs(a[3] - b[3]) < 0.1) for a, b in zip(one, other))


def test_quiet():
    """Nobody does anything but who walks."""
    get(f'{CTL}/list.json')
    eq([(Msg(key).stat()['qnum']) for key in (0x61, 0x62, 0x63)], [0, 2, 2], 'messages that everything.py has sent')
    time.sleep(1.1)  # times in seconds would tell
    before, view, waits = states(), shown(), waiting()
    eq({w[0] for w in waits}, {w[1] for w in crowd.waits if w[2] != 'wait4'}, 'who waits')
    for line in WALKS:
        out = walk(line)
        ok(len(out) > 1000 or '/dev/null' in line, f'{line} tells little')
        same(before, states(), line)
        eq(shown(), view, f'list.json after {line}')
        ok(near(waits, waiting()), f'who waits after {line}: before {waits}, then {waiting()}')
    for name in ('frames', 'leaked'):
        ok(before[SHM, name][4] == os.stat(f'{SHM}/{name}').st_atime_ns, 'time of the last read')


def test_busy():
    """And with much going on, and processes that come and go."""
    start_busy(busy)
    before = states()
    try:
        for line in WALKS:
            walk(line)
            same(before, states(), line)
        eq(get(f'{CTL}/deadlocks'), b'', 'deadlocks')
    finally:
        busy.end()


mount_mqfs()
main(globals(), cleaner=None, about_daemon=True)
