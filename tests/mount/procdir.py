# SPDX-License-Identifier: MIT
"""proc/: the processes and the links to what they use, beside what the processes themselves know, /proc and lsof tell."""
import ctypes
import mmap
import os
import random
import re
import signal
import socket
import stat
import subprocess
import time

from mounttest import LONG, MNT, SEED, SHM, TREE, User, attempt, daemon_only, eq, get, in_child, main, ok, put, refused
from queues import Msg, check, libc, make_mq, unlink_mq
from silent import Silent
from twins import wait_until

PROC = f'{MNT}/proc'
USER = 1234
DAEMON = int(os.environ['IPCFS_PID'])
IPC_CREAT, IPC_RMID = 0o1000, 0
libc.shmat.restype = ctypes.c_void_p
libc.sem_open.restype = ctypes.c_void_p
children = []
cleanups = []


def after():
    while cleanups:
        cleanups.pop()()  # first: without it, a child that waits for a silent file system can not even be killed
    while children:
        end(children[-1])


def end(pid):
    if pid in children:
        children.remove(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def start(fn, *args, user=0):
    """A child that has run fn, which returns what it knows of its links, and then does nothing; pid and that."""
    told, tell = os.pipe()
    pid = in_child(child, fn, args, told, tell, user)
    os.close(tell)
    children.append(pid)
    with open(told) as f:
        return pid, eval(f.read())


def child(fn, args, told, tell, user):
    os.close(told)
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: it may be looked into, as after an execve(2)
    known = fn(*args)
    with open(tell, 'w') as f:
        f.write(repr(known))
    while True:
        signal.pause()


def fd_of(fd):
    return f'/proc/{os.getpid()}/fd/{fd}'


def ino(fd):
    return os.fstat(fd).st_ino


def links(pid, of=None):
    where = of or f'{PROC}/{pid}'
    return {name: os.readlink(f'{where}/{name}') for name in os.listdir(where)}


def must_have(pid, known):
    """The process has these links; beside them only those to what every child of the test has (its output)."""
    shown = links(pid)
    eq({k: v for k, v in shown.items() if k in known}, known, f'links of {pid}, of all {sorted(shown)}')
    inherited = {os.readlink(f'/proc/{os.getpid()}/fd/{fd}') for fd in os.listdir('/proc/self/fd') if
                 os.path.lexists(f'/proc/self/fd/{fd}')}
    eq([n for n in shown if n not in known and n not in inherited], [], f'other links of {pid}')


# ---- each kind ----

def hold_shm():
    put(f'{SHM}/jobs')
    put(f'{SHM}/mapped', b'x' * 4096)
    first = os.open(f'{SHM}/jobs', os.O_RDWR)
    os.dup(first)
    fd = os.open(f'{SHM}/mapped', os.O_RDWR)
    libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_long(0))
    os.close(fd)
    return {'shm:jobs': '../../shm/jobs', 'shm:mapped': '../../shm/mapped'}


def test_shm():
    pid, known = start(hold_shm)
    must_have(pid, known)
    for name in known:
        ok(os.path.samefile(f'{PROC}/{pid}/{name}', f'{TREE}/{name[4:]}'), f'where {name} leads')
        st = os.lstat(f'{PROC}/{pid}/{name}')
        eq((stat.filemode(st.st_mode), st.st_size, st.st_uid), ('lrwxrwxrwx', len(known[name]), 0), f'lstat of {name}')


def hold_removed():
    put(f'{SHM}/old', b'x')
    put(f'{SHM}/older', b'x' * 4096)
    fd = os.open(f'{SHM}/old', os.O_RDWR)
    os.unlink(f'{SHM}/old')
    mapped = os.open(f'{SHM}/older', os.O_RDWR)
    libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_SHARED, mapped, ctypes.c_long(0))
    os.close(mapped)  # the mapping is all there is: one of Python's own would keep a descriptor
    os.unlink(f'{SHM}/older')
    with open('/proc/self/maps') as f:
        area = [line.split()[0] for line in f if '/older (deleted)' in line]
    return {'shm:old (deleted)': fd_of(fd), 'shm:older (deleted)': f'/proc/{os.getpid()}/map_files/{trim(area[0])}'}


