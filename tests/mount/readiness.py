# SPDX-License-Identifier: MIT
"""poll, select and epoll on files of messages; and what close, O_NONBLOCK and the end of a message mean to those who wait."""
import os
import select
import signal
import subprocess
import threading
import time

from mounttest import ASAN, attempt, eq, main, metrics, ok, refused
from queues import KINDS, SOON, Posix, Watch, bash, clean_queues, ends, mount_mqfs, shell, wait_until

IN, OUT = select.POLLIN, select.POLLOUT
# A queue that can not be polled natively is looked at every now and then.
WAKE = {'mq': 4 if ASAN else 0.25, 'sysv/msg': 4 if ASAN else 1}  # the waits end after 5 seconds


def poll(fd, events=IN | OUT, ms=0):
    p = select.poll()
    p.register(fd, events)
    got = p.poll(ms)
    return got[0][1] if got else 0


def timed(fn, *args):
    begin = time.monotonic()
    got = fn(*args)
    return got, time.monotonic() - begin


def later(fn, *args):
    timer = threading.Timer(0.2, fn, args)
    timer.start()
    return timer


def kinds(test):
    def run():
        for cls in KINDS:
            q = cls(size=4096) if cls is Posix else cls()
            fd = os.open(q.path, os.O_RDWR | os.O_NONBLOCK)
            try:
                with Watch():
                    test(q, fd)
            except AssertionError as e:
                raise AssertionError(f'{cls.kind}: {e}').with_traceback(e.__traceback__) from None
            finally:
                os.close(fd)
                clean_queues()
        eq(metrics()['ipcfs_parked'], 0, 'parked')
    run.__name__ = test.__name__
    return run


@kinds
def test_what_is_ready(q, fd):
    eq(poll(fd), OUT, 'an empty queue')
    q.send(b'm')
    eq(poll(fd), IN | OUT, 'some messages')
    q.fill()
    eq(poll(fd), IN, 'a full queue')
    q.take()
    eq(poll(fd), OUT, 'empty again')
    reader, writer = os.open(q.path, os.O_RDONLY), os.open(q.path, os.O_WRONLY)
    eq(poll(reader, IN), 0, 'reader')
    eq(poll(writer, OUT), OUT, 'writer')
    q.fill()
    eq((poll(reader, IN), poll(writer, OUT)), (IN, 0), 'reader and writer of a full queue')
    os.close(reader)
    os.close(writer)


@kinds
def test_pieces_are_ready(q, fd):
    """As long as a message has pieces or its end is to come, a read does not wait."""
    q.send(b'0123456789')
    os.read(fd, 5)
    eq(poll(fd, IN), IN, 'a piece is left')
    eq(os.read(fd, 10), b'56789', 'the piece')
    eq(poll(fd, IN), IN, 'the end is to come')
    eq(os.read(fd, 10), b'', 'the end')
    eq(poll(fd, IN), 0, 'nothing')
    refused('EAGAIN', os.read, fd, 10)


@kinds
def test_timeouts(q, fd):
    for ms in (50, 300):
        got, took = timed(poll, fd, IN, ms)
        ok(got == 0 and ms / 1000 <= took < ms / 1000 + SOON, f'poll of {ms} ms: {got} after {took:.2f} s')
    got, took = timed(select.select, [fd], [], [], 0.1)
    ok(got == ([], [], []) and 0.09 <= took < SOON, f'select: {got} after {took:.2f} s')
    q.fill()
    got, took = timed(poll, fd, OUT, 100)
    ok(got == 0 and 0.1 <= took < SOON, f'poll of a full queue: {got} after {took:.2f} s')


def by_select(fd, events, ms):
    got = select.select([fd] if events & IN else [], [fd] if events & OUT else [], [], ms / 1000)
    return (IN if got[0] else 0) | (OUT if got[1] else 0)


def by_epoll(fd, events, ms):
    with select.epoll() as e:
        e.register(fd, events)
        got = e.poll(ms / 1000)
        eq(e.poll(0), got, 'epoll is level-triggered')
        return got[0][1] if got else 0


def woken(q, fd, events, wake, what):
    for how, wait in ('poll', poll), ('select', by_select), ('epoll', by_epoll):
        begin = time.monotonic()
        timer = later(wake)
        got = wait(fd, events, 5000)
        took = time.monotonic() - begin
        timer.join()
        eq(got, events, f'{how}, woken by {what}')
        ok(0.19 <= took < 0.3 + WAKE[q.kind], f'{how}, woken by {what}: after {took:.2f} s')
        if events == IN:
            eq(len(q.take()), 1, f'messages after {how}')
        else:
            q.fill()


@kinds
def test_waking(q, fd):
    woken(q, fd, IN, lambda: q.send(b'm'), 'a native sender')
    woken(q, fd, IN, lambda: bash(f'echo m > {q.path}'), 'a sender through the mount')
    woken(q, fd, IN, lambda: os.write(fd, b'm'), 'a sender with the same descriptor')
    woken(q, fd, IN, lambda: bash(f'echo m > {q.ctl}/lines'), 'lines')
    q.fill()
    woken(q, fd, OUT, lambda: q.take(), 'a native receiver')
    woken(q, fd, OUT, lambda: bash(f'dd if={q.path} bs=64K count=1 status=none'), 'a receiver through the mount')
    woken(q, fd, OUT, lambda: os.truncate(q.path, 0), 'a purge')


