# SPDX-License-Identifier: MIT
"""A healthy system with much to do: nobody in it is ever stuck, though most wait at any time, and for each other in turns."""
import fcntl
import os
import socket
import struct
import time

from everything import PAGE, make_mutexes, mutex_at
from mounttest import MNT, SHM
from queues import check, libc, make_mq, make_msg
from semaphores import make_posix, make_set
from twins import PIPE, SOCK

PAUSE = 0.001  # two processors have to do for all, and for who looks


def for_ever(*steps):
    def loop():
        while True:
            for step in steps:
                step()
            time.sleep(PAUSE)
    return loop


class Loop:
    """What a process of a Crowd does last and for ever; nothing is expected of where it waits."""
    row = None

    def __init__(self, *steps):
        self.fn = for_ever(*steps)


def queues_of_posix(crowd):
    """Who asks waits for the answer, and who answers for a question."""
    for name in ('ask', 'answer', 'jobs'):
        make_mq(name, 4, 32).close()

    def client(me):
        ask, answer = me.queue('ask'), me.queue('answer')
        return Loop(lambda: ask.send(b'?', seconds=1000), lambda: answer.receive(1000))

    def server(me):
        ask, answer = me.queue('ask'), me.queue('answer')
        return Loop(lambda: ask.receive(1000), lambda: answer.send(b'!', seconds=1000))

    def producer(me):
        jobs = me.queue('jobs')
        return Loop(lambda: jobs.send(b'job', seconds=1000))

    def consumer(me):
        fd = os.open(f'{MNT}/mq/jobs', os.O_RDWR | os.O_DIRECT)
        return Loop(lambda: os.read(fd, 100))
    for name, fn in (('q-client', client), ('q-server', server), ('q-producer', producer), ('q-consumer', consumer), ('q-consumer2', consumer)):
        crowd.start(name, fn)


def queues_of_sysv(crowd):
    ask, answer = make_msg(0x9001), make_msg(0x9002)
    crowd.start('msg-client', lambda me: Loop(lambda: ask.send(b'?'), lambda: answer.receive(flags=0)))
    crowd.start('msg-server', lambda me: Loop(lambda: ask.receive(flags=0), lambda: answer.send(b'!')))

    def mounted(me):
        fds = [os.open(f'{MNT}/sysv/msg/by-id/{q.id}', os.O_RDWR | os.O_DIRECT) for q in (ask, answer)]
        return Loop(lambda: os.write(fds[0], b'?'), lambda: os.read(fds[1], 100))
    crowd.start('msg-mounted', mounted)


def idle_servers(crowd):
    """Two of each wait, of which each could be woken by the other, who will not."""
    make_mq('unused', 4, 32).close()
    idle = make_msg(0x9003)
    os.mkfifo(f'{PIPE}/idle')
    os.mkdir(f'{SOCK}/idle')

    def receive(me):
        q = me.queue('unused')
        return Loop(lambda: q.receive(1000))

    def accept(me):
        s = socket.socket(socket.AF_UNIX)
        s.bind(f'{SOCK}/listens{os.getpid()}')
        s.listen()
        return Loop(s.accept)

    def fifo(me):
        fd = os.open(f'{PIPE}/idle', os.O_RDWR)
        return Loop(lambda: os.read(fd, 1))
    for n in '12':
        crowd.start('idle-mq' + n, receive)
        crowd.start('idle-msg' + n, lambda me: Loop(lambda: idle.receive(flags=0)))
        crowd.start('idle-accept' + n, accept)
        crowd.start('idle-fifo' + n, fifo)
        crowd.start('idle-dir' + n, lambda me: Loop(lambda: os.open(f'{SOCK}/idle/accept', os.O_RDWR)))


