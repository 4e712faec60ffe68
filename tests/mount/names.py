# SPDX-License-Identifier: MIT
"""A name is never remembered: what a call through the mount finds is what bears the name at that moment.

The kernel answers many a call from what it knows of a name, without asking the daemon: readlink, O_PATH, extended attributes, the
owner that chmod and a sticky directory go by, a rename between two names of one object. So it may know none. Objects are looked
at through the mount, changed natively, and at once a call is made: with every change, every call must do what it does natively.

usage: names.py [STEPS]     IPCFS_SEED=N repeats a run
"""
import ctypes
import os
import random
import sys

from mounttest import ASAN, MNT, SEED, SHM, TREE, User, attempt, daemon_only, eq, main, ok

libc = ctypes.CDLL(None, use_errno=True)
NAMES = ('a', 'b', 'c')
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 800 if ASAN else 4000
DONT_SYNC, BASIC_STATS, EXCHANGE, NOREPLACE = 0x4000, 0x7ff, 2, 1


def call(fn, *args):
    if fn(*args):
        raise OSError(ctypes.get_errno(), '')


# ---- calls: what they answer, told so that it is the same on both sides ----

def told(st):
    return st.st_size, oct(st.st_mode), st.st_uid, st.st_nlink


def opened(flags):
    def fn(path, other):
        fd = os.open(path, flags, 0o640)
        try:
            return told(os.fstat(fd))
        finally:
            os.close(fd)
    return fn


def path_descriptor(path, other):
    """Its size is the object's also after that has changed."""
    fd = os.open(path, os.O_PATH)
    try:
        native = f'{SHM}/{os.path.basename(path)}'
        size = os.fstat(fd).st_size
        attempt(os.truncate, native, size + 100)
        attempt(os.truncate, native, size + 200)
        return size, os.fstat(fd).st_size
    finally:
        os.close(fd)


def there(fn):
    """Of what is refused on one side only: whether the name is found."""
    def probe(path, other):
        return 'ENOENT' if attempt(fn, path) == 'ENOENT' else 'there'
    return probe


def statx_unsynced(path, other):
    call(libc.statx, -100, path.encode(), DONT_SYNC, BASIC_STATS, ctypes.create_string_buffer(256))


CALLS = {
    'stat': lambda path, other: told(os.stat(path)),
    'lstat': lambda path, other: told(os.lstat(path)),
    'statx, not synchronized': statx_unsynced,
    'access': lambda path, other: os.access(path, os.F_OK),
    'access, to write': lambda path, other: os.access(path, os.W_OK),
    'open': opened(os.O_RDONLY),
    'open to write': opened(os.O_RDWR),
    'open and cut': opened(os.O_WRONLY | os.O_TRUNC),
    'open or create': opened(os.O_RDWR | os.O_CREAT),
    'create': opened(os.O_RDWR | os.O_CREAT | os.O_EXCL),
    'open a directory': opened(os.O_RDONLY | os.O_DIRECTORY),
    'a path descriptor': path_descriptor,
    'chdir': lambda path, other: os.chdir(path),
    'below it': lambda path, other: os.stat(f'{path}/x'),
    'readlink': lambda path, other: os.readlink(path),
    'realpath': lambda path, other: bool(libc.realpath(path.encode(), ctypes.create_string_buffer(4096))),
    'getxattr': there(lambda path: os.getxattr(path, 'user.none')),
    'listxattr': there(os.listxattr),
    'statvfs': there(os.statvfs),
    'chmod': lambda path, other: os.chmod(path, 0o640),
    'chown': lambda path, other: os.chown(path, -1, os.getegid()),
    'utime': lambda path, other: os.utime(path, (1, 1)),
    'truncate': lambda path, other: os.truncate(path, 5000),
    'unlink': lambda path, other: os.unlink(path),
    'rename': lambda path, other: os.rename(path, other),
    'rename, not over': lambda path, other: call(libc.renameat2, -100, path.encode(), -100, other.encode(), NOREPLACE),
    'exchange': lambda path, other: call(libc.renameat2, -100, path.encode(), -100, other.encode(), EXCHANGE),
    'link': lambda path, other: os.link(path, other),
    'listdir': lambda path, other: sorted(os.listdir(os.path.dirname(path))),
}


