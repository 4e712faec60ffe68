# SPDX-License-Identifier: MIT
"""What ctl/ and proc/ tell a user is what he could learn natively: of his own processes all that root is told, of others'
nothing that lsof, fuser, ipcs, ss and /proc would not tell him, and nothing at all of what is in objects that he may not read."""
import atexit
import fcntl
import json
import os
import re
import select
import socket
import subprocess
import time

import everything
from everything import Wait, mutex_at, make_mutexes
from mounttest import CTL, MNT, SHM, User, attempt, eq, get, main, ok, refused
from queues import MQFS, check, libc, make_mq, make_msg, mount_mqfs, wait_until
from semaphores import make_posix
from twins import PIPE

USER = 1234
SECRET = 'xq7secret'
PR_SET_DUMPABLE = 4


# ---- what is there: all of root's (everything.py), things with secrets in them, and a few of the user's ----

def make_secrets():
    """In each way to keep something in an object; nobody but root may read it."""
    with open(f'{SHM}/vault', 'w') as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(SECRET)
    q = make_mq('vault', 4, 64)
    q.send(SECRET.encode())
    q.close()
    make_msg(0xa001).send(SECRET.encode())
    make_posix('vault', 4711).close()
    os.mkfifo(f'{PIPE}/vault', 0o600)

    def fifo(me):
        os.write(me.open(f'{PIPE}/vault', 'pipe/vault'), SECRET.encode())

    def nameless(me):
        me.kept += [os.memfd_create(SECRET), os.pipe(), socket.socketpair()]
        os.write(me.kept[1][1], SECRET.encode())
        me.kept[2][0].send(SECRET.encode())
        fd = os.open(f'{SHM}/{SECRET}', os.O_CREAT | os.O_RDWR, 0o600)
        os.ftruncate(fd, 4096)
        me.map(f'{SHM}/{SECRET}', None)
        os.unlink(f'{SHM}/{SECRET}')
        os.write(me.kept[1][1], b'%d' % os.fstat(me.kept[0]).st_ino)
    crowd.start('vault-fifo', fifo)
    crowd.start('vault-nameless', nameless)


def make_own():
    """Of the user: to hold and to wait, for things of his own and for what all may use."""
    make_mutexes('commons', 2)
    for name in ('commons', 'frames', 'flock'):
        os.chmod(f'{SHM}/{name}', 0o666)
    os.chmod(f'{MNT}/mq/in', 0o666)
    crowd.start('root-mutex', lambda me: mutex_at(me.map(f'{SHM}/commons', 'shm/commons'), 1).lock())

    def holds(me):
        me.open(f'{SHM}/frames', 'shm/frames')
        me.attach(everything.segment(0))
        me.kept += [os.memfd_create('own'), os.pipe()]

    def queue(me):
        q = me.queue('in', os.O_RDWR)
        return Wait('mq/in', 'mq_timedreceive', lambda: q.receive(1000))

    def lock(me):
        fd = me.open(f'{SHM}/flock', 'shm/flock')
        return Wait('shm/flock', 'flock', lambda: fcntl.flock(fd, fcntl.LOCK_EX))

    def mutex(me):
        m = mutex_at(me.map(f'{SHM}/commons', 'shm/commons'), 1)
        return Wait('shm/commons', 'futex', m.lock)
    for fn in (holds, queue, lock, mutex):
        crowd.start(f'own-{fn.__name__}', fn, user=USER)


crowd, leaked = everything.start_all()
make_secrets()
make_own()
mount_mqfs()
own = {pid for name, pid in crowd.pids.items() if name.startswith('own-')}
names_of_others = [name for name in crowd.pids if not name.startswith('own-')]
wait_until(lambda: all(everything.sleeps(pid) for pid in own), 'all sleep')
user = User(USER, USER)


# ---- asked as the user ----

def make_dumpable():
    return libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def may_look():
    """Processes that he may look into natively."""
    return {int(n) for n in os.listdir('/proc') if n.isdigit() and attempt(os.readlink, f'/proc/{n}/exe').startswith('/')}


def shown(path):
    return json.loads(get(f'{CTL}/{path}'))


def objects():
    found = []
    for kind in ('shm', 'mq', 'sem', 'sysv/shm/by-id', 'sysv/msg/by-id', 'sysv/sem/by-id', 'pipe', 'sock'):
        found += [f'{kind}/{name}' for name in os.listdir(f'{CTL}/{kind}') if os.path.isdir(f'{CTL}/{kind}/{name}')]
    return found


def all_rows(view):
    return {path: shown(f'{path}/{view}.json') for path in objects()}


