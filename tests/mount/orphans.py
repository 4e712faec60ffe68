# SPDX-License-Identifier: MIT
"""ctl/orphans beside a known set of objects: left behind by processes that died, natively and through the mount, and held in
every way; and scripts/reap-orphans.  usage: orphans.py REAP-ORPHANS"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import scene
from mounttest import CTL, MNT, SCRATCH, SHM, User, clean, eq, get, in_child, join, main, ok
from queues import IPC_CREAT, IPC_RMID, MQFS, Mq, check, libc, mount_mqfs, wait_until
from semaphores import IPC_NOWAIT, SETALL, pthread
from silent import Silent
from twins import PIPE, SOCK, clean_directory

REAP = os.path.abspath(sys.argv[1])
NOBODY = 4321  # nobody else has this uid
PRIVATE = 0
kept = []


def rows():
    return json.loads(get(f'{CTL}/orphans.json'))


def name_of(row):
    return bytes.fromhex(row['name_hex']) if 'name_hex' in row else os.fsencode(row['name'])


def orphans():
    return {(row['kind'], os.fsdecode(name_of(row))): row for row in rows()}


def verdicts():
    return {key: row['verdict'] for key, row in orphans().items()}


def left_by(fn, uid=NOBODY):
    """Runs fn in a process of that user, which ends; gives what fn gave, a list of numbers."""
    out, into = os.pipe()

    def child():
        os.setresgid(uid, uid, uid)
        os.setgroups([])
        os.setresuid(uid, uid, uid)
        os.write(into, json.dumps(fn()).encode())

    join([in_child(child)], 'who leaves it')
    os.close(into)
    text = os.read(out, 65536)
    os.close(out)
    return json.loads(text)


def a_while():
    """Until nothing counts as made just now, or while somebody looked."""
    time.sleep(2.2)


# ---- making ----

def segment(key=PRIVATE):
    return check(libc.shmget(key, ctypes.c_size_t(4096), IPC_CREAT | 0o600), 'shmget')


def attach(shmid):
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(shmid, None, 0)
    ok(address not in (None, 2**64 - 1), 'shmat')
    return ctypes.c_void_p(address)


def message_queue(send=0, receive=0):
    msqid = check(libc.msgget(PRIVATE, IPC_CREAT | 0o600), 'msgget')
    message = ctypes.create_string_buffer(b'\1\0\0\0\0\0\0\0x', 9)
    for _ in range(send):
        check(libc.msgsnd(msqid, message, ctypes.c_size_t(1), 0), 'msgsnd')
    for _ in range(receive):
        check(libc.msgrcv(msqid, message, ctypes.c_size_t(1), ctypes.c_long(0), IPC_NOWAIT), 'msgrcv')
    return msqid


def semaphore_set(set_all):
    semid = check(libc.semget(PRIVATE, 2, IPC_CREAT | 0o600), 'semget')
    if set_all:
        check(libc.semctl(semid, 0, SETALL, (ctypes.c_ushort * 2)(1, 2)), 'SETALL')
    return semid


def shm(name):
    with open(f'{SHM}/{name}', 'wb') as f:
        f.write(b'content')


def posix_sem(name):
    ok(pthread.sem_open(b'/' + name.encode(), os.O_CREAT, 0o600, 1), 'sem_open')


def bound(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(b'%s/%s' % (SOCK.encode(), os.fsencode(name)))
    s.listen()
    return s


def make_natively():
    shm('shm')
    posix_sem('sem')
    Mq('empty', os.O_CREAT | os.O_RDWR, 0o600, 4, 64)
    Mq('full', os.O_CREAT | os.O_RDWR, 0o600, 4, 64).send(b'lost')
    bound('sock')
    os.mkfifo(f'{PIPE}/fifo')
    used = segment()
    libc.shmdt(attach(used))
    return {'sysv/shm': [segment(), used], 'sysv/msg': [message_queue(), message_queue(2, 2), message_queue(2, 1)],
            'sysv/sem': [semaphore_set(False), semaphore_set(True)]}


def make_by_mount():
    for path in ('shm/mshm', 'mq/mmq'):
        os.close(os.open(f'{MNT}/{path}', os.O_CREAT | os.O_WRONLY, 0o600))
    os.mkdir(f'{MNT}/sem/msem')
    for kind, line in (('sysv/shm', '0x77 size=4096'), ('sysv/msg', '0x77'), ('sysv/sem', '0x77 nsems=2')):
        with open(f'{CTL}/{kind}/create', 'w') as f:
            f.write(line + '\n')
    return []


def remove_all():
    clean()
    for kind, call in (('shm', libc.shmctl), ('msg', libc.msgctl), ('sem', lambda i, c, n: libc.semctl(i, 0, c))):
        for line in open(f'/proc/sysvipc/{kind}').readlines()[1:]:
            check(call(int(line.split()[1]), IPC_RMID, None), 'IPC_RMID')
    for name in os.listdir(f'{MNT}/mq'):
        os.unlink(f'{MNT}/mq/{name}')
    clean_directory(PIPE)
    clean_directory(SOCK)


# ---- what is left behind ----

def test_left_natively():
    ids = left_by(make_natively)
    a_while()
    shmids, msqids, semids = (map(str, ids[k]) for k in ('sysv/shm', 'sysv/msg', 'sysv/sem'))
    unused, used = shmids
    never, empty, full = msqids
    plain, set_all = semids
    found = orphans()
    eq({k: r['verdict'] for k, r in found.items()},
       {('shm', 'shm'): 'likely', ('sem', 'sem'): 'likely', ('mq', 'empty'): 'likely', ('mq', 'full'): 'unknown',
        ('sock', 'sock'): 'safe', ('pipe', 'fifo'): 'unknown',
        ('sysv/shm', unused): 'safe', ('sysv/shm', used): 'safe',
        ('sysv/msg', never): 'likely', ('sysv/msg', empty): 'safe', ('sysv/msg', full): 'unknown',
        ('sysv/sem', plain): 'likely', ('sysv/sem', set_all): 'safe'}, 'verdicts')
    for key, row in found.items():
        eq((row['uid'], row['unseen']), (NOBODY, 0), f'{key}')
        ok(2 <= row['age'] < 60, f'age of {key}: {row["age"]}')
        gone = 'dead' if key[0] == 'sysv/shm' else 'gone'
        eq(row['creator_state'], gone, f'creator of {key}')
        eq(row['creator'] is not None, key[0] == 'sysv/shm', f'creator of {key}')
    eq((found['mq', 'full']['content'], found['sysv/msg', full]['content'], found['sysv/msg', empty]['content']), (1, 1, 0),
       'messages')
    eq((found['shm', 'shm']['bytes'], found['sysv/shm', used]['bytes']), (7, 4096), 'bytes')
    eq([found['sysv/shm', i]['users_state'] for i in (unused, used)], ['none', 'dead'], 'users')
    text = get(f'{CTL}/orphans').decode().splitlines()
    eq(len(text), 1 + len(found), 'lines')
    eq(text[0].split()[:4], ['kind', 'name', 'verdict', 'age'], 'columns')


def test_left_by_mount():
    """What made them natively was the daemon, which lives: only that nobody of the user's is left speaks."""
    left_by(make_by_mount)
    time.sleep(1.1)
    found = orphans()
    eq(sorted(k[0] for k in found), ['mq', 'sem', 'shm', 'sysv/msg', 'sysv/sem', 'sysv/shm'], 'kinds')
    for key, row in found.items():
        eq((row['verdict'], row['creator_state']), ('likely', 'gone'), f'{key}')


