# SPDX-License-Identifier: MIT
"""What ctl/ shows of pipes beside what /proc tells, on a busy system; and that nothing and nobody is disturbed by it."""
import fcntl
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

from mounttest import CTL, MNT, SCRATCH, Requests, User, attempt, eq, get, in_child, join, main, ok, put, refused

PIPE = f'{MNT}/pipe'
NUMBER = (1 << 48) - 1
USER = 1234
children = []


def ctl(name, file):
    return f'{CTL}/pipe/{name}/{file}'


def set_capacity(name, value):
    fd = os.open(ctl(name, 'capacity'), os.O_WRONLY)
    try:
        os.write(fd, b'%d\n' % value)
    finally:
        os.close(fd)


def state(name):
    return json.loads(get(ctl(name, 'state.json')))


def listed():
    return json.loads(get(f'{CTL}/pipe/list.json'))


def row_of(name):
    rows = [r for r in listed() if r['name'] == name]
    eq(len(rows), 1, f'rows of {name}')
    return rows[0]


def start(fn, *args):
    """A child that is ready when fn has come to its pause()."""
    ready, told = os.pipe()
    pid = in_child(lambda: (os.close(ready), fn(*args), os.write(told, b'x'), os.close(told), forever()))
    os.close(told)
    eq(os.read(ready, 1), b'x', 'a child that is ready')
    os.close(ready)
    children.append(pid)
    return pid


def forever():
    while True:
        signal.pause()


def after():
    while children:
        pid = children.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for name in os.listdir(PIPE):
        os.unlink(f'{PIPE}/{name}')


def opened(*names):
    """Opens these at 100 and following."""
    for i, name in enumerate(names):
        fd = os.open(name if '/' in name else f'{PIPE}/{name}', os.O_RDWR)
        os.dup2(fd, 100 + i)
        os.close(fd)


# ---- beside /proc ----

def snapshot():
    """(kind, inode) of a pipe -> {pid: access}, of all processes but the daemon."""
    device = os.stat(MNT).st_dev
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        for fd in attempt(os.listdir, f'/proc/{pid}/fd'):
            path = f'/proc/{pid}/fd/{fd}'
            try:
                link, st = os.lstat(path), os.stat(path)
                anonymous = os.readlink(path).startswith('pipe:[')
            except OSError:
                continue
            if not stat.S_ISFIFO(st.st_mode) or pid == os.environ['IPCFS_PID']:
                continue
            own = st.st_dev == device
            key = ('anonymous' if anonymous else 'fifo', st.st_ino & NUMBER if own else st.st_ino)
            access = found.setdefault(key, {}).setdefault(int(pid), set())
            access.update(c for c, bit in (('r', 0o400), ('w', 0o200)) if link.st_mode & bit)
    return found


def word(holders):
    return ','.join(f'{pid}{"".join(sorted(access))}' for pid, access in sorted(holders.items()))


def check_list(before, rows, now):
    """What processes that do nothing have open must be shown just so. What others have may have changed meanwhile."""
    shown = {(r['kind'], r['ino']): r for r in rows if r['pids']}
    eq(len(shown), len([r for r in rows if r['pids']]), 'pipes that are shown, each once')
    same = 0
    for key, holders in before.items():
        if now.get(key) != holders or not set(holders) <= set(children) or len(holders) > 16:
            continue
        row = shown.get(key)
        ok(row, f'{key} is not shown: {word(holders)}')
        eq((row['pids'], row['readers'], row['writers']),
           (word(holders), *(sum(c in a for a in holders.values()) for c in 'rw')), f'{key}')
        same += 1
    return same


def hold_pipes(i):
    for _ in range(i % 5):
        os.pipe()
    opened(*(['a', 'b'][i % 2] for _ in range(i % 3)))


CHURN = 'while :; do echo x | cat | cat >/dev/null; echo y >{0}/c; done'
DRAIN = 'exec 3<>{0}/c; exec cat <&3 >/dev/null'


