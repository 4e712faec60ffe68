# SPDX-License-Identifier: MIT
"""Connections and datagrams while allocations fail: none is lost."""
import os

from mounttest import attempt, eq
from paths import close, named, of, parked_thread, read, write
from twins import SOCK


@of('sockets')
def connect_and_accept(_, fault):
    fds = []
    with fault:
        fds.append(os.open(f'{SOCK}/d/connect', os.O_RDWR))
    if fault.error:
        return
    os.close(fds[0])
    drain_listener()


def drain_listener():
    while isinstance(fd := attempt(os.open, f'{SOCK}/d/accept', os.O_RDWR | os.O_NONBLOCK), int):
        os.close(fd)


@of('sockets')
def accept(_, fault):
    drain_listener()
    client = os.open(f'{SOCK}/d/connect', os.O_RDWR)
    os.write(client, b'hello')
    server = -1
    with fault:
        server = os.open(f'{SOCK}/d/accept', os.O_RDWR | os.O_NONBLOCK)
    if server < 0:
        server = os.open(f'{SOCK}/d/accept', os.O_RDWR | os.O_NONBLOCK)  # it is not lost
    eq(os.read(server, 100), b'hello', 'of the client')
    os.close(server)
    os.close(client)


def connection():
    drain_listener()
    client = os.open(f'{SOCK}/d/connect', os.O_RDWR)
    server = os.open(f'{SOCK}/d/accept', os.O_RDWR | os.O_NONBLOCK)
    os.set_blocking(server, True)
    return client, server


@of('sockets')
def connection_data(_, fault):
    client, server = connection()
    done = read_back = 0
    with fault:
        done = os.write(client, b'hello')
    with fault:
        read_back = len(os.read(server, 100)) if done else 0
    os.set_blocking(server, False)
    rest = attempt(os.read, server, 100)
    eq(read_back + (len(rest) if isinstance(rest, bytes) else 0), done, f'bytes after {fault.error}')
    os.close(client)
    os.close(server)


@of('sockets')
def connection_parked(_, fault):
    client, server = connection()
    reader = parked_thread(os.read, server, 100)
    got = b''
    with fault:
        os.write(client, b'hello')
        got = reader.result('the reader')
    if reader.is_alive():  # nothing was sent
        os.write(client, b'hello')
        got = reader.result('the reader')
    elif fault.error:
        os.set_blocking(server, False)
        got = attempt(os.read, server, 100)
    eq(got, b'hello', f'what is read after {fault.error}')
    os.close(client)
    os.close(server)


@of('sockets')
def datagram(_, fault):
    done = got = b''
    with fault:
        if write(f'{SOCK}/g/send', b'hello', os.O_NONBLOCK):
            done = b'hello'
        fd = os.open(f'{SOCK}/g/recv', os.O_RDONLY | os.O_NONBLOCK)
        try:
            got = os.read(fd, 100)
        finally:
            close(fd)
    fd = os.open(f'{SOCK}/g/recv', os.O_RDONLY | os.O_NONBLOCK)
    rest = attempt(os.read, fd, 100)
    os.close(fd)
    eq(got + (rest if isinstance(rest, bytes) else b''), done, f'datagrams after {fault.error}')


@of('sockets')
def each_listener_file(_):
    def file(name, data, after):
        def operation(fault):
            with fault:
                write(f'{SOCK}/d/{name}', data)
            eq(read(f'{SOCK}/d/{name}').strip() in after, True, f'{name} after {fault.error}')
        return named(f'write sock/d/{name}', operation)
    return [file('backlog', b'7\n', (b'7', b'4096'))]
