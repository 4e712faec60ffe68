# SPDX-License-Identifier: MIT
"""Edge-triggered epoll on message files: who goes on to EAGAIN is told of what comes after it."""
import ctypes
import os
import select

from mounttest import CTL, MNT, eq, main

libc = ctypes.CDLL(None, use_errno=True)
IPC_CREAT = 0o1000


def until_again(operation):
    count = 0
    while True:
        try:
            count += bool(operation())
        except BlockingIOError:
            return count


def edges(path):
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)

    def drain():
        return until_again(lambda: os.read(reader, 64))

    def fill():
        return until_again(lambda: os.write(writer, b'x' * 63 + b'\n'))

    with select.epoll() as poller:
        poller.register(reader, select.EPOLLIN | select.EPOLLET)
        eq(poller.poll(0.1), [], 'an empty queue')
        for turn in range(3):
            os.write(writer, b'message\n')
            eq(poller.poll(5), [(reader, select.EPOLLIN)], f'{path}: message {turn}')
            eq(poller.poll(0.1), [], 'the same message')
            eq(drain(), 1, 'messages')
    with select.epoll() as poller:
        poller.register(writer, select.EPOLLOUT | select.EPOLLET)
        for turn in range(3):
            eq(poller.poll(5), [(writer, select.EPOLLOUT)], f'{path}: room {turn}')
            eq(fill() > 0, True, 'messages sent')
            eq(drain() > 0, True, 'messages received')
    os.close(reader)
    os.close(writer)


def test_posix():
    with open(f'{CTL}/mq/create', 'w') as create:
        create.write('edges maxmsg=2 msgsize=64\n')
    edges(f'{MNT}/mq/edges')
    edges(f'{CTL}/mq/edges/lines')
    os.unlink(f'{MNT}/mq/edges')


def test_system_v():
    queue = libc.msgget(77, IPC_CREAT | 0o600)
    with open(f'{CTL}/sysv/msg/by-id/{queue}/qbytes', 'w') as qbytes:
        qbytes.write('128\n')
    edges(f'{MNT}/sysv/msg/by-id/{queue}')
    os.unlink(f'{MNT}/sysv/msg/by-id/{queue}')


main(globals(), about_daemon=True)
