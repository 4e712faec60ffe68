# SPDX-License-Identifier: MIT
"""The bytes of System V segments: shmat, mappings and calls of the mount meet; removal under users; what counts as one.

usage: sysvshmdata.py SEGMENT-PROGRAM (segment.c)
"""
import json
import mmap
import os
import signal
import subprocess

from mounttest import PASSTHROUGH, attempt, daemon_only, eq, get, in_child, join, main, metrics, ok, refused
from queues import bash, output, shell, wait_until
from segments import (CTL_SHM, KEY, PAGE, READ, RW, SEGMENT, SYSV, Mapping, Peer, Shm, all_shm, by_key,
                      clean_segments, control, daemon_attachments, finish, flags_of, ipcs, make_shm, mapping,
                      state, write)

SIZE = 16 * PAGE


def made_natively():
    return make_shm(KEY, SIZE)


def made_by_mount():
    with open(by_key(), 'wb') as f:
        f.truncate(SIZE)
    return Shm(KEY)


def made_by_control():
    write(f'{CTL_SHM}/create', f'{KEY:#x} size={SIZE}\n'.encode())
    return Shm(KEY)


MAKERS = (made_natively, made_by_mount, made_by_control)


def only_with_passthrough(fn):
    """Without passthrough the same test becomes: no shared mapping, whoever made the segment, however it is open."""
    def without():
        for make in MAKERS:
            s = make()
            for path in (by_key(), s.path):
                for prot in (RW, READ):
                    refused('ENODEV', mapping, path, PAGE, prot)
            s.settles(0, 'after refused mappings')
            s.remove()
    without.__name__ = fn.__name__
    return daemon_only(fn if PASSTHROUGH else without)


# ---- one set of bytes ----

@daemon_only
def test_c_program():
    """Atomics and futexes of a process attached natively and of one that maps the file."""
    for make in MAKERS:
        s = make()
        r = subprocess.run([SEGMENT, str(KEY), 'meet', by_key(), 'on' if PASSTHROUGH else 'off'], capture_output=True,
                           text=True, timeout=50)
        eq((r.returncode, r.stderr), (0, ''), f'the C program, {make.__name__}')
        s.settles(0, 'after it')
        s.remove()


@daemon_only
def test_all_see_the_same_bytes():
    for make in MAKERS:
        s = make()
        peer = Peer(KEY)
        rd, wr, rw = (os.open(by_key(), flags) for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR))
        by_id = os.open(s.path, os.O_RDWR)
        near = s.attach()
        maps = [mapping(by_key(), SIZE), mapping(s.path, SIZE), Mapping(rd, SIZE, READ)] if PASSTHROUGH else []
        writers = {'C program': lambda d, at: peer.store(at, d.decode()), 'shmat': lambda d, at: near.write(at, d),
                   'pwrite': lambda d, at: os.pwrite(wr, d, at), 'pwrite rw': lambda d, at: os.pwrite(rw, d, at),
                   'pwrite by id': lambda d, at: os.pwrite(by_id, d, at),
                   'dd': lambda d, at: eq(bash(f'printf {d.decode()} | dd of={by_key()} bs=1 seek={at} conv=notrunc '
                                               'status=none'), ('', 0), 'dd')}
        for i, m in enumerate(maps[:2]):
            writers[f'mapping {i}'] = lambda d, at, m=m: m.write(at, d)
        for i, (who, store) in enumerate(writers.items()):
            for at in (100, PAGE - 2, SIZE - 5):
                data = b'%02d%03d' % (i, at % 1000)
                store(data, at)
                peer.sees(at, data.decode())
                seen = {'shmat': near.read(at, 5), 'read-only': os.pread(rd, 5, at), 'read-write': os.pread(rw, 5, at),
                        'by id': os.pread(by_id, 5, at), 'by path': get(by_key())[at:at + 5],
                        'dd': os.fsencode(bash(f'dd if={s.path} bs=1 skip={at} count=5 status=none')[0])}
                seen |= {f'mapping {j}': m.read(at, 5) for j, m in enumerate(maps)}
                eq(seen, dict.fromkeys(seen, data), f'what {who} stored at {at}, {make.__name__}')
        for m in maps:
            m.close()
        for fd in (rd, wr, rw, by_id):
            os.close(fd)
        peer.end()
        near.detach()
        s.settles(0, 'at last')
        s.remove()