def test_of_root():
    """Root's processes are always older than something."""
    shm('root')
    os.mkfifo(f'{PIPE}/fifo')
    time.sleep(1.1)
    eq(verdicts(), {('shm', 'root'): 'unknown'}, 'verdicts')


def test_just_made():
    while time.time() % 1 > 0.3:
        time.sleep(0.01)  # so that there is time for a look in the second in which they are made
    left_by(lambda: (shm('shm'), bound('sock'), message_queue(1, 1))[2])
    while True:
        look = verdicts()
        made = os.stat(f'{SHM}/shm').st_mtime
        if int(time.time()) > int(made):
            break
        ok('safe' not in look.values(), f'just made, and {look}')
        eq(look['shm', 'shm'], 'unknown', 'just made')
        ok(('sock', 'sock') not in look, 'a socket that was just made')
        time.sleep(0.05)


# ---- who lives ----

def living(fn, uid=0):
    """A process that has done fn and lives; its pid, and what fn gave."""
    out, into = os.pipe()

    def child():
        os.setresuid(uid, uid, uid)
        kept = fn()
        os.write(into, json.dumps(kept if isinstance(kept, int) else None).encode())
        os.close(into)
        while True:
            signal.pause()

    pid = in_child(child)
    os.close(into)
    answer = json.loads(os.read(out, 100))
    os.close(out)
    return pid, answer


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_creator_lives():
    pid, shmid = living(segment, NOBODY)
    msg_pid, msqid = living(lambda: message_queue(1, 1), NOBODY)
    left_by(lambda: shm('shm'))
    a_while()
    found = orphans()
    eq((found['sysv/shm', str(shmid)]['creator'], found['sysv/shm', str(shmid)]['creator_state']), (pid, 'alive'), 'creator')
    eq((found['sysv/msg', str(msqid)]['users'], found['sysv/msg', str(msqid)]['users_state']), (str(msg_pid), 'alive'), 'users')
    eq({r['verdict'] for r in found.values()}, {'unknown'}, 'verdicts')
    end(pid)
    end(msg_pid)
    eq(verdicts(), {('sysv/shm', str(shmid)): 'safe', ('sysv/msg', str(msqid)): 'safe', ('shm', 'shm'): 'likely'}, 'when they ended')