def trim(area):
    return '-'.join(f'{int(a, 16):x}' for a in area.split('-'))


def test_removed():
    pid, known = start(hold_removed)
    must_have(pid, known)
    for name, target in known.items():
        eq(os.readlink(target), f'{SHM}/{name[4:]}', f'what {target} is')


def hold_nameless():
    known = {}
    same = [os.memfd_create('same'), os.memfd_create('same')]
    for fd in same:
        known[f'memfd:same[{ino(fd)}]'] = fd_of(fd)
    fd = os.memfd_create('other')
    known['memfd:other'] = fd_of(fd)
    fd = os.memfd_create('like[1]')
    known[f'memfd:like[1][{ino(fd)}]'] = fd_of(fd)
    r, w = os.pipe()
    known[f'pipe:[{ino(r)}]'] = fd_of(min(r, w))
    hold_nameless.sockets = socket.socketpair() + (socket.socket(socket.AF_INET, socket.SOCK_DGRAM),)
    for s in hold_nameless.sockets:
        known[f'socket:[{ino(s.fileno())}]'] = fd_of(s.fileno())
    return known


def test_nameless():
    pid, known = start(hold_nameless)
    must_have(pid, known)
    eq(os.stat(f'{PROC}/{pid}/memfd:other').st_ino, os.stat(known['memfd:other']).st_ino, 'by the link')


def test_mq():
    def hold():
        hold.queue = make_mq('jobs')
        return {'mq:jobs': '../../mq/jobs'}
    cleanups.append(lambda: unlink_mq('jobs'))
    pid, known = start(hold)
    must_have(pid, known)


def test_sem():
    def hold():
        ok(libc.sem_open(b'/slots', os.O_CREAT, 0o600, 1), 'sem_open')
        return {'sem:slots': '../../sem/slots'}
    pid, known = start(hold)
    must_have(pid, known)
    eq(os.listdir(f'{PROC}/{pid}/sem:slots'), os.listdir(f'{MNT}/sem/slots'), 'by the link')


def test_sysv_shm():
    number = check(libc.shmget(42, 8192, IPC_CREAT | 0o600), 'shmget')
    cleanups.append(lambda: libc.shmctl(number, IPC_RMID, None))

    def hold():
        ok(libc.shmat(number, None, 0) not in (None, ctypes.c_void_p(-1).value), 'shmat')
        return {f'sysv-shm:{number}': f'../../sysv/shm/by-id/{number}'}
    pid, known = start(hold)
    must_have(pid, known)


# What is only ever waited for.

def test_sysv_waiting():
    queue = Msg(43, IPC_CREAT | 0o600)
    sems = check(libc.semget(44, 1, IPC_CREAT | 0o600), 'semget')
    cleanups.append(lambda: libc.msgctl(queue.id, IPC_RMID, None))
    cleanups.append(lambda: libc.semctl(sems, 0, IPC_RMID))
    for wait, name, target in (
            (lambda: queue.receive(flags=0), f'sysv-msg:{queue.id}', f'../../sysv/msg/by-id/{queue.id}'),
            (lambda: libc.semop(sems, b'\0\0\xff\xff\0\0', ctypes.c_size_t(1)), f'sysv-sem:{sems}',
             f'../../sysv/sem/by-id/{sems}')):
        pid = in_child(wait)
        children.append(pid)
        wait_until(lambda: name in os.listdir(f'{PROC}/{pid}'), f'{name} is a link of who waits')
        eq(os.readlink(f'{PROC}/{pid}/{name}'), target, name)
        end(pid)
        refused('ENOENT', os.readlink, f'{PROC}/{pid}/{name}')