def churn(script):
    return subprocess.Popen(['sh', '-c', script.format(PIPE)], stderr=subprocess.DEVNULL, start_new_session=True)


def test_agreement():
    for name in 'abc':
        os.mkfifo(f'{PIPE}/{name}')
    for i in range(30):
        start(hold_pipes, i)
    busy = [churn(DRAIN)] + [churn(CHURN) for _ in range(3)]
    same = 0
    try:
        for _ in range(40):
            before = snapshot()
            rows = listed()
            same += check_list(before, rows, snapshot())
            for r in rows:
                ok(r['capacity'] is None or r['queued'] <= r['capacity'], f'{r}')
    finally:
        for p in busy:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
    eq(same, 40 * 62, 'pipes that were compared')


def test_text_and_json_agree():
    os.mkfifo(f'{PIPE}/a b\n')
    start(opened, 'a b\n')
    lines = get(f'{CTL}/pipe/list').decode().splitlines()
    row = row_of('a b\n')
    eq([l.split()[1:5] for l in lines if r'a\040b\012' in l],
       [[r'a\040b\012', str(row['ino']), str(row['capacity']), '0']], 'the line')


# ---- nothing is asked, nobody is let in ----

def cost_of(path):
    get(path)
    with Requests() as r:
        get(path)
    return {k: r[k] for k in ('lookup', 'getattr', 'statx', 'open')}  # others come when they come, as releases do


def test_no_requests():
    """The daemon looks at what lies on its own mount: it must not ask itself, however much of it is open."""
    os.mkfifo(f'{PIPE}/a')
    put(f'{MNT}/shm/file', b'x')
    paths = [ctl('a', f) for f in ('state', 'peek', 'capacity')] + [f'{CTL}/pipe/list']
    before = [cost_of(p) for p in paths]
    for _ in range(20):
        start(opened, 'a', f'{MNT}/shm/file', 'a')
    eq(state('a')['readers'], 20, 'readers')
    now = [cost_of(p) for p in paths]
    for path, few, many in zip(paths, before, now):
        ok(all(many[k] <= few[k] for k in few), f'requests for {path}: {many}, before {few}')


def test_nobody_is_let_in():
    os.mkfifo(f'{PIPE}/a')
    writer = subprocess.Popen(['sh', '-c', f'echo hello >{PIPE}/a'])
    time.sleep(0.2)
    for _ in range(30):
        for file in ('state', 'peek', 'capacity'):
            get(ctl('a', file))
        get(f'{CTL}/pipe/list')
        refused('ENXIO', set_capacity, 'a', 65536)
    eq(state('a')['writers'], 0, 'writers, of which one waits in open')
    eq(writer.poll(), None, 'the writer')
    eq(get(f'{PIPE}/a'), b'hello\n', 'what it writes')
    eq(writer.wait(5), 0, 'its end')


def await_room():
    """Without CAP_SYS_RESOURCE all of root's pipes count (pipe-user-pages-soft): others may have many for a while."""
    for _ in range(2000):
        ends = os.pipe()
        room = attempt(fcntl.fcntl, ends[0], fcntl.F_SETPIPE_SZ, 1 << 20) == 1 << 20
        for fd in ends:
            os.close(fd)
        if room:
            return
        time.sleep(0.01)


def test_peek_and_capacity():
    await_room()
    os.mkfifo(f'{PIPE}/a')
    eq(get(ctl('a', 'capacity')), b'', 'capacity without a pipe')
    fd = os.open(f'{PIPE}/a', os.O_RDWR)
    data = bytes(range(256)) * 200
    os.write(fd, data)
    for _ in range(3):
        eq(get(ctl('a', 'peek')), data, 'peek')
    eq((state('a')['queued'], row_of('a')['queued']), (len(data), len(data)), 'queued')
    set_capacity('a', 262144)
    eq(get(ctl('a', 'capacity')), b'262144\n', 'capacity')
    refused('EBUSY', set_capacity, 'a', 4096)
    ok(b'more waits in it' in get(f'{CTL}/last-error'), 'the reason')
    eq(os.read(fd, len(data)), data, 'what waited')
    eq(state('a')['holder'], [{'pid': os.getpid(), 'fd': fd, 'access': 'rw'}], 'holders')
    os.close(fd)