def test_zombie():
    pid, shmid = living(segment)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: b') Z ' in get(f'/proc/{pid}/stat'), 'a zombie')
    row = orphans()['sysv/shm', str(shmid)]
    eq((row['verdict'], row['creator_state'], row['unseen']), ('safe', 'dead', 0), 'of a creator whose parent does not care')
    os.waitpid(pid, 0)


def test_leader_ended():
    """The first thread is a zombie, and another goes on."""
    def thread_goes_on():
        threading.Thread(target=lambda: time.sleep(100)).start()
        shmid = segment()
        os.write(into, str(shmid).encode())
        libc.syscall(60 if os.uname().machine == 'x86_64' else 93, 0)

    out, into = os.pipe()
    pid = in_child(thread_goes_on)
    shmid = os.read(out, 100).decode()
    wait_until(lambda: b') Z ' in get(f'/proc/{pid}/stat'), 'a zombie')
    row = orphans()['sysv/shm', shmid]
    os.close(out)
    os.close(into)
    end(pid)
    eq((row['verdict'], row['creator_state']), ('unknown', 'alive'), 'of a creator whose first thread ended')


def test_silent_creator():
    """Nobody waits for a creator who does not answer, though he is alive."""
    silent = Silent()
    pid = silent.stuck(NOBODY, then=lambda: [segment() for _ in range(5)])
    a_while()
    answers = []
    reader = threading.Thread(target=lambda: answers.append(orphans()), daemon=True)
    reader.start()
    reader.join(10)
    waits = reader.is_alive()
    silent.end()
    reader.join()
    ok(not waits, 'he is waited for')
    found = [(r['creator'], r['creator_state'], r['verdict']) for r in answers[0].values()]
    eq(found, [(pid, 'alive', 'unknown')] * 5, 'of a creator who does not answer')
    end(pid)


def with_pid(pid, fn):
    """A process that gets this pid, which must be free."""
    while True:
        with open('/proc/sys/kernel/ns_last_pid', 'w') as f:
            f.write(str(pid - 1))
        got, answer = living(fn)
        if got == pid:
            return answer
        end(got)


def test_reused_pid():
    """Only a clock tells that it is another process, so it is not safe."""
    pid, shmid = living(segment)
    end(pid)
    eq(orphans()['sysv/shm', str(shmid)]['creator_state'], 'dead', 'creator')
    with_pid(pid, lambda: 0)
    row = orphans()['sysv/shm', str(shmid)]
    eq((row['verdict'], row['creator_state']), ('unknown', 'alive'), 'of a process that may be the creator')
    end(pid)
    time.sleep(5)
    with_pid(pid, lambda: 0)
    row = orphans()['sysv/shm', str(shmid)]
    eq((row['verdict'], row['creator'], row['creator_state']), ('likely', pid, 'reused'), 'of a process that is younger')
    end(pid)


# ---- what is held ----

def test_held():
    """In every way there is, by processes that live, natively and through the mount."""
    ids = scene.make_objects()
    commands = scene.start_all()
    try:
        wait_until(lambda: len(verdicts()) == 2, 'all who wait')
        eq(verdicts(), {('shm', 'nobody'): 'unknown', ('sysv/msg', str(ids[0x2002])): 'unknown'}, 'what is not held')
    finally:
        scene.end_all(commands)
    time.sleep(1.1)
    named = {('shm', n) for n in scene.SHM_OBJECTS} | {('mq', n) for n in scene.QUEUES} | {('sem', n) for n in scene.SEMAPHORES}
    found = verdicts()
    ok(named <= set(found), f'missing: {named - set(found)}')
    eq({k[0] for k in found}, {'shm', 'mq', 'sem', 'sysv/shm', 'sysv/msg', 'sysv/sem'} |
       ({'sock'} if ('sock', 'gateway') in found else set()), 'kinds')