def test_pipe_and_sock():
    os.mkfifo(f'{MNT}/pipe/logger')
    cleanups.append(lambda: os.unlink(f'{MNT}/pipe/logger'))
    cleanups.append(lambda: os.unlink(f'{MNT}/sock/web'))

    def hold():
        os.open(f'{MNT}/pipe/logger', os.O_RDWR)
        hold.socket = socket.socket(socket.AF_UNIX)
        hold.socket.bind(f'{MNT}/sock/web')
        hold.socket.listen()
        return {'pipe:logger': '../../pipe/logger', 'sock:web': '../../sock/web'}
    pid, known = start(hold)
    must_have(pid, known)


@daemon_only
def test_through_the_mount():
    number = check(libc.shmget(42, 8192, IPC_CREAT | 0o600), 'shmget')
    cleanups.append(lambda: libc.shmctl(number, IPC_RMID, None))
    cleanups.append(lambda: unlink_mq('jobs'))
    make_mq('jobs')
    put(f'{SHM}/jobs')
    os.mkdir(f'{MNT}/sem/slots')
    with open(f'{MNT}/sem/slots/value', 'w') as f:
        f.write('3\n')

    def hold():
        os.open(f'{TREE}/jobs', os.O_RDWR)
        os.open(f'{MNT}/mq/jobs', os.O_RDWR)
        os.open(f'{MNT}/sem/slots/hold', os.O_RDONLY)
        os.open(f'{MNT}/sysv/shm/by-id/{number}', os.O_RDWR)
        os.open(f'{PROC}', os.O_RDONLY)
        return {'shm:jobs': '../../shm/jobs', 'mq:jobs': '../../mq/jobs', 'sem:slots': '../../sem/slots',
                f'sysv-shm:{number}': f'../../sysv/shm/by-id/{number}'}
    pid, known = start(hold)
    must_have(pid, known)


# ---- names ----

def hold_names(names):
    known = {}
    for name in names:
        put(f'{SHM}/{name}')
        fd = os.open(f'{SHM}/{name}', os.O_RDWR)
        shown = name if len(os.fsencode(name)) <= 251 else f'#{ino(fd)}'
        shown += f'[{ino(fd)}]' if shown.endswith(']') else ''
        known[f'shm:{shown}'] = f'../../shm/{name}'
    return known


def test_names():
    names = ['a b', 'a\nb', 'é', 'ends]', 'x:y', '#1', 'l' * 251, 'm' * 252, 'é' * 127, 'old (deleted)', '-rf', '*']
    pid, known = start(hold_names, names)
    must_have(pid, known)
    for name in known:
        ok(os.path.exists(f'{PROC}/{pid}/{name}'), f'{name!r} leads somewhere')
    refused('ENAMETOOLONG', os.readlink, f'{PROC}/{pid}/{"n" * 256}')


def test_many():
    pid, known = start(lambda: hold_names([f'{i:04} {"n" * 200}' for i in range(700)]))
    must_have(pid, known)


def test_one_after_another():
    """Who walks is shown one look for many links, but never that at another process."""
    many, known = start(lambda: hold_names([f'many {i}' for i in range(80)]))
    other, others = start(hold_nameless)
    for _ in range(3):
        must_have(many, known)
        must_have(other, others)
        refused('ENOENT', os.readlink, f'{PROC}/{other}/shm:many 1')


# ---- processes ----

def pids(where=PROC):
    return {n for n in os.listdir(where) if n.isdigit()}


def may_look():
    """Those that the caller may look into natively."""
    return {n for n in os.listdir('/proc') if n.isdigit() and attempt(os.readlink, f'/proc/{n}/exe').startswith('/')}


