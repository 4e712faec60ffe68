# SPDX-License-Identifier: MIT
"""Packets and datagrams, changes of type and backlog, lines of ctl/sock/create and what they are refused for, names."""
import ctypes
import errno
import os
import select
import signal
import socket
import threading
import time

from listeners import (CREATE, SOCK, Left, Listener, clean_listeners, line_of, parked, put_line, raw_read, raw_write, set_nonblocking,
                       wait_parked)
from mounttest import attempt, eq, in_child, join, main, ok, refused
from queues import Watch, bash, wait_until
from semaphores import refusal

SOMAXCONN = int(line_of('/proc/sys/net/core/somaxconn'))
QLEN = int(line_of('/proc/sys/net/unix/max_dgram_qlen'))


def small(fd, size):
    """One read(2) of so many bytes."""
    buffer = ctypes.create_string_buffer(size)
    got = raw_read(fd, buffer)
    return buffer.raw[:got] if got >= 0 else errno.errorcode[-got]


# ---- packets ----

def test_packets():
    s = Listener(options='type=seqpacket')
    eq((line_of(s.type), s.native('seqpacket').type), ('seqpacket', socket.SOCK_SEQPACKET), 'type')
    os.close(os.open(s.accept, os.O_RDWR))
    refused('EPROTOTYPE', s.native, 'stream')
    for kind in ('mount', 'native'):
        client, server = s.pair(kind, kind='seqpacket')
        fd = client if kind == 'mount' else client.fileno()
        for a, b in ((fd, server), (server, fd)):
            for size in (1, 2, 100, 4096, 65536, 150_000):
                for _ in range(2 if size < 100_000 else 1):
                    eq(os.write(a, bytes([size % 251]) * size), size, 'a packet')
                eq(len(os.read(b, 1 << 20)), size, f'one packet of {size} by each read, {kind}')
                if size < 100_000:
                    eq(len(os.read(b, size)), size, 'and the next')
            os.write(a, b'long packet')
            os.write(a, b'next')
            eq((small(b, 4), small(b, 100)), (b'long', b'next'), f'what there is no room for is dropped, {kind}')
            refused('EMSGSIZE', os.write, a, b'x' * 4_000_000)
            refused('EMSGSIZE', os.write, a, b'x' * 500_000)
            set_nonblocking(a)
            sent = 0
            while raw_write(a, b'%04d' % sent + b'x' * 2000) > 0:
                sent += 1
            ok(sent > 20, f'{sent} packets fit')
            set_nonblocking(a, False)
            base = parked()
            if a != fd or kind == 'mount':
                pid = in_child(lambda: 0 if os.write(a, b'the last') == 8 else 1)
                wait_parked(base + 1, 'a full one makes writers wait')
            eq([small(b, 3000)[:4] for _ in range(sent)], [b'%04d' % i for i in range(sent)], 'in order')
            if a != fd or kind == 'mount':
                join([pid], 'writer', 5)
                eq(small(b, 100), b'the last', 'whole')
        os.close(server)
        eq(small(fd, 10), b'', 'closed')
        os.close(fd) if kind == 'mount' else client.close()


def test_packets_of_several_writers():
    """Packets are never mixed or cut, whoever waits."""
    s, count = Listener(options='type=seqpacket'), 200
    client, server = s.pair(kind='seqpacket')

    def send(i):
        for n in range(count):
            size = 10 + (n * 997 + i * 31) % 60_000
            eq(raw_write(client, bytes([i]) * size), size, 'a packet')
        return 0
    with Watch():
        writers = [in_child(send, i) for i in range(1, 5)]
        seen = {i: 0 for i in range(1, 5)}
        for _ in range(4 * count):
            data = os.read(server, 1 << 17)
            i = data[0]
            eq((len(data), data.strip(bytes([i]))), (10 + (seen[i] * 997 + i * 31) % 60_000, b''), 'a packet')
            seen[i] += 1
        join(writers, 'writers')
    os.close(client)
    os.close(server)


# ---- datagrams ----