# ---- what comes before ----

size = 0


def make(name, uid=None):
    """Every object is known by its size."""
    global size
    size += 1
    fd = os.open(f'{SHM}/{name}', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.ftruncate(fd, size)
    os.fchmod(fd, 0o666 if size % 2 else 0o600)
    if uid:
        os.fchown(fd, uid, uid)
    os.close(fd)


def replace(name):
    make('.new')
    os.rename(f'{SHM}/.new', f'{SHM}/{name}')


def anew(name):
    os.unlink(f'{SHM}/{name}')
    make(name)


def exchange(one, other):
    CALLS['exchange'](f'{SHM}/{one}', f'{SHM}/{other}')


CHANGES = {
    'unlink': lambda one, other: os.unlink(f'{SHM}/{one}'),
    'make': lambda one, other: make(one),
    'unlink and make': lambda one, other: anew(one),
    'make and rename over it': lambda one, other: replace(one),
    'rename': lambda one, other: os.rename(f'{SHM}/{one}', f'{SHM}/{other}'),
    'rename and make': lambda one, other: (os.rename(f'{SHM}/{one}', f'{SHM}/{other}'), make(one)),
    'exchange': exchange,
    'link': lambda one, other: os.link(f'{SHM}/{one}', f'{SHM}/{other}'),
    'link and unlink': lambda one, other: (os.link(f'{SHM}/{one}', f'{SHM}/{other}'), os.unlink(f'{SHM}/{one}')),
    'give away': lambda one, other: os.chown(f'{SHM}/{one}', 1001, 1001),
    'take back': lambda one, other: os.chown(f'{SHM}/{one}', 0, 0),
    'chmod': lambda one, other: os.chmod(f'{SHM}/{one}', 0o604),
    'truncate': lambda one, other: os.truncate(f'{SHM}/{one}', 7000),
}
LOOKS = ('stat', 'open', 'open to write', 'a path descriptor', 'readlink', 'access', 'listdir')


def clean():
    for name in os.listdir(SHM):
        os.unlink(f'{SHM}/{name}')


def state():
    return sorted((name, *told(os.stat(f'{SHM}/{name}'))) for name in os.listdir(SHM))


def do(name, path, other):
    return attempt(CALLS[name], path, other)


class Run:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.user = User(1001, 1001)

    def scene(self):
        """Objects, looks through the mount, native changes, and the call."""
        pick = self.rng.choice
        made = [(n, pick((0, 0, 1001))) for n in NAMES if self.rng.random() < 0.7]
        linked = self.rng.sample(NAMES, 2) if self.rng.random() < 0.3 else None
        looks = [(pick(LOOKS), pick(NAMES)) for _ in range(self.rng.randrange(1, 4))]
        changes = [(pick(list(CHANGES)), *self.rng.sample(NAMES, 2)) for _ in range(self.rng.randrange(1, 4))]
        return made, linked, looks, changes, pick(list(CALLS)), self.rng.sample(NAMES, 2), pick((0, 1001))

    def play(self, base, scene):
        """What the call answers, and what there is then."""
        global size
        made, linked, looks, changes, name, (one, other), uid = scene
        clean()
        size = 0
        for n, owner in made:
            make(n, owner)
        if linked:
            attempt(os.link, *(f'{SHM}/{n}' for n in linked))
        for look, n in looks:
            do(look, f'{base}/{n}', '')
        for change, *names in changes:
            attempt(CHANGES[change], *names)
        paths = f'{base}/{one}', f'{base}/{other}'
        answer = self.user(do, name, *paths) if uid else do(name, *paths)
        return answer, state()

    def go(self, steps):
        for step in range(steps):
            scene = self.scene()
            native, mount = (self.play(base, scene) for base in (SHM, TREE))
            if native != mount:
                made, linked, looks, changes, name, names, uid = scene
                raise AssertionError(f'step {step}: there were {made}, linked {linked}; looked at {looks}; natively {changes}; then '
                                     f'{name} of {names} by {uid}:\n    native {native}\n    mount  {mount}')
        clean()
        self.user.end()
        print(f'  {steps} steps')


def test_a_fixed_seed():
    Run(SEED).go(STEPS)


def test_a_fresh_seed():
    if 'IPCFS_SEED' not in os.environ:
        seed = int.from_bytes(os.urandom(4), 'little')
        print(f'  seed {seed} (repeat with IPCFS_SEED={seed})', flush=True)
        Run(seed).go(STEPS // 2)


# ---- files in objects: some of their names are remembered, but not the objects' ----

def read(name, directory):
    """What there is to read, with what stat(2) says."""
    fd = os.open(f'{directory}/{name}', os.O_RDONLY)
    text = os.read(fd, 100)
    os.close(fd)
    st = os.stat(f'{directory}/{name}')
    return text, oct(st.st_mode), st.st_uid


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


# What can not be told of a path whose directory is gone: there is nothing to be created in it.
BELOW = {name: fn for name, fn in CALLS.items() if name not in ('open or create', 'create', 'listdir')}


def is_gone(path):
    for name, fn in BELOW.items():
        ok(attempt(fn, path, path) in ('ENOENT', False), f'{name} of {path}, which is gone')


@daemon_only
def test_a_semaphore_that_is_replaced():
    path, native = f'{MNT}/sem/n', f'{SHM}/sem.n'
    stranger = User(1001, 1001)
    for count in range(50):
        os.mkdir(path, 0o600)
        write(f'{path}/value', str(count))
        text = b'%d\n' % count
        eq(read('value', path), (text, '0o100600', 0), 'the value')
        eq(attempt(stranger, read, 'value', path), 'EACCES', 'for a stranger')
        os.chmod(native, 0o666)
        eq(stranger(read, 'value', path), (text, '0o100666', 0), 'for a stranger who may')
        os.chmod(native, 0o600)
        eq(attempt(stranger, read, 'value', path), 'EACCES', 'for a stranger who may no more')
        os.chown(native, 1001, 1001)
        eq(stranger(read, 'value', path), (text, '0o100600', 1001), 'for the new owner')
        os.unlink(native)
        is_gone(f'{path}/value')
        os.mkdir(path, 0o600)
        eq(read('value', path), (b'0\n', '0o100600', 0), 'the value of the next one')
        os.rmdir(path)
    stranger.end()


@daemon_only
def test_a_set_that_is_replaced():
    """By one with the same id, and fewer semaphores."""
    next_id = '/proc/sys/kernel/sem_next_id'  # for checkpoint and restore; without it, the next set has another id
    for _ in range(20):
        large = libc.semget(0x77, 4, 0o1600)
        paths = f'{MNT}/sysv/sem/by-id/{large}', f'{MNT}/sysv/sem/by-key/0x00000077'
        for path in paths:
            eq(read('nsems', path), (b'4\n', '0o100444', 0), path)
            for member in (1, 3):
                eq(read('value', f'{path}/{member}'), (b'0\n', '0o100600', 0), path)
        directory = os.open(paths[0], os.O_RDONLY | os.O_DIRECTORY)
        libc.semctl(large, 0, 0)
        for path in paths:
            is_gone(f'{path}/nsems')
            is_gone(f'{path}/1/value')
        for fn, *args in ((os.open, 'nsems', os.O_PATH), (os.open, 'nsems', os.O_RDONLY), (os.readlink, 'nsems'), (os.stat, 'nsems')):
            eq(attempt(fn, *args, dir_fd=directory), 'ESTALE', f'{fn.__name__} from a directory that is gone')
        os.close(directory)
        if os.path.exists(next_id):
            write(next_id, str(large))
        small = libc.semget(0x77, 2, 0o1660)
        eq(small == large, os.path.exists(next_id), 'the id is the same')
        for path in paths[small != large:]:
            eq(read('nsems', path), (b'2\n', '0o100444', 0), path)
            eq(read('value', f'{path}/1'), (b'0\n', '0o100660', 0), path)
            is_gone(f'{path}/3')
        libc.semctl(small, 0, 0)


main(globals())
