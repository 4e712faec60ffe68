# SPDX-License-Identifier: MIT
"""The end of the daemon and of the mount while everything waits on listening sockets; and what the next daemon finds.

With run --no-daemon.
"""
import os
import resource
import signal
import socket
import subprocess
import time

from daemons import BOUND, Daemon, end_daemons
from listeners import CREATE, SOCK, Listener, end_children, line_of, put_line, raw_write, set_nonblocking
from mounttest import ASAN, MNT, SCRATCH, Diffs, User, attempt, eq, in_child, main, ok
from queues import SOON, bash, output, shell, wait_until

SOMAXCONN = line_of('/proc/sys/net/core/somaxconn')


class Everything:
    """One of each who waits: processes, threads of this one, and native ends."""

    def __init__(self, daemon):
        self.opening, self.full = Listener('opening'), Listener('full', 'backlog=1')
        self.flows, self.grams = Listener('flows'), Listener('grams', 'type=dgram')
        self.packets = Listener('packets', 'type=seqpacket')
        put_line(CREATE, 'sending type=dgram')
        self.paths = [os.readlink(s.socket) for s in (self.opening, self.full, self.flows, self.grams, self.packets)]
        self.queue = [os.open(self.full.connect, os.O_RDWR) for _ in range(2)]
        self.native, self.server = self.flows.pair('native')
        self.client, self.other = self.flows.pair()
        set_nonblocking(self.client)
        while raw_write(self.client, b'x' * 65536) > 0:
            pass
        set_nonblocking(self.client, False)
        filler = os.open(f'{SOCK}/sending/send', os.O_WRONLY | os.O_NONBLOCK)
        while raw_write(filler, b'x') > 0:
            pass
        os.close(filler)
        self.own = [self.server, self.client, self.other, *self.queue]
        lines = [f'exec 3<> {self.opening.accept}', f'exec cat {self.packets.accept}', f'echo x > {self.full.connect}',
                 f'exec cat {self.full.connect}', f'exec cat <&{self.server}', f'exec cat <&{self.client}',
                 f'exec head -c 3000000 /dev/zero >&{self.client}', f'exec cat {self.grams.recv}', f'echo x > {SOCK}/sending/send']
        before = daemon.parked()
        self.waiting = [shell(line, pass_fds=self.own) for line in lines]
        self.polling = [shell(f'exec python3 -c "import select; select.select([{self.server}], [], [])"', pass_fds=self.own)]
        wait_until(lambda: daemon.parked() == before + len(lines), f'all wait: {daemon.parked()} of {before} + {len(lines)}')
        code = f'import socket; s = socket.socket(socket.AF_UNIX); s.connect("{self.paths[1]}"); s.recv(1)'
        self.natives = [shell(f"exec python3 -c '{code}'")]
        time.sleep(0.3)
        for p in self.waiting + self.polling + self.natives:
            eq(p.poll(), None, f'{p.args} waits')

    def all_end(self, what):
        for p in self.waiting:
            out, status = output(p, BOUND)
            quiet = '<&' in str(p.args)
            ok(status != 0 or quiet, f'{p.args} after {what}: status {status}, {out!r}')
        for p in self.polling + self.natives:
            output(p, BOUND)
        self.native.settimeout(BOUND)
        ok(attempt(self.native.recv, 10) in (b'', 'ECONNRESET'), f'a native end after {what}')
        self.close()

    def close(self):
        for fd in self.own:
            attempt(os.close, fd)
        self.native.close()

    def kill(self):
        for p in self.waiting + self.polling + self.natives:
            p.kill()
            output(p)


def test_signals_end_waits():
    for sig in (signal.SIGTERM, signal.SIGINT):
        daemon = Daemon()
        everything = Everything(daemon)
        begin = time.monotonic()
        daemon.process.send_signal(sig)
        eq(daemon.ended(), 0, f'status on {sig.name}')
        ok(time.monotonic() - begin < 5 * SOON, f'{sig.name}: the end takes {time.monotonic() - begin:.1f} s')
        everything.all_end(sig.name)
        clean_runtime()


def test_killed_daemon():
    daemon = Daemon()
    everything = Everything(daemon)
    daemon.process.kill()
    daemon.process.wait(BOUND)
    everything.all_end('SIGKILL')
    subprocess.run(['umount', '-l', MNT], check=True)
    daemon = Daemon()
    eq(sorted(os.listdir(SOCK)), ['flows', 'full', 'grams', 'opening', 'packets', 'sending'], 'names')
    for name, kind, backlog in (('opening', 'stream', SOMAXCONN), ('full', 'stream', '1'), ('packets', 'seqpacket', SOMAXCONN)):
        s = Listener(name, made=True)
        eq((line_of(s.type), line_of(s.backlog)), (kind, backlog), name)
        client = s.native(kind)
        client.send(b'after')
        fd = os.open(s.accept, os.O_RDWR | os.O_NONBLOCK)
        eq(os.read(fd, 10), b'after', f'{name}: nothing is left of the old queue')
        os.close(fd)
        client.close()
    eq(bash(f'echo one > {SOCK}/sending/send; cat {SOCK}/sending/recv'), ('one\n', 0), 'datagrams')
    remove_all()
    stop(daemon)