def test_datagrams():
    s = Listener(options='type=dgram')
    eq((line_of(s.type), line_of(s.backlog)), ('dgram', str(QLEN)), 'type, and how many may be queued')
    for file in (s.accept, s.connect):
        for flags in (os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_NONBLOCK):
            refused('EOPNOTSUPP', os.open, file, flags)
    recv, send = os.open(s.recv, os.O_RDONLY), os.open(s.send, os.O_WRONLY)
    refused(('EACCES', 'EPERM'), os.open, s.recv, os.O_RDWR)
    refused(('EACCES', 'EPERM'), os.open, s.send, os.O_RDWR)
    native = s.native('dgram')
    for out in (lambda d: os.write(send, d), native.send, lambda d: native.sendto(d, s.socket)):
        for data in (b'x', b'line\n', b'z' * 4096, os.urandom(100_000)):
            out(data)
            got = os.read(recv, 1 << 20)
            eq((len(got), got == data), (len(data), True), 'a datagram')
            eq(os.read(recv, 10), b'', 'its end')
    refused('EMSGSIZE', os.write, send, b'x' * 1_000_000)
    os.write(send, b'in pieces')
    eq([small(recv, 4) for _ in range(4)], [b'in p', b'iece', b's', b''], 'a small read takes pieces, as of a message queue')
    packets = os.open(s.recv, os.O_RDONLY | os.O_DIRECT)
    os.write(send, b'a packet')
    os.write(send, b'another')
    eq((small(packets, 5), small(packets, 100)), (b'a pac', b'another'), 'O_DIRECT')
    for fd in (recv, send, packets):
        os.close(fd)
    native.close()
    eq(bash(f'echo one > {s.send}; echo two | socat - UNIX-SENDTO:{s.socket}; cat {s.recv}; cat {s.recv}'), ('one\ntwo\n', 0), 'in shell')


def test_datagrams_wait():
    s = Listener(options='type=dgram')
    with Left('datagrams'), Watch():
        base = parked()
        readers = []
        for i in range(3):
            readers.append(in_child(lambda i=i: 0 if os.read(os.open(s.recv, os.O_RDONLY), 10) == b'%d' % i else 1))
            wait_parked(base + 1 + i, 'readers')
        send = os.open(s.send, os.O_WRONLY)
        for i in range(3):
            os.write(send, b'%d' % i)
        join(readers, 'each gets one, in turn', 5)
        set_nonblocking(send)
        count = 0
        while raw_write(send, b'%d' % count) > 0:
            count += 1
        ok(QLEN <= count <= QLEN + 2, f'{count} datagrams fit, {QLEN} are allowed')
        set_nonblocking(send, False)
        writers = []
        for i in range(3):
            writers.append(in_child(lambda i=i: os.write(os.open(s.send, os.O_WRONLY), b'w%d' % i) - 2))
            wait_parked(base + 1 + i, 'writers')
        os.kill(writers[1], signal.SIGKILL)
        os.waitpid(writers.pop(1), 0)
        wait_parked(base + 2, 'a killed one is gone')
        recv = os.open(s.recv, os.O_RDONLY | os.O_DIRECT)
        eq([os.read(recv, 10) for _ in range(count + 2)], [b'%d' % i for i in range(count)] + [b'w0', b'w2'], 'in order')
        join(writers, 'writers', 5)
        reader = os.open(s.recv, os.O_RDONLY | os.O_NONBLOCK)
        refused('EAGAIN', os.read, reader, 10)
        os.close(send)
        os.close(recv)
        os.close(reader)


def test_datagrams_poll():
    s = Listener(options='type=dgram')
    recv, send = os.open(s.recv, os.O_RDONLY | os.O_NONBLOCK), os.open(s.send, os.O_WRONLY)
    with select.epoll() as e:
        e.register(recv, select.EPOLLIN | select.EPOLLET)
        eq(e.poll(0.05), [], 'nothing')
        for _ in range(3):
            os.write(send, b'x')
            eq(e.poll(5), [(recv, select.EPOLLIN)], 'a datagram')
            eq(e.poll(0.05), [], 'the same')
            eq((os.read(recv, 10), os.read(recv, 10), attempt(os.read, recv, 10)), (b'x', b'', 'EAGAIN'), 'taken')
    set_nonblocking(send)
    while raw_write(send, b'x') > 0:
        pass
    eq(select.select([recv], [send], [], 0), ([recv], [], []), 'full')
    os.read(recv, 10)
    eq(select.select([], [send], [], 5), ([], [send], []), 'room')
    os.close(recv)
    os.close(send)