@daemon_only
def test_large_reads_and_writes():
    s = make_shm(KEY, 5 << 20)
    data = os.urandom(5 << 20)
    with open(f'{os.environ["SCRATCH"]}/data', 'wb') as f:
        f.write(data)
    eq(bash(f'cat $SCRATCH/data > {by_key()}; cmp $SCRATCH/data {s.path}'), ('', 0), 'cat and cmp')
    eq(s.read() == data, True, 'natively')
    eq(get(by_key()) == data, True, 'read back')
    eq(bash(f'cp $SCRATCH/data {SYSV}/by-key/0x2b && cmp {SYSV}/by-key/0x2b $SCRATCH/data')[1], 1,
       'cp makes a segment of its first write, and the rest has no room')
    fd = os.open(by_key(), os.O_RDONLY)
    for at, size in ((1, 5), (4095, 2), (12345, 1 << 20), ((5 << 20) - 3, 100)):
        eq(os.pread(fd, size, at), data[at:at + size], f'{size} at {at}')
    os.close(fd)


@only_with_passthrough
def test_python_mmap():
    """Python's own mmap, which asks for the size first."""
    for size in (PAGE, SIZE, 1000, PAGE + 1):
        s = make_shm(KEY, size)
        with open(by_key(), 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
            eq(len(m), size, 'length')
            m[:5] = b'hello'
            eq(s.read(0, 5), b'hello', 'natively')
            s.write(size - 3, b'end')
            eq(m[-3:], b'end', 'mapped')
        with open(by_key(), 'rb') as f, mmap.mmap(f.fileno(), 0, prot=READ) as m:
            eq((m[:5], f.read()[-3:]), (b'hello', b'end'), 'read-only')
        s.settles(0, 'after')
        s.remove()


@only_with_passthrough
def test_several_processes():
    """Each store of one process is read by the next, in a ring: by mount mapping, natively, and by read and write."""
    s = make_shm(KEY, SIZE)
    ends = [os.pipe() for _ in range(4)]

    def take_part(i):
        read, write_ = ends[i][0], ends[(i + 1) % 4][1]
        fd = os.open(s.path, os.O_RDWR)
        if i == 3:
            load, store = (lambda at: os.pread(fd, 8, at)), (lambda at, d: os.pwrite(fd, d, at))
        else:
            m = mapping(by_key(), SIZE) if i % 2 == 0 else s.attach()
            load, store = (lambda at: m.read(at, 8)), m.write
        for round_ in range(500):
            eq(os.read(read, 1), b'.', 'handshake')
            eq(int.from_bytes(load(PAGE * i), 'little'), round_ * 4 + i, f'process {i}')
            store(PAGE * ((i + 1) % 4), (round_ * 4 + i + 1).to_bytes(8, 'little'))
            os.write(write_, b'.')
        os.close(fd)
    pids = [in_child(take_part, i) for i in range(4)]
    os.write(ends[0][1], b'.')
    join(pids, 'the ring')
    for r, w in ends:
        os.close(r), os.close(w)
    s.settles(0, 'after the ring')


@daemon_only
def test_private_mappings():
    """Shows what the segment holds when it is made; its stores stay private; read-only descriptors do."""
    for make in MAKERS:
        s = make()
        for i in range(3):
            s.write(0, b'%d' % i * PAGE)
            m = mapping(by_key(), PAGE, RW, mmap.MAP_PRIVATE)
            eq(m.read(0, PAGE), b'%d' % i * PAGE, f'private mapping {i}')
            m.write(0, b'zz')
            eq((m.read(0, 3), s.read(0, 3)), (b'zz%d' % i, b'%d' % i * 3), 'after a private store')
            m.close()
        s.settles(0, 'after')
        s.remove()


@only_with_passthrough
def test_modes_of_open_and_map():
    """What may be mapped how follows from the mode of the open, as of any file."""
    s = make_shm(KEY, SIZE)
    with open(f'{os.environ["SCRATCH"]}/plain', 'wb') as f:
        f.truncate(SIZE)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
        for prot in (READ, mmap.PROT_WRITE, RW):
            for kind in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
                answers = []
                for path in (f.name, by_key()):
                    fd = os.open(path, flags)
                    got = attempt(Mapping, fd, PAGE, prot, kind)
                    answers.append(got if isinstance(got, str) else got.close() or 'mapped')
                    os.close(fd)
                eq(answers[1], answers[0], f'open flags {flags:#o}, prot {prot}, map flags {kind}')
    s.settles(0, 'after')


# ---- removal ----

@daemon_only
def test_removal_by_name():
    for name in (by_key, lambda: Shm(KEY).path):
        s = make_shm(KEY)
        os.unlink(name())
        eq((all_shm(), os.listdir(f'{SYSV}/by-key'), os.listdir(f'{SYSV}/by-id')), ([], [], []), 'nobody is attached')
        s = make_shm(KEY)
        peer = Peer(KEY)
        peer.store(0, 'before')
        os.unlink(name())
        refused('ENOENT', os.stat, by_key())
        refused('ENOENT', os.stat, control())
        eq((os.listdir(f'{SYSV}/by-key'), os.listdir(f'{SYSV}/by-id')), ([], [str(s.id)]), 'names while attached')
        eq((os.stat(s.path).st_nlink, flags_of(state(s.control)['flags'])), (1, {'dest'}), 'the state')
        ok('dest' in ipcs(), f'ipcs -m: {ipcs()}')
        again = make_shm(KEY)
        eq(os.stat(by_key()).st_ino, os.stat(again.path).st_ino, 'the key is free')
        peer.sees(0, 'before')
        fd = os.open(s.path, os.O_RDWR)  # as shmat(2) of its id would
        eq(os.pread(fd, 6, 0), b'before', 'opened while it goes')
        os.pwrite(fd, b'behind', 0)
        peer.sees(0, 'behind')
        peer.end()
        eq((os.pread(fd, 6, 0), s.exists()), (b'behind', True), 'kept by the handle')
        os.close(fd)
        s.vanishes('the last user')
        refused('ENOENT', os.stat, s.path)
        eq([x['shmid'] for x in all_shm()], [again.id], 'the other one')
        again.remove()


@daemon_only
def test_native_removal_under_the_mount():
    """IPC_RMID while a handle is open, and mapped: data stays for both, and goes with the last."""
    s = make_shm(KEY, SIZE)
    s.write(0, b'data')
    fd = os.open(by_key(), os.O_RDWR)
    rd = os.open(s.path, os.O_RDONLY)
    m = mapping(by_key(), SIZE) if PASSTHROUGH else None
    subprocess.run(['ipcrm', '-m', str(s.id)], check=True)
    refused('ENOENT', os.stat, by_key())
    eq((s.stat()['flags'], s.stat()['nattch'], os.fstat(fd).st_nlink), ({'dest'}, 1, 1), 'removed while open')
    eq([os.pread(f, 4, 0) for f in (fd, rd)], [b'data', b'data'], 'handles')
    eq((os.pwrite(fd, b'more', SIZE - 4), os.pread(rd, 10, SIZE - 4)), (4, b'more'), 'write and read')
    refused('EFBIG', os.pwrite, fd, b'x', SIZE)
    if m:
        m.write(8, b'mapped')
        eq((m.read(0, 4), os.pread(rd, 6, 8)), (b'data', b'mapped'), 'the mapping')
    other = make_shm(KEY, SIZE)
    other.write(0, b'other')
    os.pwrite(fd, b'old', 0)
    eq((other.read(0, 5), get(by_key())[:5], os.pread(fd, 4, 0)), (b'other', b'other', b'olda'), 'two segments')
    ok(os.fstat(fd).st_ino != os.stat(by_key()).st_ino, 'inode numbers')
    os.close(fd)
    eq((os.pread(rd, 4, 0), s.exists()), (b'olda', True), 'the second handle')
    os.close(rd)
    s.vanishes('the last close')
    refused('ENOENT', os.stat, s.path)
    if m:
        m.write(PAGE, b'alone')
        eq((m.read(0, 4), m.read(PAGE, 5), m.read(8, 6)), (b'olda', b'alone', b'mapped'), 'a mapping lives on')
        m.close()
    other.settles(0, 'the other')
    eq(other.read(0, 5), b'other', 'the other')


@daemon_only
def test_a_recycled_key():
    s = make_shm(KEY)
    s.write(0, b'first')
    number = os.stat(by_key()).st_ino
    fd = os.open(by_key(), os.O_RDWR)
    os.unlink(by_key())
    new = make_shm(KEY)
    ok(new.id != s.id and os.stat(by_key()).st_ino != number, 'another id, another inode number')
    eq((os.pread(fd, 5, 0), get(by_key())[:5]), (b'first', bytes(5)), 'an old descriptor means the old segment')
    os.fchmod(fd, 0o640)
    eq((new.stat()['mode'], s.stat()['mode']), (0o600, 0o640), 'fchmod of the old one')
    os.close(fd)
    s.vanishes('the old one')
    # A path that the kernel knows, of a segment that nobody has open: the next one is another.
    for round_ in range(20):
        os.stat(by_key())
        new.remove()
        new = make_shm(KEY, PAGE * (1 + round_))
        eq((os.stat(by_key()).st_size, os.stat(by_key()).st_ino), (PAGE * (1 + round_), os.stat(new.path).st_ino),
           f'round {round_}')
        write(by_key(), b'%d' % round_)
        eq(new.read(0, len(str(round_))), b'%d' % round_, 'a write')


@daemon_only
def test_a_recycled_id():
    next_id = '/proc/sys/kernel/shm_next_id'
    if not os.path.exists(next_id):
        print('  SKIPPED: this kernel has no kernel.shm_next_id')
        return
    s = make_shm(KEY, PAGE)
    os.stat(s.path)
    s.remove()
    with open(next_id, 'w') as f:
        f.write(str(s.id))
    new = make_shm(0x2b, 2 * PAGE)
    eq(new.id, s.id, 'a recycled id')
    refused('ENOENT', os.stat, by_key())
    eq((os.stat(new.path).st_size, os.stat(by_key(0x2b)).st_size), (2 * PAGE, 2 * PAGE), 'the new size')
    write(new.path, b'new')
    eq(new.read(0, 3), b'new', 'the new data')


# ---- attachments ----

LOOKS = ('ls -l {p}', 'stat {p}', 'cat {c}/state {c}/state.json', 'cat {k}/list {k}/list.json {k}/limits',
         'find {d} {k} -ls', 'test -r {p} -a -w {p}', 'ls -lR {d} {k}', 'du -a {d}', 'grep -r no-such-word {k}; true',
         'tar cf - -C {k} . | wc -c', 'ipcs -m')


@daemon_only
def test_looking_changes_nothing():
    s, fresh = make_shm(KEY), make_shm(0x2b)
    peer = Peer(KEY)
    Peer(KEY).end()
    before = s.stat(), fresh.stat(), ipcs('-i', str(s.id)), all_shm()
    eq((before[0]['nattch'], before[1]['atime'], before[1]['lpid']), (1, 0, 0), 'as it began')
    for look in LOOKS:
        for p, c in ((by_key(), control()), (s.path, s.control), (by_key(0x2b), control(0x2b))):
            line = look.format(p=p, c=c, k=CTL_SHM, d=SYSV)
            eq(bash(f'({line}) > /dev/null', 30), ('', 0), line)
            eq((s.stat(), fresh.stat(), ipcs('-i', str(s.id)), all_shm()), before, f'after {line}')
    eq(daemon_attachments(), [], 'the daemon is not attached')
    peer.end()


@daemon_only
def test_attachments_of_handles():
    s = make_shm(KEY)
    fds = [os.open(path, flags) for path in (by_key(), s.path) for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY)]
    eq((s.stat()['nattch'], s.stat()['lpid'], len(daemon_attachments())), (1, int(os.environ['IPCFS_PID']), 1), 'open')
    eq(json_nattch(), 1, 'in state.json')
    peer = Peer(KEY)
    eq(s.stat()['nattch'], 2, 'and a native one')
    for fd in fds[:-1]:
        os.close(fd)
    eq(s.stat()['nattch'], 2, 'one handle is left')
    fd2 = os.dup(fds[-1])
    os.close(fds[-1])
    eq(os.pwrite(fd2, b'x', 0), 1, 'the last one')
    os.close(fd2)
    s.settles(1, 'after the last')
    peer.end()
    s.settles(0, 'after the native one')
    fd = os.open(by_key(), os.O_PATH)
    eq((s.stat()['nattch'], daemon_attachments()), (0, []), 'O_PATH opens nothing')
    os.close(fd)
    for _ in range(50):
        get(by_key())
        write(by_key(), b'x')
    s.settles(0, 'after many')