def test_processes():
    zombie = in_child(lambda: 0)
    os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
    eq(pids(), may_look() - {str(DAEMON)}, 'processes')
    refused('ENOENT', os.stat, f'{PROC}/{zombie}')
    os.waitpid(zombie, 0)
    me = os.getpid()
    for name in (DAEMON, f'0{me}', f'+{me}', f'{me} ', 0, -1, 1 << 22, 1 << 32, (1 << 32) + me, 'x', 'self0', '.x'):
        refused('ENOENT', os.stat, f'{PROC}/{name}')
    st = os.stat(f'{PROC}/{me}')
    eq((stat.filemode(st.st_mode), st.st_uid), ('dr-xr-xr-x', 0), 'attributes')
    inodes = {e.name: e.inode() for e in os.scandir(PROC)}
    eq({n: os.lstat(f'{PROC}/{n}').st_ino for n in inodes}, inodes, 'inodes')
    inodes = {e.name: e.inode() for e in os.scandir(f'{PROC}/{me}')}
    eq({n: os.lstat(f'{PROC}/{me}/{n}').st_ino for n in inodes}, inodes, 'inodes of links')


def test_threads_are_no_processes():
    import threading
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        ok(os.path.exists(f'/proc/{thread.native_id}'), 'natively it is found')
        refused('ENOENT', os.stat, f'{PROC}/{thread.native_id}')
        eq(os.readlink(f'{PROC}/self'), str(os.getpid()), 'self')
    finally:
        done.set()
        thread.join()
    mine = []
    thread = threading.Thread(target=lambda: mine.append(os.readlink(f'{PROC}/self')))
    thread.start()
    thread.join()
    eq(mine, [str(os.getpid())], 'self in another thread')


def test_self():
    eq(os.readlink(f'{PROC}/self'), str(os.getpid()), 'self')
    out = subprocess.run(['readlink', f'{PROC}/self'], stdout=subprocess.PIPE, text=True).stdout
    ok(out.strip() not in ('', str(os.getpid())), f'another process has another self: {out!r}')
    ok(stat.S_ISLNK(os.lstat(f'{PROC}/self').st_mode), 'a link')
    eq(sorted(os.listdir(f'{PROC}/self')), sorted(os.listdir(f'{PROC}/{os.getpid()}')), 'what is in it')


def test_other_user():
    theirs, _ = start(hold_nameless, user=USER)
    mine, known = start(hold_shm)
    os.chmod(f'{SHM}/jobs', 0o666)
    user = User(USER, USER)
    try:
        libc_dumpable = user(make_dumpable)
        eq(libc_dumpable, 0, 'prctl')
        native = user(may_look)
        ok(str(theirs) in native and str(mine) not in native, 'the native right')
        eq(user(pids), native, 'processes of a user')
        refused('ENOENT', user, os.listdir, f'{PROC}/{mine}')
        refused('ENOENT', user, os.lstat, f'{PROC}/{mine}/shm:jobs')
        refused('ENOENT', user, os.readlink, f'{PROC}/{mine}/shm:jobs')
        eq(user(links, theirs), links(theirs), 'his own')
        eq(os.lstat(f'{PROC}/{theirs}/memfd:other').st_uid, USER, 'owner of a link')
        eq(os.stat(f'{PROC}/{theirs}').st_uid, USER, 'owner of the directory')
        # What root has looked up is in the kernel's caches; and so is a directory that is open.
        eq(os.readlink(f'{PROC}/{mine}/shm:jobs'), known['shm:jobs'], 'to root')
        refused('ENOENT', user, os.readlink, f'{PROC}/{mine}/shm:jobs')
    finally:
        user.end()


def make_dumpable():
    return libc.prctl(4, 1, 0, 0, 0)


# ---- beside other tools ----

FD = re.compile(r'(?:pipe|socket):\[\d+\]$')