def pipelines(crowd):
    """One behind another; and two that talk by two pipes."""
    pipes = [os.pipe() for _ in range(6)]
    (r1, w1), (r2, w2), (r3, w3), (r4, w4), (ra, wa), (rb, wb) = pipes
    crowd.start('pipe-first', lambda me: Loop(lambda: os.write(w1, b'x' * 40000)), keep=(w1,))
    for number, r, w in ((1, r1, w2), (2, r2, w3), (3, r3, w4)):
        crowd.start(f'pipe-{number}', lambda me: Loop(lambda: os.write(w, os.read(r, 65536))), keep=(r, w))
    crowd.start('pipe-last', lambda me: Loop(lambda: os.read(r4, 65536)), keep=(r4,))
    crowd.start('pipe-ping', lambda me: Loop(lambda: os.write(wa, b'x'), lambda: os.read(rb, 1)), keep=(wa, rb))
    crowd.start('pipe-pong', lambda me: Loop(lambda: os.read(ra, 1), lambda: os.write(wb, b'x')), keep=(ra, wb))
    for pair in pipes:
        for fd in pair:
            os.close(fd)
    one, other = socket.socketpair()
    crowd.start('talk-ping', lambda me: Loop(lambda: one.send(b'x'), lambda: one.recv(1)), keep=(one.fileno(),))
    crowd.start('talk-pong', lambda me: Loop(lambda: other.recv(1), lambda: other.send(b'x')), keep=(other.fileno(),))
    one.close()
    other.close()


def a_moment():
    time.sleep(0.003)


def workers(crowd):
    """All take the first and then the second."""
    make_mutexes('workers', 2)
    posix = [make_posix(name, 1) for name in ('first', 'second')]
    sysv = make_set(0x9004, 1, 1)
    for name in ('lock1', 'lock2'):
        with open(f'{SHM}/{name}', 'w'):
            pass

    def mutexes(me):
        one, two = (mutex_at(address, i) for address in (me.map(f'{SHM}/workers', None, size=PAGE),) for i in (0, 1))
        return Loop(one.lock, two.lock, a_moment, two.unlock, one.unlock)

    def semaphores(me):
        one, two = posix
        return Loop(lambda: one.wait(1000), lambda: two.wait(1000), a_moment, two.post, one.post)

    def sets(me):
        return Loop(*(lambda step=step: check(libc.semop(sysv.id, struct.pack('Hhh', *step), 1), 'semop') for step in
                      ((0, -1, 0x1000), (1, -1, 0x1000), (1, 1, 0x1000), (0, 1, 0x1000))))

    def locks(where, fn):
        def worker(me):
            fds = [os.open(f'{where}/lock{n}', os.O_RDWR) for n in (1, 2)]
            return Loop(lambda: fn(fds[0], 2), lambda: fn(fds[1], 2), a_moment, lambda: fn(fds[1], 8), lambda: fn(fds[0], 8))
        return worker

    def hold(me):
        def both():
            one, two = os.open(f'{MNT}/sem/first/hold', os.O_RDONLY), os.open(f'{MNT}/sem/second/hold', os.O_RDONLY)
            a_moment()
            os.close(two)
            os.close(one)
        return Loop(both)
    for n in '123':
        crowd.start('mutexes' + n, mutexes)
        crowd.start('semaphores' + n, semaphores)
        crowd.start('sets' + n, sets)
        crowd.start('flocks' + n, locks((SHM, f'{MNT}/shm')[n == '2'], fcntl.flock))
        crowd.start('fcntls' + n, locks((SHM, f'{MNT}/shm')[n == '2'], fcntl.lockf))
    crowd.start('holds', hold)


def parents(crowd):
    def shell(me):
        def one():
            pid = os.fork()
            if not pid:
                time.sleep(0.02)
                os._exit(0)
            os.waitpid(pid, 0)
        return Loop(one)

    def pipeline(me):
        """The parent waits for who writes to it that waits for room."""
        def one():
            r, w = os.pipe()
            pid = os.fork()
            if not pid:
                os.close(r)
                os.write(w, b'x' * 200000)
                os._exit(0)
            os.close(w)
            while os.read(r, 65536):
                time.sleep(0.01)
            os.close(r)
            os.waitpid(pid, 0)
        return Loop(one)
    crowd.start('parent', shell)
    crowd.start('parent-reads', pipeline)


PARTS = (queues_of_posix, queues_of_sysv, idle_servers, pipelines, workers, parents)


def start_busy(crowd, parts=PARTS):
    for part in parts:
        part(crowd)