def stop(daemon):
    daemon.process.terminate()
    eq(daemon.ended(), 0, 'status')


def remove_all():
    for name in os.listdir(SOCK):
        path = f'{SOCK}/{name}'
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def clean_runtime():
    """Nothing of a test is to be there in the next one."""
    subprocess.run(['sh', '-c', 'rm -rf /run/ipcfs/*/nodes/*/* /run/ipcfs/*/listen/*'], check=True)


def test_lazy_umount():
    daemon = Daemon()
    everything = Everything(daemon)
    subprocess.run(['umount', '-l', MNT], check=True, timeout=BOUND)
    eq(attempt(os.stat, SOCK), 'ENOENT', 'the tree after umount -l')
    time.sleep(0.2)
    ok(daemon.process.poll() is None, 'the daemon ends though somebody waits')
    late = socket.socket(socket.AF_UNIX)
    late.connect(everything.paths[0])
    eq(output(everything.waiting[0], BOUND)[1], 0, 'who accepts is served after umount -l')
    late.close()
    os.write(everything.server, b'on')
    eq(everything.native.recv(10), b'on', 'what is connected is so after umount -l')
    everything.kill()
    everything.close()
    eq(daemon.ended(), 0, 'status after umount -l')
    clean_runtime()


def busy(what):
    r = subprocess.run(['umount', MNT], capture_output=True, text=True, timeout=BOUND)
    ok(r.returncode != 0 and 'busy' in r.stderr, f'umount beside one {what}: {r}')


def test_umount_is_busy():
    daemon = Daemon()
    s = Listener()
    p = shell(f'exec 3<> {s.accept}; cat <&3')
    wait_until(lambda: daemon.parked() == 1, 'parked')
    busy('who opens')
    client = s.native()
    client.sendall(b'bye')
    busy('who reads')
    client.close()
    eq(output(p), ('bye', 0), 'who accepted')
    eq(subprocess.run(['umount', MNT], timeout=BOUND).returncode, 0, 'umount')
    eq(daemon.ended(), 0, 'status')
    clean_runtime()


def look():
    """What stat(2) and the files tell, which is to be the same again."""
    found = {}
    for name in sorted(os.listdir(SOCK)):
        st = os.stat(f'{SOCK}/{name}')
        found[name] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns)
        if os.path.isdir(f'{SOCK}/{name}'):
            node = os.stat(f'{SOCK}/{name}/socket')
            found[name] += (line_of(f'{SOCK}/{name}/type'), line_of(f'{SOCK}/{name}/backlog'), os.readlink(f'{SOCK}/{name}/socket'),
                            oct(node.st_mode), node.st_uid, node.st_gid)
    return found


def test_restart():
    daemon = Daemon()
    Listener('plain')
    Listener('packets', 'type=seqpacket backlog=5 mode=0640')
    Listener('datagrams', 'type=dgram mode=0622')
    changed = Listener('changed')
    put_line(changed.type, 'seqpacket')
    put_line(changed.backlog, '3')
    os.chown(changed.path, 1000, 1001)
    os.chmod(changed.path, 0o775)
    os.utime(changed.path, (1_000_000_000, 1_100_000_000))
    reset = Listener('reset', 'backlog=2')
    put_line(reset.backlog, '0')
    Listener('gone').remove()
    os.mkdir(SOCK + '/odd \n name')
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f'{SOCK}/bound')
    with open(f'{SOCK}/file', 'w') as f:
        f.write('kept')
    diffs, before, ino = Diffs(), look(), os.stat(changed.path).st_ino
    eq(before['changed'][4:6], ('seqpacket', '3'), 'before')
    for how in ('SIGTERM', 'SIGKILL', 'umount'):
        if how == 'umount':
            subprocess.run(['umount', MNT], check=True, timeout=BOUND)
            eq(daemon.ended(), 0, 'status')
        else:
            daemon.process.send_signal(getattr(signal, how))
            daemon.process.wait(BOUND)
            if how == 'SIGKILL':
                subprocess.run(['umount', '-l', MNT], check=True)
        daemon = Daemon()
        after = look()
        for name in sorted(before.keys() | after.keys()):
            diffs.same(before.get(name), after.get(name), f'{name} after {how}')
        eq(os.stat(changed.path).st_ino, ino, 'inode number')
        with open(f'{SOCK}/file') as f:
            eq(f.read(), 'kept', 'a file beside')
        client, server = Listener('plain', made=True).pair('native')
        client.sendall(b'x')
        eq(os.read(server, 1), b'x', f'data after {how}')
        client.close()
        os.close(server)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
            c.connect(changed.socket)
            eq(c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:], (1000).to_bytes(4, 'little') + (1001).to_bytes(4, 'little'),
               'whose it is')
        os.close(os.open(changed.accept, os.O_RDWR))
    diffs.finish(20)
    remove_all()
    eq(bash('find /run/ipcfs -mindepth 3 ! -type d')[0], '', 'what is kept, when all are removed')
    stop(daemon)


