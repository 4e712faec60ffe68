# SPDX-License-Identifier: MIT
"""Mappings through the mount beside native mappings: one set of pages. usage: mappings.py MAPPED-PROGRAM (mapped.c)"""
import mmap
import os
import signal
import subprocess
import sys

from mounttest import NATIVE, PASSTHROUGH, attempt, both, eq, get, in_child, join, main, put, refused, clean, CTL

PAGE = mmap.PAGESIZE
RW = mmap.PROT_READ | mmap.PROT_WRITE


def mapping(path, length, prot=RW, flags=mmap.MAP_SHARED):
    fd = os.open(path, os.O_RDWR if prot & mmap.PROT_WRITE and flags == mmap.MAP_SHARED else os.O_RDONLY)
    try:
        return mmap.mmap(fd, length, flags=flags, prot=prot)
    finally:
        os.close(fd)


def only_with_passthrough(fn):
    """Without passthrough the same test becomes: the mapping is refused, read and write are fresh."""
    def without():
        native, mount = both('refused')
        put(native, b'x' * PAGE)
        for prot in (RW, mmap.PROT_READ):
            refused('ENODEV', mapping, mount, PAGE, prot)
    return fn if PASSTHROUGH else without


@only_with_passthrough
def test_two_processes():
    """Each store of one process is read by the other before it answers with its own."""
    for maps_mount_first in (True, False):
        native, mount = both('pair')
        put(native, bytes(2 * PAGE))
        go_r, go_w = os.pipe()
        back_r, back_w = os.pipe()

        def other():
            m = mapping(native if maps_mount_first else mount, 2 * PAGE)
            for i in range(1, 2001):
                eq(os.read(go_r, 1), b'.', 'handshake')
                eq(int.from_bytes(m[:8], 'little'), i, 'value stored by the first process')
                m[PAGE:PAGE + 8] = (i * 3).to_bytes(8, 'little')
                os.write(back_w, b'.')
        pid = in_child(other)
        m = mapping(mount if maps_mount_first else native, 2 * PAGE)
        for i in range(1, 2001):
            m[:8] = i.to_bytes(8, 'little')
            os.write(go_w, b'.')
            eq(os.read(back_r, 1), b'.', 'handshake')
            eq(int.from_bytes(m[PAGE:PAGE + 8], 'little'), i * 3, 'value stored by the other process')
        join([pid], 'the other process')
        m.close()
        for fd in (go_r, go_w, back_r, back_w):
            os.close(fd)
        clean()


def test_c_program():
    native, mount = both('c')
    r = subprocess.run([sys.argv[1], mount, native, 'on' if PASSTHROUGH else 'off'], capture_output=True, text=True,
                       timeout=50)
    eq((r.returncode, r.stderr), (0, ''), 'the C program')