def wait_by_mount():
    fd = os.open(f'{MNT}/sysv/msg/by-key/0x00000077', os.O_RDONLY)
    os.read(fd, 10)


def test_held_by_mount():
    left_by(make_by_mount)
    pid = in_child(wait_by_mount)
    other, _ = living(lambda: [os.open(f'{MNT}/{p}', os.O_RDONLY) for p in ('shm/mshm', 'mq/mmq', 'sysv/shm/by-key/0x00000077')] and 0)
    third, _ = living(lambda: os.open(f'{MNT}/sysv/sem/by-key/0x00000077/nsems', os.O_RDONLY))
    wait_until(lambda: {k[0] for k in orphans()} <= {'sem', 'sysv/sem'}, 'that they hold it')
    for p in (pid, other, third):
        end(p)
    wait_until(lambda: len(orphans()) == 6, 'that nobody holds them')


# ---- who asks ----

def look_as(uid):
    user = User(uid, uid)
    try:
        return user(orphans)
    finally:
        user.end()


def test_unprivileged():
    ids = left_by(make_natively)
    attached = left_by(segment)
    pid, _ = living(lambda: os.open(f'{SHM}/shm', os.O_RDONLY) and kept.extend((bound('bound'), attach(attached))) or 0)
    a_while()
    eq(('shm', 'shm') in orphans(), False, 'held, as root sees it')
    found = look_as(1234)
    ok(('sysv/shm', str(attached)) not in found and ('sock', 'bound') not in found, 'what the kernel counts as held')
    unused, used = map(str, ids['sysv/shm'])
    eq({k for k, r in found.items() if r['verdict'] != 'unknown'}, {('sysv/shm', unused), ('sysv/shm', used), ('sock', 'sock')},
       'what the kernel counts for everybody')
    ok(all(r['unseen'] > 0 for r in found.values()), 'processes out of sight')
    eq(found['shm', 'shm']['verdict'], 'unknown', 'what somebody out of sight holds')
    eq(found['mq', 'full']['content'], None, 'what is in the queue of another')
    eq(found['sysv/sem', str(ids['sysv/sem'][1])]['users'], None, 'who used the set of another')
    end(pid)


def test_hidden_processes():
    """Where /proc shows others' processes to nobody, they live all the same."""
    pid, shmid = living(segment)
    left_by(lambda: shm('shm'))
    a_while()
    subprocess.run(['mount', '-o', 'remount,hidepid=invisible', '/proc'], check=True)
    try:
        found = look_as(1234)
    finally:
        subprocess.run(['mount', '-o', 'remount,hidepid=off', '/proc'], check=True)
        end(pid)
    eq({k: (r['verdict'], r['creator_state'], r['unseen'] > 0) for k, r in found.items()},
       {('shm', 'shm'): ('unknown', 'gone', True), ('sysv/shm', str(shmid)): ('unknown', 'alive', True)}, 'what is told')


# ---- looking changes nothing ----

def states():
    """Of queues by the kernel's own file system: to ask through the mount is to look, and that leaves a time there."""
    out = {}
    for d in (SHM, MQFS, PIPE, SOCK):
        for name in os.listdir(d):
            st = os.lstat(f'{d}/{name}')
            out[d, name] = (st.st_mode, st.st_size, st.st_nlink, st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns)
    for kind in ('shm', 'msg', 'sem'):
        out[kind] = get(f'/proc/sysvipc/{kind}')
    return out


def test_looking_changes_nothing():
    left_by(make_natively)
    mount_mqfs()
    time.sleep(1.1)
    before = states()
    for _ in range(3):
        get(f'{CTL}/orphans')
        get(f'{CTL}/orphans.json')
        get(f'{CTL}/graph.dot')
    eq(states(), before, 'the objects')


# ---- names and commands ----

HOSTILE = [b'plain', b'two words', b"it's", b'$(touch BAD)', b'`touch BAD`', b'a;touch BAD', b'new\nline', b'\n', b'-rf', b'--',
           b'"', b'\\', b'\\012', b'*', b'~', b'\xff\xfe', 'ä'.encode(), b'\x1b[2J', b'list', b'@list', b'%s%n', b"'\n'"]