def json_nattch():
    return json.loads(get(f'{control()}/state.json'))['nattch']


@daemon_only
def test_death_of_the_client():
    s = make_shm(KEY, SIZE)

    def use():
        fds = [os.open(by_key(), os.O_RDWR), os.open(s.path, os.O_RDONLY), os.open(by_key(0x2b), os.O_CREAT | os.O_RDWR)]
        m = mapping(by_key(), SIZE) if PASSTHROUGH else None
        os.pwrite(fds[0], b'alive', 0)
        while True:
            os.pread(fds[1], 100, 0)
            if m:
                m.write(PAGE, b'x')
    for _ in range(5):
        pid = in_child(use)
        wait_until(lambda: s.stat()['nattch'] == 1 and s.read(0, 5) == b'alive', 'the client is at work')
        os.kill(pid, signal.SIGKILL)
        eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGKILL, 'killed')
        s.settles(0, 'after his death')
        s.write(0, bytes(5))
    eq(([x['shmid'] for x in all_shm()], daemon_attachments()), ([s.id], []), 'what is left')
    wait_until(lambda: metrics()['ipcfs_handles'] <= 1 and metrics()['ipcfs_backing_ids'] == 0, 'no handle is left')


@daemon_only
def test_children_do_not_count():
    """The daemon's attachment is its own; a fork of the client shares his handle."""
    s = make_shm(KEY)
    fd = os.open(by_key(), os.O_RDWR)
    p = shell(f'exec sleep 60 <&{fd}', pass_fds=[fd])
    eq(s.stat()['nattch'], 1, 'two processes, one handle')
    os.close(fd)
    eq(s.stat()['nattch'], 1, 'the child has it still')
    p.kill()
    output(p)
    s.settles(0, 'after the child')


main(globals(), after=clean_segments)
finish()