def test_what_is_kept_makes_no_sense():
    """Lost, broken, planted by an administrator: the daemon starts, and what can be is there."""
    daemon = Daemon()
    names = ['lost', 'broken', 'directory', 'link', 'node', 'kept']
    found = [Listener(n, 'type=seqpacket backlog=4') for n in names]
    paths = [os.readlink(s.socket) for s in found]
    stop(daemon)
    os.unlink(paths[0] + '.conf')
    with open(paths[1] + '.conf', 'w') as f:
        f.write('nonsense ' * 100)
    os.unlink(paths[2] + '.conf')
    os.mkdir(paths[2] + '.conf')
    os.unlink(paths[3] + '.conf')
    os.symlink('/etc/passwd', paths[3] + '.conf')
    attempt(os.unlink, paths[4])
    os.mkdir(paths[4])
    with open(os.path.dirname(paths[0]) + '/999999', 'w') as f:
        f.write('of nobody')
    daemon = Daemon()
    eq(sorted(os.listdir(SOCK)), sorted(names), 'names')
    eq([line_of(s.type) for s in found[:4]] + [line_of(found[5].type)], ['stream'] * 4 + ['seqpacket'], 'types')
    ok(attempt(line_of, found[4].type) in ('ESTALE', 'ENOENT', 'seqpacket', 'EIO'), f'one that cannot be bound: {attempt(line_of, found[4].type)}')
    ok(isinstance(attempt(os.open, found[4].accept, os.O_RDWR | os.O_NONBLOCK), str), 'nor opened')
    ok(not os.path.exists(os.path.dirname(paths[0]) + '/999999'), 'what is of nobody is swept')
    with open(f'{SCRATCH}/log') as f:
        ok('sock/node' in f.read(), 'the log says which')
    for s in found:
        s.remove()
    eq(os.listdir(SOCK), [], 'all can be removed')
    stop(daemon)
    clean_runtime()


def waiting_crowd(s, count):
    import threading
    threading.stack_size(65536)
    for _ in range(count):
        threading.Thread(target=lambda: attempt(os.open, s.accept, os.O_RDWR), daemon=True).start()
        time.sleep(0.0005)
    time.sleep(BOUND * 4)


def churn(path, file):
    while os.path.isdir(path):
        fd = attempt(os.open, f'{path}/{file}', os.O_RDWR)
        if isinstance(fd, int):
            attempt(os.write, fd, b'x')
            os.close(fd)
    return 0


def test_sigterm_while_thousands_wait():
    n = 200 if ASAN else 1000
    daemon = Daemon()
    s, busy = Listener(), Listener('busy', 'backlog=2')
    pids = [in_child(waiting_crowd, s, n)] + [in_child(churn, busy.path, f) for f in ('accept', 'connect', 'accept', 'connect', 'connect')]
    wait_until(lambda: daemon.parked() >= n, f'{n} parked', 30)
    begin = time.monotonic()
    daemon.process.terminate()
    eq(daemon.ended(), 0, 'status')
    print(f'  ended in {time.monotonic() - begin:.2f} s beside {n} who wait')
    os.kill(pids[0], signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)
    clean_runtime()


def use_up(s):
    """As many connections as one user may have, each used in all ways at once; what ended it."""
    import select
    import threading
    threading.stack_size(65536)
    fds, poller = [], select.epoll()
    while isinstance(fd := attempt(os.open, s.accept if len(fds) % 2 else s.connect, os.O_RDWR), int):
        fds.append(fd)
        poller.register(fd)
        poller.poll(0)
        for op, arg in ((os.read, 10), (os.write, b'x' * (1 << 20))):
            threading.Thread(target=attempt, args=(op, fd, arg), daemon=True).start()
    time.sleep(0.5)
    keep.append((fds, poller))
    return len(fds), fd


keep = []


def test_share_of_a_user():
    """Nobody but root has more than half of the daemon's descriptors by his connections."""
    daemon = Daemon(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (800, 800)))
    s = Listener('s', 'mode=0777')
    os.chown(s.path, 1000, 1000)
    user, fds = User(1000, 1000), f'/proc/{daemon.process.pid}/fd'
    before = len(os.listdir(fds))
    eq(user(use_up, s), (80, 'ENFILE'), 'handles')
    used = len(os.listdir(fds)) - before
    print(f'  {used} descriptors of 800')
    ok(used <= 410, f'{used} descriptors of 800 by one user')
    os.kill(user.pid, signal.SIGKILL)
    os.waitpid(user.pid, 0)
    wait_until(lambda: len(os.listdir(fds)) <= before + 10, 'all are given back')
    s.remove()
    stop(daemon)


def end_all():
    end_children()
    end_daemons()
    clean_runtime()


main(globals(), after=end_all, about_daemon=True)