def bind_at(name):
    """Binds where the path is too long or odd for no address."""
    os.chdir(SOCK)
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    s.close()


def test_commands():
    for name in HOSTILE:
        with open(os.fsencode(SHM) + b'/' + name, 'wb') as f:
            f.write(b'x')
        os.mkdir(os.fsencode(MNT) + b'/sem/' + name)
    join([in_child(lambda: [bind_at(n) for n in HOSTILE] and 0)], 'binding')
    left_by(make_natively)
    a_while()
    found = rows()
    eq({name_of(r) for r in found if r['kind'] == 'sock'}, set(HOSTILE) | {b'sock'}, 'sockets')
    ok(all(' ' <= c <= '~' for r in found for c in r['command']), 'commands are printable')
    for row in found:
        subprocess.run(['bash', '-c', row['command']], check=True, cwd=SCRATCH, stdin=subprocess.DEVNULL)
    eq(orphans(), {}, 'left')
    eq((os.listdir(SHM), os.listdir(SOCK), os.listdir(PIPE)), ([], [], []), 'names')
    ok(not os.path.exists(f'{SCRATCH}/BAD'), 'a name was executed')


# ---- scripts/reap-orphans ----

def reap(*args, path=None, status=0):
    env = dict(os.environ, PATH=f'{path}:{os.environ["PATH"]}') if path else None
    r = subprocess.run([REAP, *args, MNT], capture_output=True, text=True, cwd=SCRATCH, stdin=subprocess.DEVNULL, env=env)
    eq((r.returncode, r.stderr), (status, ''), f'reap-orphans {args}')
    return r.stdout.splitlines()


def test_reap():
    join([in_child(lambda: [bind_at(n) for n in HOSTILE] and 0)], 'binding')
    left_by(make_natively)
    a_while()
    before = verdicts()
    safe = {k for k, v in before.items() if v == 'safe'}
    ok(len(safe) == len(HOSTILE) + 5, f'safe: {safe}')
    eq(reap(), [], 'nothing is older than an hour')
    eq(reap('--delete'), [], 'nothing is older than an hour')
    eq(sorted(reap('--older-than', '0')), sorted(r['command'] for r in rows() if r['verdict'] == 'safe'), 'dry run')
    eq(verdicts(), before, 'after a dry run')
    eq(len(reap('--older-than', '0', '--delete')), len(safe), 'lines')
    eq(verdicts(), {k: v for k, v in before.items() if v != 'safe'}, 'after --delete')
    ok(not os.path.exists(f'{SCRATCH}/BAD'), 'a name was executed')
    eq(reap('--older-than', '0', '--delete'), [], 'nothing is left')
    for wrong in (['--older-than', 'x'], ['--what'], ['a', 'b'], ['--older-than', '1x']):
        eq(subprocess.run([REAP, *wrong], capture_output=True).returncode, 2, f'{wrong}')
    eq(subprocess.run([REAP, SCRATCH], capture_output=True).returncode, 2, 'no mount')
    ok('usage' in subprocess.run([REAP, '--help'], capture_output=True, text=True, check=True).stdout, '--help')


def test_reap_looks_again():
    """Somebody attaches a segment between the first look and its removal: the second look, by cat, waits for that."""
    shmid, = left_by(lambda: [segment()])
    a_while()
    os.makedirs(f'{SCRATCH}/bin')
    with open(f'{SCRATCH}/bin/cat', 'w') as f:
        f.write('#!/bin/sh\n[ -e first ] && { touch second; until [ -e go ]; do sleep 0.01; done; }\ntouch first\nexec /bin/cat "$@"\n')
    os.chmod(f'{SCRATCH}/bin/cat', 0o755)
    pid = in_child(lambda: eq(reap('--older-than', '0', '--delete', path=f'{SCRATCH}/bin'), [], 'what was removed'))
    wait_until(lambda: os.path.exists(f'{SCRATCH}/second'), 'the second look')
    holder, _ = living(lambda: attach(shmid) and 0)
    open(f'{SCRATCH}/go', 'w').close()
    join([pid], 'reap-orphans')
    end(holder)
    eq(verdicts(), {('sysv/shm', str(shmid)): 'safe'}, 'it is still there')


if __name__ == '__main__':
    main(globals(), remove_all)