@kinds
def test_many_who_poll(q, fd):
    fds = [os.open(q.path, os.O_RDONLY | os.O_NONBLOCK) for _ in range(30)]
    lines = os.open(f'{q.ctl}/lines', os.O_RDWR | os.O_NONBLOCK)
    with select.epoll() as e:
        for f in fds + [lines]:
            e.register(f, IN)
        eq(e.poll(0), [], 'nothing')
        for round_ in range(5):
            timer = later(q.send, b'for whom')
            eq(len(e.poll(5)) > 0, True, f'epoll in round {round_}')
            timer.join()
            wait_until(lambda: len(e.poll(0.1, 100)) == 31, 'all see it', 3)
            texts = [attempt(os.read, f, 100) for f in fds]
            eq(sorted(map(str, texts)), sorted(["b'for whom'"] + ['EAGAIN'] * 29), 'one of them gets it')
            eq([os.read(f, 100) for f, t in zip(fds, texts) if t != 'EAGAIN'], [b''], 'the end')
            eq(e.poll(0.05), [], 'then nothing is ready')
    for f in fds + [lines]:
        os.close(f)


@kinds
def test_poll_loses_nothing(q, fd):
    """A consumer with poll and O_NONBLOCK against a native sender: no wake-up is lost, whatever the moment."""
    count = 60 if q.kind != 'mq' else 600
    got = []
    stopped = threading.Event()

    def send():
        for i in range(count):
            q.send(b'%d' % i)
            time.sleep(0.0005 * (i % 7))
        stopped.set()
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    while len(got) < count:
        ok(poll(fd, IN, 3000) == IN, f'poll says nothing for 3 s after {len(got)} messages')
        text = attempt(os.read, fd, 100)
        if text not in ('EAGAIN', b''):
            got.append(int(text))
    sender.join()
    eq(got, list(range(count)), 'messages')


@kinds
def test_poll_is_interrupted(q, fd):
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        p = shell(f'exec python3 -c "import select; select.select([open(\'{q.path}\')], [], [])"')
        time.sleep(0.15)
        p.send_signal(sig)
        ok(ends(p) != 0, f'a process in select on {sig.name}')
    q.send(b'm')
    eq(len(q.take()), 1, 'the message is still there')


@kinds
def test_closing_wakes_nobody_wrongly(q, fd):
    """Neither the close of another descriptor nor that of a duplicate ends a wait or gives it something."""
    other = os.open(q.path, os.O_RDWR)
    p = subprocess.Popen(['cat'], stdin=other, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until(lambda: metrics()['ipcfs_parked'] == 1, 'cat is parked')
    for closing in (lambda: os.close(other), lambda: os.close(os.open(q.path, os.O_RDWR)),
                    lambda: bash(f': < {q.path}; : > {q.path}'),
                    lambda: os.close(os.dup(fd))):
        closing()
        time.sleep(0.05)
        ok(p.poll() is None, 'a waiting reader ended when somebody closed something')
        eq(metrics()['ipcfs_parked'], 1, 'parked')
    q.send(b'message')
    eq((p.communicate(timeout=5)[0], p.returncode), (b'message', 0), 'the reader')


@kinds
def test_close_in_another_thread(q, fd):
    """As with a pipe: who waits in a read has the descriptor until he gets something."""
    mine = os.open(q.path, os.O_RDONLY)
    got = []
    thread = threading.Thread(target=lambda: got.append(attempt(os.read, mine, 100)))
    thread.start()
    wait_until(lambda: metrics()['ipcfs_parked'] == 1, 'the reader is parked')
    begin = time.monotonic()
    os.close(mine)
    ok(time.monotonic() - begin < SOON, 'close waits for the read')
    time.sleep(0.1)
    eq(got, [], 'the read goes on after close')
    q.send(b'm')
    thread.join(5)
    eq(got, [b'm'], 'the read')
    eq(q.take(), [], 'left')


@kinds
def test_no_end_without_message(q, fd):
    """An empty queue is no end of file, with or without writers."""
    p = shell(f'exec cat {q.path}')
    wait_until(lambda: metrics()['ipcfs_parked'] == 1, 'cat is parked')
    bash(f': > {q.path}')
    time.sleep(0.1)
    ok(p.poll() is None, 'cat ended without a message')
    p.kill()
    ends(p)
    wait_until(lambda: metrics()['ipcfs_parked'] == 0, 'nobody is parked')
    q.send(b'kept')
    time.sleep(0.05)
    eq([m[0] for m in q.take()], [b'kept'], 'the message after a killed reader')


@kinds
def test_nobody_is_overtaken(q, fd):
    """Who comes with O_NONBLOCK while others wait takes nothing that is theirs."""
    waiting = [shell(f'exec cat {q.path}') for _ in range(3)]
    wait_until(lambda: metrics()['ipcfs_parked'] == 3, 'three wait')
    for _ in range(20):
        refused('EAGAIN', os.read, fd, 10)
    for i in range(3):
        q.send(b'%d' % i)
    eq(sorted(p.communicate(timeout=5)[0] for p in waiting), [b'0', b'1', b'2'], 'each gets one')
    refused('EAGAIN', os.read, fd, 10)


mount_mqfs()
main(globals(), after=clean_queues, about_daemon=True)
