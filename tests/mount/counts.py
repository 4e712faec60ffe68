# SPDX-License-Identifier: MIT
"""What a call through the mount costs: one system call of the client, and with passthrough no request at all."""
import os
import re
import subprocess
import sys

from mounttest import MNT, PASSTHROUGH, TREE, Requests, both, daemon_only, eq, get, in_child, join, main, metrics, ok, put

SLACK = 12  # forgets and releases of what came before

CLIENT = '''
import os, sys
path, count, call = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fd = os.open(path, os.O_RDWR)
page = b"p" * 4096
for i in range(count):
    if call == "pwrite64":
        os.pwrite(fd, page, 4096 * i)
    else:
        os.pread(fd, 4096, 4096 * i)
'''


def strace(path, count, call):
    """Calls that the client made, by name."""
    argv = ['strace', '-f', '-c', '-o', '/dev/stdout', sys.executable, '-S', '-E', '-c', CLIENT, path, str(count), call]
    r = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=dict(os.environ, PYTHONHASHSEED='0'))
    eq((r.returncode, r.stderr), (0, ''), 'strace')
    found = {}
    for line in r.stdout.splitlines():
        m = re.match(r'\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$', line)
        if m:
            found[m.group(2)] = int(m.group(1))
    return found


def test_system_calls_of_the_client():
    put(both('s')[0], b'x' * 4096 * 1000)
    for call in ('pwrite64', 'pread64'):
        few, many = (strace(both('s')[1], n, call) for n in (10, 1010))
        base = few.get(call, 0) - 10
        ok(0 <= base < 10, f'{call}: strace counts {few.get(call)} for 10')
        eq(many.get(call), 1010 + base, f'{call} of 1010')
        rest = [sum(v for k, v in f.items() if k not in (call, 'total')) for f in (few, many)]
        ok(abs(rest[1] - rest[0]) <= 5, f'other system calls of the client: {rest[0]} for 10 {call}, {rest[1]} for 1010')


def daemon_writes():
    """Answers of the daemon as the kernel counts them, whatever its own counters say."""
    with open(f'/proc/{os.environ["IPCFS_PID"]}/io') as f:
        return int(re.search(r'syscw: (\d+)', f.read()).group(1))


def work(path, flags, count, fn):
    fd = os.open(path, flags, 0o666)
    for i in range(count):
        fn(fd, i)
    os.close(fd)


def cost(path, flags, count, fn, uid):
    """Requests by kind, and answers, that `count` calls cost."""
    def user():
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        work(path, flags, count, fn)
    before = daemon_writes()
    with Requests() as requests:
        join([in_child(user)], 'client')
    return requests.made, daemon_writes() - before


PAGE = b'p' * 4096
CALLS = {
    'pwrite': (os.O_RDWR, 'write', lambda fd, i: os.pwrite(fd, PAGE, 4096 * i)),
    'write': (os.O_WRONLY, 'write', lambda fd, i: os.write(fd, PAGE)),
    'overwrite': (os.O_WRONLY, 'write', lambda fd, i: os.pwrite(fd, PAGE, 0)),
    'append': (os.O_WRONLY | os.O_APPEND, 'write', lambda fd, i: os.write(fd, b'a')),
    'pwritev': (os.O_RDWR, 'write', lambda fd, i: os.pwritev(fd, [PAGE, PAGE], 0)),
    'created': (os.O_RDWR | os.O_CREAT | os.O_TRUNC, 'write', lambda fd, i: os.pwrite(fd, PAGE, 0)),
    'pread': (os.O_RDONLY, 'read', lambda fd, i: os.pread(fd, 4096, 4096 * (i % 100))),
    'read and write': (os.O_RDWR, 'write', lambda fd, i: (os.pwrite(fd, b'x', 5), os.pread(fd, 10, 0))),
}


@daemon_only
def test_requests():
    for uid in (0, 1001):
        for name, (flags, op, fn) in CALLS.items():
            path = both(f'{name}{uid}')[1]
            if name != 'created':
                put(path, PAGE * 100)
            os.chmod(path, 0o666) if name != 'created' else None
            few, few_answers = cost(path, flags, 10, fn, uid)
            many, many_answers = cost(path, flags, 1010, fn, uid)
            what = f'1000 times {name} by {uid}'
            per_call = {} if PASSTHROUGH else {'write': {op: 1000}, 'read': {op: 1000}}[op]
            if name == 'read and write' and not PASSTHROUGH:
                per_call = {'write': 1000, 'read': 1000}
            for kind in sorted(set(few) | set(many)):
                more = many.get(kind, 0) - few.get(kind, 0)
                want = per_call.get(kind, 0)
                slack = 0 if kind in ('read', 'write') else SLACK
                ok(abs(more - want) <= slack, f'{what}: {more} {kind} requests, expected {want}')
            more = many_answers - few_answers
            want = 0 if PASSTHROUGH else 2 * sum(per_call.values())  # the answer, and the daemon's own pwrite
            ok(more <= want + 3 * SLACK, f'{what}: the daemon made {more} more writes, expected at most {want}')
            os.unlink(path)


@daemon_only
def test_counters_count():
    """The counters themselves: each kind of request moves its own."""
    m = metrics()
    for name in ('ipcfs_nodes', 'ipcfs_handles', 'ipcfs_backing_ids', 'ipcfs_threads'):
        ok(name in m, f'{name} is missing')
    path = both('counted')[1]
    with Requests() as r:
        for i in range(50):
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            os.ftruncate(fd, 100)
            os.close(fd)
            os.close(os.open(path, os.O_RDONLY))
            os.stat(path)
            os.rename(path, path + '2')
            os.unlink(path + '2')
    for op in ('create', 'open', 'setattr', 'lookup'):
        ok(r[op] >= 50, f'{r[op]} {op} requests counted for 50')
    with Requests() as r:
        for i in range(20):
            os.listdir(TREE)
    ok(r['readdir'] + r['readdirplus'] >= 20, f'{r.made} for 20 listings')
    fds = [os.open(path, os.O_CREAT | os.O_RDWR) for _ in range(30)]
    now = metrics()
    ok(m['ipcfs_handles'] + 30 <= now['ipcfs_handles'] <= m['ipcfs_handles'] + 32, f'handles {m} -> {now}')
    eq(now['ipcfs_backing_ids'] - m['ipcfs_backing_ids'], 1 if PASSTHROUGH else 0, 'backing ids of one object open 30 times')
    for fd in fds:
        os.close(fd)


@daemon_only
def test_files_of_a_set():
    """The object is looked up, and asked for its attributes; the name of what is only read in it is known."""
    made = f'{MNT}/sysv/sem/by-key/0x00000088'
    os.mkdir(made)
    get(f'{made}/nsems')
    with Requests() as r:
        for _ in range(100):
            get(f'{made}/nsems')
    for op, want in (('lookup', 1), ('getattr', 2), ('open', 1), ('read', 2), ('release', 1)):
        ok(abs(r[op] - 100 * want) <= SLACK, f'{r[op]} {op} requests for 100 times nsems')
    os.rmdir(made)


main(globals())