def command(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30).stdout


def all_text():
    """All that can be read in ctl/ and proc/, the names and the links too."""
    return (subprocess.run('grep -ras "" ctl proc; ls -lR ctl proc 2>/dev/null', shell=True, cwd=MNT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60)
            .stdout.decode(errors='replace'))


def own_rows(rows):
    return [{k: v for k, v in r.items() if k not in ('since',)} for r in rows if r['pid'] in own]


def test_holders():
    native = user(may_look)
    ok(own <= native and not native & set(crowd.pids.values()) - own, 'the native right')
    for view in ('holders', 'waiters'):
        theirs, mine = user(all_rows, view), all_rows(view)
        eq(set(theirs), set(mine), 'objects')
        done = 0
        for path, rows in theirs.items():
            eq({r['pid'] for r in rows} - native, set(), f'{view} of {path}: strangers')
            eq(own_rows(rows), own_rows(mine[path]), f'{view} of {path}: his own')
            done += len(rows)
        ok(done >= 3, f'{view}: {done} rows')


def test_beside_lsof():
    """Natively he sees no more of frames, and no less."""
    for path, native in (('shm/frames', f'{SHM}/frames'), ('mq/in', f'{MQFS}/in'), ('shm/commons', f'{SHM}/commons')):
        pids = {int(w) for w in user(command, 'lsof', '-t', '-w', native).split()}
        eq({r['pid'] for r in user(shown, f'{path}/holders.json')}, pids, f'{path} beside lsof')
        fuser = {int(w) for w in user(command, 'fuser', native).split()}
        eq(pids, fuser, f'{path} beside fuser')


def test_waits():
    """Of his own processes. Who has the lock of a file is in /proc/locks, for all to read."""
    native = user(may_look)
    rows = {r['pid']: r for r in user(shown, 'waits.json')}
    eq(set(rows) - native, set(), 'strangers')
    locks = {int(line.split()[4]) for line in user(get, '/proc/locks').decode().splitlines() if '->' not in line}
    others = {h['pid'] for r in rows.values() for h in r['holders']} - native
    eq(others - locks, set(), 'strangers who could end it')
    eq(others, {crowd.pids['flock-has']}, 'whom he knows')
    waiting = {crowd.pids[n] for n in ('own-queue', 'own-lock', 'own-mutex')}
    eq({pid for pid in rows if pid in own}, waiting, 'his own')
    eq(user(get, f'{CTL}/deadlocks'), b'', 'deadlocks')


def test_graph():
    """Nobody is drawn but his own."""
    for path in ('graph.dot', 'waits.dot'):
        text = user(get, f'{CTL}/{path}').decode()
        ok('own-lock' in text, f'his own are in {path}')
        strangers = [n for n in names_of_others if n[:15] in text and (path, n) != ('waits.dot', 'flock-has')]
        eq(strangers, [], f'strangers in {path}')


def test_nothing_leaks():
    """In all that he can read there is no content, no name of a stranger's thing without a name, and no stranger."""
    text = user(all_text)
    ok(len(text) > 20000, f'{len(text)} characters')
    ok(SECRET not in text, f'a secret: {[line for line in text.splitlines() if SECRET in line][:3]}')
    value = re.compile(r'(?<!\d)4711(?!\d)')  # not a part of the number of an inode
    ok(not value.search(text), f'a value: {[line for line in text.splitlines() if value.search(line)][:3]}')
    ok('memfd:scratch' not in text and 'gone (deleted)' not in text, 'what has no name')
    shown_names = [n for n in names_of_others if re.search(rf'(?<![\w-]){n[:15]}(?![\w-])', text)]
    eq(shown_names, ['flock-has'], 'processes of others; who has the lock of a file, /proc/locks tells')
    mine = all_text()
    ok('memfd:scratch' in mine and all(n[:15] in mine for n in names_of_others if 'shm' in n), 'root sees them')


def test_nameless():
    """Pipes of others have numbers that only they know."""
    numbers = {int(m[1]) for name in names_of_others for fd in os.listdir(f'/proc/{crowd.pids[name]}/fd')
               if (m := re.match(r'pipe:\[(\d+)', os.readlink(f'/proc/{crowd.pids[name]}/fd/{fd}'))) and int(fd) > 2}
    ok(len(numbers) >= 3, 'pipes of root')
    listed = {r['ino'] for r in user(shown, 'list.json')['pipe'] if r['kind'] == 'anonymous'}
    eq(listed & numbers, set(), 'pipes of others')
    ok(numbers <= {r['ino'] for r in shown('list.json')['pipe'] if r['kind'] == 'anonymous'}, 'root sees them')
    native = user(may_look)
    for row in user(shown, 'list.json')['sock']:
        pids = {int(p) for p in re.findall(r'\d+', str(row['holders'] or ''))}
        eq(pids - native, set(), f'who has a socket: {row}')


