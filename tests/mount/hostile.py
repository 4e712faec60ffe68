# SPDX-License-Identifier: MIT
"""Users who mean harm: what one of them lets wait holds up nobody else, cannot be made immortal, and costs no memory."""
import ctypes
import os
import signal
import struct
import threading
import time

from mounttest import CTL, MNT, attempt, eq, get, main, metrics, ok

MEASURE = os.environ['IPCFS_MEASURE'] == '1' and b'libtsan' not in get(f'/proc/{os.environ["IPCFS_PID"]}/maps')
QUEUE = f'{MNT}/mq/hostile'
LINES = f'{CTL}/mq/hostile/lines'
LINE = b'l' * 59 + b'\n'
libc = ctypes.CDLL(None, use_errno=True)
SYS_IO_SETUP, SYS_IO_SUBMIT = {'x86_64': (206, 209), 'aarch64': (0, 2)}.get(os.uname().machine, (None, None))


def make(count):
    with open(f'{CTL}/mq/create', 'w') as create:
        create.write('hostile maxmsg=2 msgsize=64 mode=0666\n')
    fd = os.open(QUEUE, os.O_WRONLY)
    for _ in range(count):
        os.write(fd, b'full')
    os.close(fd)


def until(what, condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        ok(time.monotonic() < end, f'{what} within {seconds} s')
        time.sleep(0.01)


def child(fn, *args):
    pid = os.fork()
    if pid == 0:
        try:
            fn(*args)
        finally:
            os._exit(0)
    return pid


def dies(pid, what, seconds):
    begin = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(f'{what} dies', lambda: os.waitpid(pid, os.WNOHANG)[0], seconds + 20)
    ok(time.monotonic() - begin < seconds, f'{what} died after {time.monotonic() - begin:.1f} s')


def submit_reads(count):
    """Reads that nobody waits for, from an empty queue."""
    fd = os.open(QUEUE, os.O_RDONLY | os.O_DIRECT)
    context = ctypes.c_ulong(0)
    libc.syscall(SYS_IO_SETUP, count, ctypes.byref(context))
    room = ctypes.create_string_buffer(8192)
    page = (ctypes.addressof(room) + 4095) & ~4095
    for i in range(count):
        block = ctypes.create_string_buffer(struct.pack('<QIiHhIQQqQII', i, 0, 0, 0, 0, fd, page, 4096, 0, 0, 0, 0), 64)
        libc.syscall(SYS_IO_SUBMIT, context, ctypes.c_long(1), (ctypes.c_void_p * 1)(ctypes.addressof(block)))


def test_asynchronous_reads():
    if SYS_IO_SETUP is None:
        print('  left out: system call numbers of this machine')
        return
    make(0)
    pid = child(submit_reads, 100)
    until('a read waits', lambda: metrics()['ipcfs_parked'] > 0)
    time.sleep(0.5)
    before = metrics()['ipcfs_handles']
    for _ in range(50):
        get(f'{CTL}/version')
    until('closed files are released', lambda: metrics()['ipcfs_handles'] <= before, 3)
    dies(pid, 'who reads asynchronously', 5)
    os.unlink(QUEUE)


def leave_unfinished(count):
    for _ in range(count):
        os.write(os.open(LINES, os.O_WRONLY), b'unfinished')


def test_exit_with_unfinished_lines():
    make(2)
    pid = child(leave_unfinished, 30)
    until('its end has begun', lambda: metrics()['ipcfs_parked'] > 0)
    dies(pid, 'who leaves 30 unfinished lines to a full queue', 6)
    os.unlink(QUEUE)


def memory():
    return int(get(f'/proc/{os.environ["IPCFS_PID"]}/status').split(b'VmRSS:')[1].split()[0]) // 1024


def write_lines(data, counts):
    fd = os.open(LINES, os.O_WRONLY)
    counts.append(os.write(fd, data))
    os.close(fd)


def test_large_writes_that_wait():
    make(2)
    before = memory()
    counts = []
    data = LINE * 16000
    threads = [threading.Thread(target=write_lines, args=(data, counts), daemon=True) for _ in range(100)]
    for thread in threads:
        thread.start()
    until('all wait', lambda: metrics()['ipcfs_parked'] == 100, 20)
    grown = memory() - before
    ok(not MEASURE or grown < 50, f'the daemon grew by {grown} MiB for 100 writes of 1 MB')
    fd = os.open(LINES, os.O_RDONLY | os.O_NONBLOCK)
    while any(thread.is_alive() for thread in threads):
        lines = attempt(os.read, fd, 1 << 16)
        ok(lines == 'EAGAIN' or not lines.replace(LINE, b'').replace(b'full\n', b''), 'lines are whole')
    eq(len(counts), 100, 'writes that ended')
    ok(all(0 < count <= 65536 and count % len(LINE) == 0 for count in counts), f'counts: {sorted(set(counts))}')
    os.close(fd)
    os.unlink(QUEUE)




main(globals(), about_daemon=True)