def test_busy():
    """A pipeline that is looked at all the time carries what it is given."""
    os.mkfifo(f'{PIPE}/a')
    size = 64 << 20
    block = os.urandom(1 << 20)
    reader = subprocess.Popen(['sha256sum', f'{PIPE}/a'], stdout=subprocess.PIPE, text=True)

    def write():
        with open(f'{PIPE}/a', 'wb') as f:
            for _ in range(size // len(block)):
                f.write(block)
    writer = in_child(write)
    looks = 0
    while reader.poll() is None:
        ok(len(get(ctl('a', 'peek'))) <= 1 << 16, 'peek')
        queued = state('a')['queued']  # None: who had it open has just ended
        ok(queued is None or queued <= 1 << 16, 'queued')
        looks += len(row_of('a')['kind'])
    join([writer], 'the writer')
    eq(reader.communicate()[0].split()[0], hashlib.sha256(block * (size // len(block))).hexdigest(), 'checksum')
    ok(looks, 'looked at')


# ---- rights ----

def test_user():
    os.mkfifo(f'{PIPE}/roots', 0o600)
    os.mkfifo(f'{PIPE}/shared')
    os.chmod(f'{PIPE}/shared', 0o666)
    user = User(USER, USER)
    fd = user(os.open, f'{PIPE}/shared', os.O_RDWR)  # the pipe is his: what root has does not count with it
    start(opened, 'roots', 'shared')
    user(os.close, fd)
    os.chmod(f'{PIPE}/shared', 0o622)
    eq(user(attempt, get, ctl('roots', 'peek')), 'EACCES', 'peek at what is not his')
    eq(user(attempt, get, ctl('roots', 'capacity')), 'EACCES', 'its capacity')
    eq(json.loads(user(get, ctl('roots', 'state.json')))['readers'], None, 'who has it open')
    eq(user(attempt, get, ctl('shared', 'peek')), 'EACCES', 'peek at what he may write')
    eq(json.loads(user(get, ctl('shared', 'state.json')))['readers'], 1, 'state of what he may write')
    eq(user(attempt, set_capacity, 'shared', 131072), None, 'its capacity set')
    eq(user(attempt, set_capacity, 'shared', 2000000000), 'EPERM', 'over his limit')
    rows = json.loads(user(get, f'{CTL}/pipe/list.json'))
    eq({r['name'] for r in rows if r['kind'] == 'fifo'}, {'roots', 'shared'}, 'FIFOs he is shown')
    user.end()
    eq(get(ctl('shared', 'capacity')), b'131072\n', 'capacity')


# ---- a file system that does not answer ----

def test_file_system_that_does_not_answer():
    other = f'{SCRATCH}/other'
    os.mkdir(other)
    daemon = subprocess.Popen([os.environ['IPCFS'], '-f', other], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    while not os.path.ismount(other):
        time.sleep(0.05)
    os.mkfifo(f'{other}/pipe/there')
    os.mkfifo(f'{PIPE}/here')
    start(opened, f'{other}/pipe/there', 'here')
    start(lambda: os.open(f'{other}/ctl/version', os.O_RDONLY))
    eq(row_of(f'{other}/pipe/there')['readers'], 1, 'readers')
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        eq(row_of(f'{other}/pipe/there')['readers'], 1, 'readers')
        eq(state('here')['readers'], 1, 'readers here')
        ok(time.monotonic() - before < 5, 'it takes too long')
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
        after()
        daemon.terminate()
        eq(daemon.wait(15), 0, 'its end')
        os.rmdir(other)


if __name__ == '__main__':
    main(globals(), after, about_daemon=True)
