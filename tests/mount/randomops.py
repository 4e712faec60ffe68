# SPDX-License-Identifier: MIT
"""Random operations on few names, natively and through the mount; after every step both views and a model agree.

usage: randomops.py [STEPS]     IPCFS_SEED=N repeats a run
"""
import ctypes
import mmap
import os
import random
import stat
import sys

from mounttest import ASAN, LONG, NATIVE, PASSTHROUGH, SHM, STAT, TREE, attempt, fields, get, main

libc = ctypes.CDLL(None, use_errno=True)
NAMES = ['a', 'b', 'c', 'd', 'with space', 'é']
LIMIT = 40000
KEEP, PUNCH, ZERO = 1, 2, 16


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), 'fallocate')


# A write that is passed through takes set-id bits off, also root's, which keeps them natively: README says so.
SET_UID, SET_GID = (0, 0) if PASSTHROUGH and not NATIVE else (stat.S_ISUID, stat.S_ISGID)


class Object:
    """What one object must hold."""

    def __init__(self, mode):
        self.data, self.mode, self.uid, self.gid, self.links = bytearray(), mode, 0, 0, 1

    def write(self, at, data):
        self.resize(max(len(self.data), at))
        self.data[at:at + len(data)] = data

    def resize(self, size):
        del self.data[size:]
        self.data += bytes(size - len(self.data))


class Held:
    """An open object: a descriptor through the mount and a native one, for as long as it stays open."""

    def __init__(self, obj, mount, native, flags):
        self.obj, self.mount, self.native, self.flags = obj, mount, native, flags

    def close(self):
        os.close(self.mount)
        os.close(self.native)