def test_datagrams_rmdir():
    with Left('rmdir'):
        s, base, got = Listener(options='type=dgram'), parked(), []
        recv = os.open(s.recv, os.O_RDONLY)
        send = os.open(s.send, os.O_WRONLY)
        reader = threading.Thread(target=lambda: got.append(attempt(os.read, recv, 10)))
        reader.start()
        wait_parked(base + 1, 'reader')
        s.remove()
        reader.join(5)
        eq(got, ['EIDRM'], 'who receives')
        refused(('EIDRM', 'EPIPE', 'ECONNREFUSED', 'ECONNRESET'), os.write, send, b'x')
        refused('EIDRM', os.read, recv, 10)
        os.close(recv)
        os.close(send)
        s = Listener(options='type=dgram')
        send = os.open(s.send, os.O_WRONLY)
        set_nonblocking(send)
        while raw_write(send, b'x') > 0:
            pass
        set_nonblocking(send, False)
        native, told = s.native('dgram'), []
        writers = [threading.Thread(target=lambda: got.append(attempt(os.write, send, b'x'))),
                   threading.Thread(target=lambda: told.append(attempt(native.send, b'x')))]
        for w in writers:
            w.start()
        wait_parked(base + 1, 'writer')
        time.sleep(0.05)
        s.remove()
        for w in writers:
            w.join(5)
        eq(got, ['EIDRM'] * 2, 'who sends')
        ok(told in (['EPIPE'], ['ECONNREFUSED'], ['ECONNRESET']), f'a native sender: {told}')
        os.close(send)
        native.close()


# ---- changes ----

def test_change_of_type():
    s = Listener()
    for kind in ('seqpacket', 'dgram', 'stream', 'stream', ' dgram ', 'seqpacket'):
        # What was closed is given back a moment after.
        wait_until(lambda: attempt(put_line, s.type, kind) is None, f'type {kind}')
        eq(line_of(s.type), kind.strip(), 'type')
        client = s.native(kind.strip())
        client.send(b'hello')
        fd = os.open(s.recv, os.O_RDONLY) if 'dgram' in kind else os.open(s.accept, os.O_RDWR)
        eq(os.read(fd, 10), b'hello', f'data of {kind}')
        os.close(fd)
        client.close()
    for word in ('raw', '', 'Stream', 'stream x', 'streams', '1', 'x' * 3000):
        refusal(s.type, word.encode() + b'\n', errno.EINVAL, 'type') if word else None
    eq(line_of(s.type), 'seqpacket', 'type')


def test_change_of_type_while_busy():
    s, base = Listener(), parked()
    opener = in_child(lambda: attempt(os.open, s.accept, os.O_RDWR) and 0)
    wait_parked(base + 1, 'opener')
    refusal(s.type, b'dgram\n', errno.EBUSY, 'wait')
    put_line(s.type, 'stream')  # which it is
    client = s.native()
    join([opener], 'the opener is served', 5)
    client.close()
    client = s.native()
    refusal(s.type, b'dgram\n', errno.EBUSY, 'queue')
    fd = os.open(s.accept, os.O_RDWR)
    client.sendall(b'x')
    eq(os.read(fd, 10), b'x', 'who was queued is served')
    wait_until(lambda: attempt(put_line, s.type, 'seqpacket') is None, 'what is connected keeps nobody')
    client.sendall(b'still')
    eq(os.read(fd, 10), b'still', 'and is connected on')
    client.close()
    os.close(fd)


def test_change_of_backlog():
    s = Listener()
    eq(line_of(s.backlog), str(SOMAXCONN), 'backlog of mkdir')
    for n in (1, 5, SOMAXCONN, 2):
        put_line(s.backlog, str(n))
        eq(line_of(s.backlog), str(n), 'backlog')
    clients = [os.open(s.connect, os.O_RDWR) for _ in range(3)]
    refused('EAGAIN', os.open, s.connect, os.O_RDWR | os.O_NONBLOCK)
    put_line(s.backlog, '3')
    clients.append(os.open(s.connect, os.O_RDWR | os.O_NONBLOCK))
    put_line(s.backlog, '1')
    refused('EAGAIN', os.open, s.connect, os.O_RDWR | os.O_NONBLOCK)
    for fd in clients:
        os.close(os.open(s.accept, os.O_RDWR | os.O_NONBLOCK))
        os.close(fd)
    put_line(s.backlog, '0')
    eq(line_of(s.backlog), str(SOMAXCONN), '0: as many as there may be')
    refusal(s.backlog, b'%d\n' % (SOMAXCONN + 1), errno.EINVAL, 'somaxconn')
    for word in (b'-1\n', b'many\n', b'1 2\n', b'0x10\n', b'99999999999999999999\n'):
        refusal(s.backlog, word, errno.EINVAL, '')
    put_line(s.type, 'dgram')
    refusal(s.backlog, b'5\n', errno.EOPNOTSUPP, 'max_dgram_qlen')
    put_line(s.type, 'stream')
    eq(line_of(s.backlog), str(SOMAXCONN), 'afterwards')


# ---- create ----