@only_with_passthrough
def test_mappings_and_calls():
    """write, pwrite, read, truncate, fallocate and mappings of both sides on one object."""
    native, mount = both('mixed')
    fd = os.open(mount, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    nfd = os.open(native, os.O_RDWR)
    os.ftruncate(fd, 4 * PAGE)
    m, n = mmap.mmap(fd, 4 * PAGE), mmap.mmap(nfd, 4 * PAGE)
    m2 = mapping(mount, 4 * PAGE)
    for i, write in enumerate([lambda d: os.pwrite(fd, d, 100), lambda d: os.pwrite(nfd, d, 100),
                               lambda d: m.__setitem__(slice(100, 104), d), lambda d: n.__setitem__(slice(100, 104), d),
                               lambda d: m2.__setitem__(slice(100, 104), d)]):
        data = b'%04d' % i
        write(data)
        for what, seen in (('mount mapping', m[100:104]), ('second mount mapping', m2[100:104]),
                           ('native mapping', n[100:104]), ('mount pread', os.pread(fd, 4, 100)),
                           ('native pread', os.pread(nfd, 4, 100)), ('mount read', get(mount)[100:104])):
            eq(seen, data, f'{what} after write {i}')
    m[2 * PAGE:2 * PAGE + 4] = b'hole'
    eq(os.fstat(fd).st_blocks, os.fstat(nfd).st_blocks, 'blocks after a store')
    os.posix_fallocate(fd, 0, 4 * PAGE)
    m.flush()
    eq(n[2 * PAGE:2 * PAGE + 4], b'hole', 'store before fallocate')
    n.madvise(mmap.MADV_REMOVE, 2 * PAGE, PAGE)
    eq(m[2 * PAGE:2 * PAGE + 4], bytes(4), 'page punched natively')
    m[:4] = b'kept'
    m.madvise(mmap.MADV_REMOVE, 3 * PAGE, PAGE)
    eq((n[:4], os.fstat(fd).st_blocks), (b'kept', os.fstat(nfd).st_blocks), 'page punched through the mount')
    for x in (m, n, m2):
        x.close()
    os.close(fd), os.close(nfd)


@only_with_passthrough
def test_a_mapping_outlives_name_and_descriptor():
    native, mount = both('gone')
    put(native, b'a' * PAGE)
    m, n = mapping(mount, PAGE), mapping(native, PAGE)
    os.rename(native, native + '2')
    m[:5] = b'moved'
    eq(get(mount + '2')[:5], b'moved', 'read by the new name')
    os.unlink(mount + '2')
    n[:4] = b'dead'
    eq(m[:4], b'dead', 'store after the unlink')
    put(native, b'b' * PAGE)
    fresh = mapping(mount, PAGE)
    eq((fresh[:4], m[:4]), (b'bbbb', b'dead'), 'a new object of the old name is another object')
    m[:4] = b'MMMM'
    eq((get(native)[:4], n[:4]), (b'bbbb', b'MMMM'), 'a store into the removed object')
    for x in (m, n, fresh):
        x.close()


@only_with_passthrough
def test_beyond_the_end_is_sigbus():
    """A page cut off by the other side is SIGBUS, as natively; one added is there without a new mapping."""
    for cut, mapped in ((0, 1), (1, 0), (0, 0), (1, 1)):
        paths = both('cut')
        put(paths[0], b'x' * 2 * PAGE)

        def touch():
            m = mapping(paths[mapped], 2 * PAGE)
            os.truncate(paths[cut], PAGE)
            os.truncate(paths[cut], 2 * PAGE)
            eq(m[PAGE], 0, 'page cut off and added again')
            os.truncate(paths[cut], PAGE)
            m[PAGE] = 1
        pid = in_child(touch)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        eq(status, -signal.SIGBUS, f'status of the process (cut by {paths[cut]}, mapped by {paths[mapped]})')


@only_with_passthrough
def test_modes_of_open_and_map():
    """What may be mapped how follows from the open mode, as natively."""
    native, mount = both('modes')
    put(native, b'0123456789' * 1000)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
        for prot in (mmap.PROT_READ, mmap.PROT_WRITE, RW):
            for kind in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
                answers = []
                for path in (native, mount):
                    fd = os.open(path, flags)
                    got = attempt(mmap.mmap, fd, 10000, flags=kind, prot=prot)
                    answers.append(got if isinstance(got, str) else 'mapped')
                    os.close(fd)
                eq(answers[1], answers[0], f'open flags {flags:#o}, prot {prot}, map flags {kind}')


def test_private_mapping():
    """A private mapping shows what the object holds when it is made, and its stores stay private."""
    native, mount = both('private')
    for i in range(5):
        put(native, b'%d' % i * PAGE)
        m = mapping(mount, PAGE, RW, mmap.MAP_PRIVATE)
        eq(m[:], b'%d' % i * PAGE, f'private mapping {i}')
        m[:2] = b'zz'
        eq(get(native)[:2], b'%d' % i * 2, 'object after a private store')
        m.close()


def test_native_link_maps():
    """ctl/shm/NAME/native leads any process to the tmpfs file, mappable in both modes."""
    if NATIVE:
        return
    native, mount = both('by link')
    put(mount, b'q' * PAGE)
    link = f'{CTL}/shm/by link/native'
    eq(os.readlink(link), native, 'the link')
    m = mapping(link, PAGE)
    m[:6] = b'linked'
    eq(os.pread(os.open(mount, os.O_RDONLY), 6, 0), b'linked', 'store through the link, read through the mount')
    m.close()


def test_read_write_are_fresh():
    """With or without passthrough: reads through an open descriptor show native stores, writes are seen natively."""
    native, mount = both('fresh')
    put(native, bytes(PAGE))
    n = mapping(native, PAGE)
    fd = os.open(mount, os.O_RDWR)
    for i in range(500):
        n[:8] = i.to_bytes(8, 'little')
        eq(int.from_bytes(os.pread(fd, 8, 0), 'little'), i, 'pread after a native store')
        os.pwrite(fd, (i * 7).to_bytes(8, 'little'), 2048)
        eq(int.from_bytes(n[2048:2056], 'little'), i * 7, 'native mapping after a pwrite')
    os.truncate(native, 10)
    eq((os.fstat(fd).st_size, len(os.pread(fd, 100, 0))), (10, 10), 'size after a native truncate')
    os.close(fd)
    n.close()


main(globals())