class Run:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.seed, self.step, self.history = seed, 0, []
        self.objects = {}
        self.held, self.maps = [], []
        self.ops = [(getattr(self, n), weight) for n, weight in (
            ('create', 6), ('write', 6), ('append', 4), ('truncate', 4), ('map_and_store', 4), ('chmod', 3), ('chown', 2),
            ('rename', 4), ('unlink', 3), ('link', 3), ('utimens', 3), ('allocate', 3), ('punch', 3), ('hold', 4),
            ('hold_write', 6), ('hold_truncate', 2), ('hold_append', 2), ('hold_stat', 1), ('release', 3), ('keep_map', 2),
            ('store_kept', 4), ('drop_map', 1), ('exchange', 1))]

    # -- choices --
    def side(self):
        self.at = self.rng.choice(('mount', 'native'))
        return TREE if self.at == 'mount' else SHM

    def path(self, name=None):
        self.name = name or self.rng.choice(NAMES)
        return f'{self.side()}/{self.name}'

    def data(self):
        return self.rng.randbytes(self.rng.choice((1, 3, 100, 4096, 5000)))

    def offset(self):
        return self.rng.choice((0, 1, 4095, 4096, 8192, self.rng.randrange(LIMIT - 5000)))

    def note(self, *words):
        self.history.append(' '.join(map(str, words)))

    def expect(self, got, want, what):
        if got != want:
            raise AssertionError(f'seed {self.seed}, step {self.step}: {what}: got {short(got)}, expected {short(want)}; last '
                                 f'operations:\n    ' + '\n    '.join(self.history[-12:]))

    def call(self, want, fn, *args, **kwargs):
        """A call that must fail with errno `want`, or, where that is None, succeed."""
        got = attempt(fn, *args, **kwargs)
        failed = got if isinstance(got, str) else None
        self.expect(failed, want, f'{fn.__name__}{args} ({self.at})')
        return got

    def missing(self):
        return None if self.name in self.objects else 'ENOENT'

    # -- operations on names --
    def create(self):
        path = self.path()
        flags = os.O_CREAT | self.rng.choice((os.O_RDWR, os.O_WRONLY, os.O_RDONLY))
        flags |= self.rng.choice((0, 0, os.O_EXCL, os.O_TRUNC))
        mode = self.rng.choice((0o600, 0o644, 0o000, 0o666, 0o711 | SET_UID))
        self.note('create', self.at, self.name, oct(flags), oct(mode))
        there = self.objects.get(self.name)
        fd = self.call('EEXIST' if there and flags & os.O_EXCL else None, os.open, path, flags, mode)
        if isinstance(fd, str):
            return
        if not there:
            there = self.objects[self.name] = Object(mode & ~0o22)
        if flags & os.O_TRUNC:
            there.resize(0)
        if flags & os.O_ACCMODE:
            data = self.data()
            self.expect(os.write(fd, data), len(data), 'write')
            there.write(0, data)
        os.close(fd)

    def write(self):
        path, data, at = self.path(), self.data(), self.offset()
        self.note('write', self.at, self.name, at, len(data))
        fd = self.call(self.missing(), os.open, path, os.O_RDWR)
        if isinstance(fd, int):
            os.lseek(fd, at, os.SEEK_SET)
            half = len(data) // 2
            os.write(fd, data[:half])
            os.write(fd, data[half:])
            self.expect(os.pread(fd, len(data), at), data, 'read back')
            os.close(fd)
            self.objects[self.name].write(at, data)

    def append(self):
        path, data = self.path(), self.data()
        self.note('append', self.at, self.name, len(data))
        fd = self.call(self.missing(), os.open, path, os.O_WRONLY | os.O_APPEND)
        if isinstance(fd, int):
            os.write(fd, data)
            os.close(fd)
            obj = self.objects[self.name]
            obj.write(len(obj.data), data)
            if len(obj.data) > LIMIT:
                os.truncate(path, 10)
                obj.resize(10)

    def truncate(self):
        path, size = self.path(), self.rng.choice((0, 1, 4096, self.rng.randrange(LIMIT)))
        self.note('truncate', self.at, self.name, size)
        if self.call(self.missing(), os.truncate, path, size) is None:
            self.objects[self.name].resize(size)

    def map_and_store(self):
        path = self.path()
        self.note('map and store', self.at, self.name)
        fd = self.call(self.missing(), os.open, path, os.O_RDWR)
        if isinstance(fd, int):
            obj = self.objects[self.name]
            m = self.mapping(fd, obj)
            if m:
                self.store(m, obj)
                m.close()
            os.close(fd)

    def mapping(self, fd, obj):
        if not obj.data:
            return None
        refused = self.at == 'mount' and not PASSTHROUGH
        m = self.call('ENODEV' if refused else None, mmap.mmap, fd, len(obj.data))
        return None if refused else m

    def store(self, m, obj):
        room = min(len(m), len(obj.data))
        if room:
            at = self.rng.randrange(room)
            data = self.data()[:room - at]
            m[at:at + len(data)] = data
            obj.write(at, data)
            if self.rng.random() < 0.2:
                m.flush()

    def chmod(self):
        path, mode = self.path(), self.rng.choice((0, 0o600, 0o644, 0o777, 0o1666, 0o755 | SET_UID, 0o644 | SET_GID))
        self.note('chmod', self.at, self.name, oct(mode))
        if self.call(self.missing(), os.chmod, path, mode) is None:
            self.objects[self.name].mode = mode

    def chown(self):
        path, uid, gid = self.path(), self.rng.choice((-1, 0, 12, 70000)), self.rng.choice((-1, 0, 34))
        self.note('chown', self.at, self.name, uid, gid)
        if self.call(self.missing(), os.chown, path, uid, gid) is None:
            obj = self.objects[self.name]
            obj.uid, obj.gid = (uid if uid >= 0 else obj.uid), (gid if gid >= 0 else obj.gid)
            obj.mode = os.stat(f'{SHM}/{self.name}').st_mode & 0o7777  # the kernel's rule for set-id bits is its own

    def rename(self):
        base, old, new = self.side(), self.rng.choice(NAMES), self.rng.choice(NAMES)
        self.name = old
        self.note('rename', self.at, old, new)
        if self.call(self.missing(), os.rename, f'{base}/{old}', f'{base}/{new}') is None:
            moved, replaced = self.objects[old], self.objects.get(new)
            if moved is not replaced:
                if replaced:
                    replaced.links -= 1
                self.objects[new] = self.objects.pop(old)

    def exchange(self):
        base, old, new = self.side(), *self.rng.sample(NAMES, 2)
        self.note('exchange', self.at, old, new)
        rc = libc.renameat2(-100, f'{base}/{old}'.encode(), -100, f'{base}/{new}'.encode(), 2)
        both_there = old in self.objects and new in self.objects
        if rc and both_there and ctypes.get_errno() in (22, 95) and self.at == 'mount':
            return  # exchanging is not promised, only that it happens wholly or not at all
        self.expect(rc, 0 if both_there else -1, 'renameat2(RENAME_EXCHANGE)')
        if both_there:
            self.objects[old], self.objects[new] = self.objects[new], self.objects[old]

    def unlink(self):
        path = self.path()
        self.note('unlink', self.at, self.name)
        if self.call(self.missing(), os.unlink, path) is None:
            self.objects.pop(self.name).links -= 1

    def link(self):
        base, old, new = self.side(), self.rng.choice(NAMES), self.rng.choice(NAMES)
        self.note('link', self.at, old, new)
        want = 'ENOENT' if old not in self.objects else 'EEXIST' if new in self.objects else None
        if self.call(want, os.link, f'{base}/{old}', f'{base}/{new}') is None:
            self.objects[new] = self.objects[old]
            self.objects[old].links += 1

    def utimens(self):
        path, a, m = self.path(), self.rng.randrange(1, 2**60), self.rng.randrange(1, 2**60)
        self.note('utimens', self.at, self.name, a, m)
        if self.call(self.missing(), os.utime, path, ns=(a, m)) is None:
            st = os.stat(f'{SHM}/{self.name}')
            self.expect((st.st_atime_ns, st.st_mtime_ns), (a, m), 'native times after utimens')

    def allocate(self):
        path, at, n = self.path(), self.offset(), self.rng.randrange(1, 9000)
        keep = self.rng.random() < 0.4
        self.note('fallocate', self.at, self.name, at, n, 'keep size' if keep else '')
        fd = self.call(self.missing(), os.open, path, os.O_RDWR)
        if isinstance(fd, int):
            self.call(None, fallocate, fd, KEEP if keep else 0, at, n)
            obj = self.objects[self.name]
            if not keep:
                obj.resize(max(at + n, len(obj.data)))
            os.close(fd)

    def punch(self):
        path, at, n = self.path(), self.offset(), self.rng.randrange(1, 9000)
        self.note('punch', self.at, self.name, at, n)
        fd = self.call(self.missing(), os.open, path, os.O_RDWR)
        if isinstance(fd, int):
            self.call(None, fallocate, fd, PUNCH | KEEP, at, n)
            data = self.objects[self.name].data
            data[at:at + n] = bytes(max(0, min(n, len(data) - at)))
            self.call('EOPNOTSUPP', fallocate, fd, ZERO, 0, 10)
            os.close(fd)

    # -- operations on held descriptors and mappings --
    def hold(self):
        self.name = self.rng.choice(list(self.objects) or NAMES)
        self.at = 'mount'
        flags = self.rng.choice((os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_APPEND))
        self.note('hold', self.name, oct(flags))
        fd = self.call(self.missing(), os.open, f'{TREE}/{self.name}', flags)
        if isinstance(fd, int):
            self.held.append(Held(self.objects[self.name], fd, os.open(f'{SHM}/{self.name}', os.O_RDWR), flags))
            if len(self.held) > 8:
                self.release()

    def pick(self, writable=True):
        found = [h for h in self.held if not writable or h.flags == os.O_RDWR]
        if not found:
            return None, None
        held = self.rng.choice(found)
        self.at = self.rng.choice(('mount', 'native'))
        return held, held.mount if self.at == 'mount' else held.native

    def hold_write(self):
        held, fd = self.pick()
        if held:
            data, at = self.data(), self.offset()
            self.note('held write', self.at, at, len(data))
            self.expect(os.pwrite(fd, data, at), len(data), 'pwrite')
            held.obj.write(at, data)

    def hold_append(self):
        for held in self.held:
            if held.flags & os.O_APPEND and len(held.obj.data) < LIMIT:
                data = self.data()
                self.note('held append', len(data))
                os.pwrite(held.mount, data, 7)  # Linux: O_APPEND wins over the offset
                held.obj.write(len(held.obj.data), data)

    def hold_truncate(self):
        held, fd = self.pick()
        if held:
            size = self.rng.randrange(LIMIT)
            self.note('held ftruncate', self.at, size)
            os.ftruncate(fd, size)
            held.obj.resize(size)

    def hold_stat(self):
        held, fd = self.pick(False)
        if held:
            mode = self.rng.choice((0o600, 0o640))
            self.note('held fchmod', self.at, oct(mode))
            os.fchmod(fd, mode)
            held.obj.mode = mode

    def release(self):
        if self.held:
            self.note('close')
            self.held.pop(self.rng.randrange(len(self.held))).close()

    def keep_map(self):
        held, fd = self.pick()
        if held:
            m = self.mapping(fd, held.obj)
            if m:
                self.note('keep a mapping', self.at)
                self.maps.append((m, held.obj))
            if len(self.maps) > 4:
                self.drop_map()

    def store_kept(self):
        if self.maps:
            self.note('store in a kept mapping')
            self.store(*self.rng.choice(self.maps))

    def drop_map(self):
        if self.maps:
            self.note('unmap')
            self.maps.pop(self.rng.randrange(len(self.maps)))[0].close()

    # -- the comparison --
    def compare(self):
        listing = sorted(self.objects)
        self.expect(sorted(os.listdir(SHM)), listing, 'native listing')
        self.expect(sorted(os.listdir(TREE)), listing, 'mount listing')
        for name in listing:
            obj = self.objects[name]
            native = os.lstat(f'{SHM}/{name}')
            self.expect((native.st_mode & 0o7777, native.st_uid, native.st_gid, native.st_nlink, native.st_size),
                        (obj.mode, obj.uid, obj.gid, obj.links, len(obj.data)), f'native status of {name}')
            self.expect(fields(os.lstat(f'{TREE}/{name}')), fields(native), f'status of {name} through the mount')
            self.expect(get(f'{SHM}/{name}'), bytes(obj.data), f'native content of {name}')
            self.expect(get(f'{TREE}/{name}'), bytes(obj.data), f'content of {name} through the mount')
        for i, held in enumerate(self.held):
            what = f'held descriptor {i} (flags {held.flags:#o})'
            self.expect(fields(os.fstat(held.mount)), fields(os.fstat(held.native)), f'fstat of {what}')
            self.expect(os.fstat(held.mount).st_nlink, held.obj.links, f'links of {what}')
            self.expect(os.pread(held.mount, LIMIT * 2, 0), bytes(held.obj.data), f'content of {what}')
        for i, (m, obj) in enumerate(self.maps):
            n = min(len(m), len(obj.data))
            self.expect(m[:n], bytes(obj.data[:n]), f'content of kept mapping {i}')

    def go(self, steps):
        ops, weights = zip(*self.ops)
        for self.step in range(steps):
            self.rng.choices(ops, weights)[0]()
            self.compare()
        for held in self.held:
            held.close()
        for m, _ in self.maps:
            m.close()
        self.held.clear()
        print(f'  {steps} steps, {len(STAT)} fields each')


def short(value):
    if isinstance(value, bytes) and len(value) > 60:
        return f'{len(value)} bytes {value[:24]!r}…{value[-8:]!r} hash {hash(value) & 0xffff:x}'
    return repr(value)


STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 600 if ASAN else 2500 if LONG else 1000


def run(seed):
    print(f'  seed {seed} (repeat with IPCFS_SEED={seed})', flush=True)
    Run(seed).go(STEPS)


def test_a_fixed_seed():
    run(int(os.environ.get('IPCFS_SEED', '20251')))


def test_a_fresh_seed():
    if 'IPCFS_SEED' not in os.environ:
        run(int.from_bytes(os.urandom(4), 'little'))


main(globals())