def test_create():
    for options, kind, backlog, mode in (('', 'stream', SOMAXCONN, None), ('type=stream', 'stream', SOMAXCONN, None),
                                         ('type=seqpacket backlog=7', 'seqpacket', 7, None), ('backlog=1 mode=0600', 'stream', 1, 0o700),
                                         ('type=dgram mode=0622', 'dgram', QLEN, 0o733), ('mode=0666 type=dgram', 'dgram', QLEN, 0o777)):
        put_line(CREATE, f'made {options}'.strip())
        s = Listener('made', made=True)
        eq((line_of(s.type), line_of(s.backlog)), (kind, str(backlog)), f'made with {options!r}')
        if mode:
            eq(oct(os.stat(s.path).st_mode & 0o777), oct(mode), f'mode of {options!r}')
        s.remove()


def test_create_is_refused():
    Listener('there')
    for line, want, word in ((b'x type=raw', errno.EINVAL, 'type=raw'), (b'x type=', errno.EINVAL, 'type'),
                             (b'x backlog=-1', errno.EINVAL, 'backlog'),
                             (b'x backlog=%d' % (SOMAXCONN + 1), errno.EINVAL, 'backlog'), (b'x backlog=many', errno.EINVAL, 'backlog'),
                             (b'x color=red', errno.EINVAL, 'color'), (b'x type=stream type=dgram', errno.EINVAL, 'type'),
                             (b'x mode=9', errno.EINVAL, 'mode'), (b'x stream', errno.EINVAL, 'stream'), (b'there', errno.EEXIST, ''),
                             (b'a/b', errno.EINVAL, ''), (b'..', errno.EEXIST, ''), (b'x' * 300, (errno.ENAMETOOLONG, errno.EINVAL), ''),
                             (b'x type=dgram backlog=5', (errno.EINVAL, errno.EOPNOTSUPP), 'backlog')):
        refusal(CREATE, line + b'\n', want, word)
        eq(os.listdir(SOCK), ['there'], f'nothing is left of {line[:50]}')


# ---- names ----

def test_names():
    for name in (b'with space', b'new\nline', b'\xff\xfe', 'ümläut'.encode(), b'-rf', b'x' * 255, b'.hidden', b'type'):
        path = os.fsencode(SOCK) + b'/' + name
        os.mkdir(path)
        fd = os.open(path + b'/connect', os.O_RDWR)
        other = os.open(path + b'/accept', os.O_RDWR)
        os.write(fd, b'x')
        eq(os.read(other, 1), b'x', 'data')
        client = socket.socket(socket.AF_UNIX)
        client.connect(os.readlink(path + b'/socket'))
        client.close()
        os.close(os.open(path + b'/accept', os.O_RDWR))
        eq(os.listdir(os.fsencode(SOCK)), [name], 'list')
        os.close(fd)
        os.close(other)
        os.rmdir(path)
    refused('ENAMETOOLONG', os.mkdir, f'{SOCK}/' + 'x' * 256)


def test_what_directories_are_not():
    s = Listener()
    refused('EEXIST', os.mkdir, s.path)
    refused('EPERM', os.rename, s.path, f'{SOCK}/other')
    refused(('EISDIR', 'EPERM'), os.unlink, s.path)
    refused(('EPERM', 'EACCES'), os.unlink, s.accept)
    refused(('EPERM', 'EACCES'), os.mkdir, f'{s.path}/deeper')
    refused(('EPERM', 'EACCES', 'ENOENT'), os.open, f'{s.path}/file', os.O_CREAT | os.O_WRONLY)
    refused(('EPERM', 'EACCES', 'EXDEV'), os.rename, s.accept, f'{s.path}/other')
    eq(sorted(os.listdir(s.path)), ['accept', 'backlog', 'connect', 'recv', 'send', 'socket', 'type'], 'what is in it')
    bound = socket.socket(socket.AF_UNIX)
    refused('EADDRINUSE', bound.bind, s.path)
    refused(('ECONNREFUSED',), bound.connect, s.path)
    bound.bind(f'{SOCK}/bound')
    refused('EEXIST', os.mkdir, f'{SOCK}/bound')
    refused(('EPERM', 'ENOTDIR', 'EISDIR'), os.rename, f'{SOCK}/bound', s.path)
    refused('ENOTDIR', os.rmdir, f'{SOCK}/bound')
    with open(f'{SOCK}/file', 'w') as f:
        f.write('beside')
    refused('EEXIST', os.mkdir, f'{SOCK}/file')
    client, server = s.pair()
    os.write(client, b'x')
    eq(os.read(server, 1), b'x', 'it works on')
    for op in (lambda: os.link(s.accept, f'{SOCK}/link'), lambda: os.symlink('x', f'{SOCK}/link')):
        ok(attempt(op) in ('EPERM', 'EXDEV', 'EACCES', 'EOPNOTSUPP'), f'links: {attempt(op)}')
    bound.close()


main(globals(), after=clean_listeners, about_daemon=True)