def of_proc(pid):
    """What /proc/PID/fd shows of pipes and sockets without a name."""
    return {t for t in (os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')) if FD.match(t)}


def test_beside_proc():
    start(hold_nameless)
    start(hold_shm)
    for pid in pids():
        if int(pid) == os.getpid():
            continue  # its descriptors change while it looks
        eq({n for n in os.listdir(f'{PROC}/{pid}') if FD.match(n)}, of_proc(pid), f'pipes and sockets of {pid}')


def test_beside_lsof():
    pid, known = start(hold_nameless)
    out = subprocess.run(['lsof', '-n', '-P', '-w', '-a', '-p', str(pid), '-d', '0-999', '-F', 'ftin'],
                         stdout=subprocess.PIPE, text=True).stdout
    theirs, fd = {}, None
    for line in out.splitlines():
        if line[0] == 'f':
            fd = line[1:]
            theirs[fd] = {}
        elif fd:
            theirs[fd][line[0]] = line[1:]
    ok(theirs, f'lsof says nothing: {out!r}')
    mine = {}
    for name, target in links(pid).items():
        mine[target.rpartition('/')[2]] = name
    for fd, name in mine.items():
        row = theirs[fd]
        if name.startswith('memfd:'):
            ok(row['n'].startswith('/memfd:' + name[6:].split('[')[0]), f'lsof of {name}: {row}')
        elif name.startswith('pipe:'):
            eq((row['t'], f'pipe:[{row["i"]}]'), ('FIFO', name), 'lsof of a pipe')
    eq(len([r for r in theirs.values() if 'memfd:' in r.get('n', '')]), len([n for n in known if n[:5] == 'memfd']), 'memfds')


# ---- processes come and go ----

def test_end_of_process():
    pid, known = start(hold_shm)
    directory = os.open(f'{PROC}/{pid}', os.O_RDONLY)
    eq(sorted(n for n in os.listdir(directory) if n in known), sorted(known), 'before')
    end(pid)
    refused('ENOENT', os.listdir, directory)
    refused('ENOENT', os.stat, directory)
    refused('ENOENT', os.readlink, 'shm:jobs', dir_fd=directory)
    refused('ENOENT', os.listdir, f'{PROC}/{pid}')
    os.close(directory)


def test_use_ends():
    """A link is what is true when it is looked up, and when it is read."""
    r, w = os.pipe()
    done, tell = os.pipe()

    def hold():
        known = hold_shm()
        if not os.fork():
            os._exit(0)
        return known
    pid, known = start(hold)
    os.close(r), os.close(w), os.close(done), os.close(tell)
    put(f'{SHM}/new')
    os.rename(f'{SHM}/jobs', f'{SHM}/renamed')
    eq(os.readlink(f'{PROC}/{pid}/shm:renamed'), '../../shm/renamed', 'renamed')
    refused('ENOENT', os.readlink, f'{PROC}/{pid}/shm:jobs')
    os.unlink(f'{SHM}/renamed')
    ok(os.readlink(f'{PROC}/{pid}/shm:renamed (deleted)').startswith(f'/proc/{pid}/fd/'), 'removed')
    refused('ENOENT', os.readlink, f'{PROC}/{pid}/shm:renamed')


def fork_with_pid(pid):
    for _ in range(100):
        with open('/proc/sys/kernel/ns_last_pid', 'w') as f:
            f.write(str(pid - 1))
        new = in_child(signal.pause)
        children.append(new)
        if new == pid:
            return
        end(new)
    raise AssertionError(f'pid {pid} is not given again')


def test_pid_is_used_again():
    pid, known = start(hold_shm)
    directory = os.open(f'{PROC}/{pid}', os.O_RDONLY | os.O_DIRECTORY)
    link = os.open(f'{PROC}/{pid}/shm:jobs', os.O_PATH | os.O_NOFOLLOW)
    os.listdir(directory)
    end(pid)
    time.sleep(0.05)  # the time of the start tells them apart, to a hundredth of a second
    fork_with_pid(pid)
    eq(os.path.isdir(f'{PROC}/{pid}'), True, 'the new one')
    refused('ENOENT', os.listdir, directory)
    refused('ENOENT', os.stat, directory)
    refused('ENOENT', os.readlink, 'shm:jobs', dir_fd=directory)
    refused('ENOENT', os.readlink, '', dir_fd=link)
    refused('ENOENT', os.readlink, f'{PROC}/{pid}/shm:jobs')
    os.close(directory)
    os.close(link)


GONE = re.compile(r'No such (file or directory|process)|File removed before we read it|file changed as we read it|'
                  r'Exiting with failure status due to previous errors')


def walk(*argv):
    """A program that walks through proc/ ends in time, and complains of nothing but what has gone."""
    p = subprocess.run(argv, cwd=MNT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    rest = [line for line in p.stderr.decode(errors='replace').splitlines() if not GONE.search(line)]
    eq(rest, [], f'complaints of {argv[0]}')
    ok(p.returncode in (0, 1, 2), f'{argv}: status {p.returncode}')
    return p.stdout


WALKS = (['ls', '-lR', 'proc'], ['find', 'proc', '-ls'], ['tar', 'c', '-f', '-', 'proc'], ['grep', '-r', 'x', 'proc'],
         ['du', '-a', 'proc'], ['find', '-L', 'proc', '-maxdepth', '2', '-type', 'f'])


def fork_storm(seconds):
    rng = random.Random(SEED)
    stop = time.monotonic() + seconds
    running = []
    while time.monotonic() < stop:
        pid = os.fork()
        if not pid:
            hold_nameless()
            time.sleep(rng.random() / 50)
            os._exit(0)
        running.append(pid)
        while len(running) > 10:
            os.waitpid(running.pop(0), 0)
    for pid in running:
        os.waitpid(pid, 0)


def test_storm():
    storm = in_child(fork_storm, 6)
    rounds = 0
    while not os.waitpid(storm, os.WNOHANG)[0]:
        for argv in WALKS:
            walk(*argv)
        rounds += 1
    print(f'  {rounds} rounds')
    ok(rounds >= 1, 'the walks take too long')


def test_walks_change_nothing():
    """What is in pipes, queues and sockets stays there, and what is shown is whole."""
    queue = make_mq('jobs')
    cleanups.append(lambda: unlink_mq('jobs'))
    queue.send(b'stays')
    r, w = os.pipe()
    os.write(w, b'stays')
    a, b = socket.socketpair()
    a.send(b'stays')
    mine = {f'{PROC}/{os.getpid()}/{n}' for n in ('mq:jobs', f'pipe:[{ino(r)}]', f'socket:[{ino(a.fileno())}]')}
    for argv in WALKS:
        out = walk(*argv).decode(errors='replace')
        if argv[0] == 'find' and '-ls' in argv:
            eq([m for m in mine if m[len(MNT) + 1:] not in out], [], 'found')
    eq((queue.take(), os.read(r, 100), b.recv(100)), ([(b'stays', 0)], b'stays', b'stays'), 'contents')
    queue.close()
    os.close(r), os.close(w), a.close(), b.close()


# ---- processes that do not answer ----

def seconds(fn, *args):
    begun = time.monotonic()
    fn(*args)
    return time.monotonic() - begun


@daemon_only
def test_silent():
    """Whoever asks for such a process is told so in time, and nobody else waits."""
    silent = Silent()
    cleanups.append(silent.end)
    pids_stuck = [silent.stuck(USER) for _ in range(20)]
    children.extend(pids_stuck)
    shown, known = start(hold_shm)
    ok(all(str(p) in pids() for p in pids_stuck), 'they are listed')

    def ask_for_them():
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        for _ in range(3):
            for p in pids_stuck:
                attempt(os.listdir, f'{PROC}/{p}')
                attempt(os.readlink, f'{PROC}/{p}/x')
    took = []

    def others():
        stop = time.monotonic() + (3 if LONG else 1.5)
        while time.monotonic() < stop:
            attempt(os.mkdir, f'{PROC}/new')  # it wants proc/ for itself
            took.append(max(seconds(os.listdir, PROC), seconds(os.stat, f'{PROC}/{shown}'), seconds(os.listdir, f'{MNT}/ctl'),
                            seconds(get, f'{MNT}/ctl/version'), seconds(os.stat, f'{PROC}/{pids_stuck[0]}')))
    asker = in_child(ask_for_them)
    children.append(asker)
    others()
    print(f'  others: at most {max(took) * 1000:.1f} ms in {len(took)} rounds')
    ok(sorted(took)[len(took) * 9 // 10] < 0.4, f'one in ten others waits {sorted(took)[len(took) * 9 // 10]:.3f} s')
    ok(seconds(refused, 'ETIMEDOUT', os.listdir, f'{PROC}/{pids_stuck[-1]}') < 5, 'root is told in time')
    must_have(shown, known)
    os.waitpid(asker, 0)
    children.remove(asker)
    cleanups.pop()
    silent.end()
    wait_until(lambda: isinstance(attempt(os.listdir, f'{PROC}/{pids_stuck[0]}'), list), 'it answers again')


@daemon_only
def test_signals():
    """stat(2), readlink(2) and getdents(2) are not interrupted by signals that a program handles."""
    pid, known = start(hold_shm)
    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    calls, stop = 0, time.monotonic() + 2
    try:
        while time.monotonic() < stop:
            os.lstat(f'{PROC}/{pid}/shm:jobs')
            os.readlink(f'{PROC}/{pid}/shm:jobs')
            os.listdir(f'{PROC}/{pid}')
            calls += 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f'  {calls} calls, {len(caught)} signals')
    ok(calls > 20 and len(caught) > 20, 'there were calls and signals')
    must_have(pid, known)


def test_killed():
    """Who walks can be killed at any time."""
    start(hold_nameless)
    for i in range(60):
        walker = subprocess.Popen(['ls', '-lR', PROC], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.001 * (i % 7))
        walker.kill()
        ok(walker.wait(10) in (0, 1, -signal.SIGKILL), 'it ends')


# ---- nothing changes ----

def test_read_only():
    pid, known = start(hold_shm)
    link = f'{PROC}/{pid}/shm:jobs'
    for where in (PROC, f'{PROC}/{pid}'):
        refused('EPERM', put, f'{where}/new')
        refused('EPERM', os.mkdir, f'{where}/new')
        refused('EPERM', os.mkfifo, f'{where}/new')
        refused('EPERM', os.symlink, 'x', f'{where}/new')
        refused('EPERM', os.chmod, where, 0o777)
        refused('EPERM', os.chown, where, 1, 1)
        refused('EPERM', os.utime, where)
        refused('EISDIR', os.open, where, os.O_RDWR)
    refused('EPERM', os.unlink, link)
    refused('EPERM', os.unlink, f'{PROC}/self')
    refused('EPERM', os.rmdir, f'{PROC}/{pid}')
    refused('EPERM', os.rename, link, f'{PROC}/{pid}/new')
    refused('EPERM', os.rename, f'{PROC}/{pid}', f'{PROC}/new')
    refused('EPERM', os.link, link, f'{PROC}/{pid}/new', follow_symlinks=False)
    refused('EPERM', os.chown, link, 1, 1, follow_symlinks=False)
    refused('ELOOP', os.open, link, os.O_RDONLY | os.O_NOFOLLOW)
    refused('ENOTDIR', os.stat, f'{PROC}/{pid}/shm:jobs/x')
    eq(os.statvfs(PROC).f_namemax, 255, 'statfs')
    must_have(pid, known)


# ---- speed ----

def test_listing_is_quick():
    crowd = 2000
    group = in_child(crowd_of, crowd)
    children.append(group)
    wait_until(lambda: len(pids()) > crowd, f'{crowd} processes', 60)
    times = []
    for _ in range(5):
        begun = time.monotonic()
        seen = len(os.listdir(PROC))
        times.append(time.monotonic() - begun)
    print(f'  {seen} processes: {min(times) * 1000:.1f} ms')
    ok(seen > crowd, f'{seen} seen')
    if os.environ['IPCFS_MEASURE'] == '1':
        ok(min(times) < 0.25, f'the list takes {min(times):.3f} s')


def crowd_of(count):
    for _ in range(count):
        if not os.fork():
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            signal.pause()
    signal.pause()


main(globals(), after)