def test_states():
    """What the kernel keeps from him is kept."""
    eq([user(shown, f'mq/vault/state.json')[k] for k in ('curmsgs', 'bytes')], [None, None], 'a queue')
    eq(user(shown, 'sem/vault/state.json')['value'], None, 'a semaphore')
    state = user(attempt, get, f'{CTL}/pipe/vault/state.json')
    eq(isinstance(state, bytes) and json.loads(state)['queued'], None, 'a pipe')
    for path in (f'{MNT}/shm/vault', f'{MNT}/mq/vault', f'{CTL}/mq/vault/lines', f'{MNT}/sem/vault/value', f'{MNT}/pipe/vault', f'{CTL}/shm/vault/native'):
        eq(user(attempt, get, path), 'EACCES', path)


def list_of(kind):
    return {r['id']: (r['nattch'], r['cpid'], r['lpid']) for r in shown('list.json')[kind]}


def test_beside_ipcs():
    """ipcs tells everybody of all segments."""
    lines = [line.split() for line in user(get, '/proc/sysvipc/shm').decode().splitlines()]
    column = {name: i for i, name in enumerate(lines[0])}
    native = {int(w[column['shmid']]): tuple(int(w[column[n]]) for n in ('nattch', 'cpid', 'lpid')) for w in lines[1:]}
    told = user(list_of, 'sysv/shm')
    eq(set(told), set(native), 'segments')
    for number, values in told.items():
        ok(all(v in (None, n) for v, n in zip(values, native[number])), f'{number}: {values}, natively {native[number]}')


def test_orphans():
    """What he can not see is not safe, and of what the kernel counts he is told that somebody has it."""
    rows = user(shown, 'orphans.json')
    ok(all(r['verdict'] != 'safe' for r in rows), f'{rows}')
    ok(all(r['unseen'] > 0 for r in rows), 'there are processes out of sight')
    eq(user(attempt, get, f'{CTL}/orphans')[:4], b'kind', 'text')


def test_last_error():
    """Of others' lines nothing."""
    fd = os.open(f'{CTL}/mq/create', os.O_WRONLY)
    refused('EINVAL', os.write, fd, f'name maxmsg={SECRET}\n'.encode())
    os.close(fd)
    ok(SECRET in get(f'{CTL}/last-error').decode(), 'root reads it')
    ok(SECRET not in user(get, f'{CTL}/last-error').decode(), 'the user does not')


def events_seen():
    """What is told of something that another makes, changes and removes meanwhile."""
    fd = os.open(f'{CTL}/events.json', os.O_RDONLY | os.O_NONBLOCK)
    rows, end = '', time.monotonic() + 2
    open(f'{SHM}/../shm/begun', 'w').close()
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            rows += os.read(fd, 65536).decode()
    os.close(fd)
    return [json.loads(line) for line in rows.splitlines()]


def test_events():
    """Names are in directories that all may read. Who did it, inotify does not tell."""
    pid = os.fork()
    if not pid:
        wait_until(lambda: os.path.exists(f'{SHM}/begun'), 'the reader')
        fd = os.open(f'{SHM}/eventful', os.O_CREAT | os.O_RDWR, 0o600)
        os.ftruncate(fd, 100)
        os.unlink(f'{SHM}/eventful')
        os._exit(0)
    rows = user(events_seen)
    os.waitpid(pid, 0)
    ok([r for r in rows if r.get('name') == 'eventful'], f'it is told: {rows}')
    eq([r for r in rows if r.get('pid') == pid], [], 'who did it')


def test_hidden():
    """Where /proc hides others' processes, they are nowhere but where the kernel's own lists have them."""
    subprocess.run(['mount', '-o', 'remount,hidepid=invisible', '/proc'], check=True)
    try:
        rows = user(all_rows, 'holders')
        eq({r['pid'] for v in rows.values() for r in v} - own - {user.pid}, set(), 'strangers')
        text = user(all_text)
        eq([n for n in names_of_others if n[:15] in text], [], 'names of processes of others')
        ok(SECRET not in text, 'a secret')
    finally:
        subprocess.run(['mount', '-o', 'remount,hidepid=off', '/proc'], check=True)


user = User(USER, USER)
atexit.register(user.end)
user(make_dumpable)
main(globals(), cleaner=None, about_daemon=True)
