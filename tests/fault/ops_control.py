# SPDX-License-Identifier: MIT
"""Control files, proc/ and events while allocations fail."""
import json
import os
import time

from mounttest import CTL, MNT, SHM, attempt, eq, ok
from paths import close, made, named, of, read, write


def listed_files():
    """All that is listed under ctl/, but for the objects of one kind that have the same files."""
    for where, directories, names in os.walk(CTL):
        directories.sort()
        for name in sorted(names):
            yield os.path.join(where, name)


@of('control')
def each_control_file(scene):
    def control_file(path):
        def operation(fault):
            with fault:
                fault.got = attempt(read, path)
            ok(isinstance(fault.got, bytes) or (fault.failed and fault.got in ('ENOMEM', 'EAGAIN')) or fault.got in
               ('ENXIO', 'ENODATA'), f'{path}: {fault.got}')
            if path.endswith('.json') and isinstance(fault.got, bytes):
                json.loads(fault.got)
        return named(f'read {path[len(MNT) + 1:]}', operation)
    return [control_file(path) for path in listed_files() if os.path.isfile(path) and not os.path.islink(path)]


@of('control')
def each_create(_):
    def create(kind, line, native):
        def operation(fault):
            fault.allowed |= {'EINVAL'}
            with fault:
                write(f'{CTL}/{kind}/create', line)
            made(native(), fault)
        return named(f'create {kind}', operation)

    def refused(fault):
        fd = os.open(f'{CTL}/mq/create', os.O_RDWR)
        why = b''
        with fault:
            eq(attempt(os.write, fd, b'new maxmsg=999999999\n') in ('EINVAL', 'ENOMEM'), True, 'the errno')
            why = os.read(fd, 1000)
        os.close(fd)
        ok(fault.failed or b'maxmsg' in why, f'{why}')

    def rm(path):
        return lambda: attempt(os.unlink if 'sem' not in path and 'sock' not in path else os.rmdir, f'{MNT}/{path}') is None
    return [create('mq', b'new maxmsg=4 msgsize=16\n', rm('mq/new')), create('sem', b'new value=4\n', rm('sem/new')),
            create('sock', b'new type=seqpacket\n', rm('sock/new')),
            create('sysv/shm', b'0x00000099 size=4096\n', rm('sysv/shm/by-key/0x00000099')),
            create('sysv/msg', b'0x00000099\n', rm('sysv/msg/by-key/0x00000099')),
            create('sysv/sem', b'0x00000099 nsems=2\n', rm('sysv/sem/by-key/0x00000099')), named('refused line', refused)]


@of('control')
def capacity(_, fault):
    fault.allowed |= {'EAGAIN'}
    with fault:
        write(f'{CTL}/pipe/p/capacity', b'65536\n')
    eq(read(f'{CTL}/pipe/p/capacity').strip(), b'65536', 'capacity')


@of('control')
def ftok(_, fault):
    fd = os.open(f'{MNT}/sysv/ftok', os.O_RDWR)
    with fault:
        os.write(fd, b'/dev 1\n')
        ok(os.read(fd, 100).startswith(b'0x'), 'a key')
    os.close(fd)


@of('control')
def each_process(scene):
    pid = scene.crowd.pids['user']

    def links(fault):
        fault.allowed |= {'EAGAIN'}
        with fault:
            fault.got = os.listdir(f'{MNT}/proc/{pid}')
        ok(fault.error or 'shm:a' in fault.got, f'{fault.got}')
    return [named('proc/PID', links)]


@of('control')
def each_events(_):
    def events(name):
        def operation(fault):
            fd, got = -1, b''
            with fault:
                fd = os.open(f'{CTL}/{name}', os.O_RDONLY | os.O_NONBLOCK)
            if fault.error:
                return
            with fault:
                os.mknod(f'{SHM}/new')
                os.unlink(f'{SHM}/new')
                end = time.monotonic() + 0.03
                while b'removed' not in got and time.monotonic() < end:
                    got += attempt_read(fd)
            end = time.monotonic() + 3
            while not (b'removed' in got or b'lost' in got) and time.monotonic() < end:
                got += attempt_read(fd)
            ok(b'removed' in got or b'lost' in got, f'it tells, or that something was lost: {got}')
            os.close(fd)
        return named(f'events {name}', operation)

    def attempt_read(fd):
        time.sleep(0.002)
        got = attempt(os.read, fd, 10000)
        ok(isinstance(got, bytes) or got in ('EAGAIN', 'ENOMEM'), got)
        return got if isinstance(got, bytes) else b''
    return [events('events'), events('events.json')]
