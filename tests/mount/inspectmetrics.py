# SPDX-License-Identifier: MIT
"""ctl/metrics, ctl/limits and ctl/list.json: valid for an independent parser, and what they say is what was made, and what
lsipc, sysctl, getrlimit and statvfs say."""
import ctypes
import json
import math
import os
import resource
import socket
import subprocess
import time

import prometheus_client.openmetrics.parser as openmetrics
import prometheus_client.parser as prometheus

from mounttest import CTL, MNT, SHM, User, attempt, eq, get, main, ok, put
from queues import IPC_CREAT, IPC_RMID, all_msg, check, clean_queues, libc, make_mq, make_msg, mount_mqfs, start, sysctl, unlink_mq, wait_until

PAGE = os.sysconf('SC_PAGESIZE')
SETS, SEMAPHORES = 3, 7  # in each
PRIVATE = 0
SEM_FAILED = 0
libc.sem_open.restype = ctypes.c_void_p


def parse(text=None):
    """Every sample: (name, labels) -> value; and the families."""
    text = get(CTL + '/metrics').decode() if text is None else text
    families = list(openmetrics.text_string_to_metric_families(text))
    samples = {}
    for family in families:
        for s in family.samples:
            key = (s.name, tuple(sorted(s.labels.items())))
            ok(key not in samples, f'{key} is there twice')
            samples[key] = s.value
    return samples, {f.name: f for f in families}


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))))


def kinds_of(samples, name):
    return {dict(labels)['kind']: v for (n, labels), v in samples.items() if n == name}


def rows(path='limits.json'):
    return {(r['kind'], r['limit']): r for r in json.loads(get(f'{CTL}/{path}'))}


def limits_of(kind):
    return json.loads(get(f'{CTL}/{kind}/limits.json'))


class Made:
    """Objects of all kinds, so many of each, all made natively."""

    COUNTS = {'shm': 5, 'mq': 2, 'sem': 3, 'sysv/shm': 4, 'sysv/msg': 2, 'sysv/sem': SETS, 'pipe': 3, 'sock': 2}
    MESSAGES = {'mq': 4, 'sysv/msg': 5}

    def __enter__(self):
        for i in range(5):
            put(f'{SHM}/made{i}', b'x' * 10000)
        for i in range(3):
            sem = libc.sem_open(b'/made%d' % i, os.O_CREAT | os.O_EXCL, 0o600, i)
            ok(sem != SEM_FAILED, 'sem_open')
        self.mq = [make_mq('a', 5, 100), make_mq('b', 3, 50)]
        self.mq[0].send(b'1')
        for word in (b'2', b'34', b'567'):
            self.mq[1].send(word)
        self.segments = [check(libc.shmget(PRIVATE, ctypes.c_size_t(n), 0o600 | IPC_CREAT), 'shmget') for n in (1, PAGE, PAGE + 1, 3 * PAGE)]
        self.msg = [make_msg(0x71), make_msg(0x72)]
        for word in (b'', b'a', b'bb', b'ccc', b'dddd'):
            self.msg[1].send(word)
        self.sets = [check(libc.semget(PRIVATE, SEMAPHORES, 0o600 | IPC_CREAT), 'semget') for _ in range(SETS)]
        for i in range(3):
            os.mkfifo(f'{MNT}/pipe/made{i}')
        self.sockets = []
        for i in range(2):
            self.sockets.append(socket.socket(socket.AF_UNIX))
            self.sockets[-1].bind(f'{MNT}/sock/made{i}')
        return self

    def __exit__(self, *_):
        for i in range(5):
            os.unlink(f'{SHM}/made{i}')
        for i in range(3):
            libc.sem_unlink(b'/made%d' % i)
            os.unlink(f'{MNT}/pipe/made{i}')
        for q in self.mq:
            q.close()
        for name in 'ab':
            unlink_mq(name)
        for q in self.msg:
            q.remove()
        for shmid in self.segments:
            libc.shmctl(shmid, IPC_RMID, None)
        for semid in self.sets:
            libc.semctl(semid, 0, IPC_RMID)
        for i, s in enumerate(self.sockets):
            s.close()
            os.unlink(f'{MNT}/sock/made{i}')


# ---- metrics ----


def test_metrics_are_valid():
    with Made():
        text = get(CTL + '/metrics').decode()
    samples, families = parse(text)
    ok(text.endswith('\n# EOF\n') and text.count('# EOF') == 1, 'the end')
    older = {f.name for f in prometheus.text_string_to_metric_families(text)}
    ok('ipcfs_build_info' in older and 'ipcfs_requests_total' in older, f'in the older format: {older}')
    for name, family in families.items():
        ok(family.type in ('counter', 'gauge', 'histogram'), f'{name} is a {family.type}')
        ok(len(family.documentation) > 5 and family.documentation.endswith('.'), f'{name}: help {family.documentation!r}')
        unit = [u for u in ('bytes', 'seconds') if name.endswith('_' + u)]
        eq([family.unit] if family.unit else [], unit, f'unit of {name}')
        for s in family.samples:
            ok(not math.isnan(s.value) and s.value >= 0, f'{s}')
    build = families['ipcfs_build_info'].samples
    eq([s.value for s in build], [1], 'build_info')
    ok(build[0].labels['version'] in get(CTL + '/version').decode(), 'version')
    # No object has a series of its own.
    ok('made' not in text, 'a name of an object is in it')


def sockets():
    """Of all programs of the machine."""
    with open('/proc/net/sockstat') as f:
        return int(f.readline().split()[2])


def test_metrics_count_what_there_is():
    before, _ = parse()
    used = os.statvfs(SHM)
    with Made():
        now, _ = parse()
        rise = {k: v - kinds_of(before, 'ipcfs_objects')[k] for k, v in kinds_of(now, 'ipcfs_objects').items()}
        eq(rise, Made.COUNTS, 'objects')
        rise = {k: v - kinds_of(before, 'ipcfs_messages')[k] for k, v in kinds_of(now, 'ipcfs_messages').items()}
        eq(rise, Made.MESSAGES, 'messages')
        eq(value(now, 'ipcfs_message_bytes', kind='sysv/msg') - value(before, 'ipcfs_message_bytes', kind='sysv/msg'), 10, 'text')
        eq(value(now, 'ipcfs_semaphores', kind='sysv/sem') - value(before, 'ipcfs_semaphores', kind='sysv/sem'), SETS * SEMAPHORES,
           'semaphores')
        eq(value(now, 'ipcfs_semaphores', kind='sem') - value(before, 'ipcfs_semaphores', kind='sem'), 3, 'named semaphores')
        eq(value(now, 'ipcfs_object_bytes', kind='sysv/shm') - value(before, 'ipcfs_object_bytes', kind='sysv/shm'),
           (1 + 1 + 2 + 3) * PAGE, 'bytes of segments')
        st = os.statvfs(SHM)
        eq(value(now, 'ipcfs_object_bytes', kind='shm'), (st.f_blocks - st.f_bfree) * st.f_frsize, 'bytes of the tmpfs')
        ok(st.f_bfree < used.f_bfree, 'the tmpfs is in use')
        wait_until(lambda: sockets() == value(parse()[0], 'ipcfs_sockets', kind='sock') == sockets(), 'sockets')
    after, _ = parse()
    eq(kinds_of(after, 'ipcfs_objects'), kinds_of(before, 'ipcfs_objects'), 'objects afterwards')
    eq(kinds_of(after, 'ipcfs_messages'), kinds_of(before, 'ipcfs_messages'), 'messages afterwards')


def is_counter(name):
    return name.endswith(('_total', '_bucket', '_count', '_sum'))


def test_counters_count_and_never_fall():
    put(f'{MNT}/shm/x', b'x')
    last, _ = parse()
    for i in range(40):
        os.stat(f'{MNT}/shm/x')
        eq(attempt(os.stat, f'{MNT}/shm/none'), 'ENOENT', 'stat')
        put(f'{MNT}/shm/y{i}', b'')
        os.unlink(f'{MNT}/shm/y{i}')
        now, _ = parse()
        fallen = {k: (v, now.get(k)) for k, v in last.items() if is_counter(k[0]) and now.get(k, -1) < v}
        eq(fallen, {}, 'counters that have fallen')
        for name, what in (('ipcfs_requests_total', 'create'), ('ipcfs_requests_total', 'unlink'), ('ipcfs_request_errors_total', 'lookup')):
            ok(value(now, name, op=what) > value(last, name, op=what), f'{name} of {what}')
        eq(value(now, 'ipcfs_request_errors_total', op='unlink'), value(last, 'ipcfs_request_errors_total', op='unlink'), 'errors')
        last = now


def test_histograms_add_up():
    for _ in range(100):
        attempt(os.stat, f'{MNT}/shm/none')
    now, families = parse()
    ops = {s.labels['op'] for s in families['ipcfs_request_duration_seconds'].samples}
    ok({'lookup', 'open', 'read', 'release'} <= ops, f'histograms of {ops}')
    for op in ops:
        buckets = sorted((float(dict(l)['le']), v) for (n, l), v in now.items()
                         if n == 'ipcfs_request_duration_seconds_bucket' and dict(l)['op'] == op)
        eq([b for b, _ in buckets], [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 0.1, 1, math.inf], 'bounds')
        eq([v for _, v in buckets], sorted(v for _, v in buckets), f'{op}: buckets are not cumulative')
        count = value(now, 'ipcfs_request_duration_seconds_count', op=op)
        eq(buckets[-1][1], count, f'{op}: +Inf')
        requests = value(now, 'ipcfs_requests_total', op=op)
        # What is being worked on has no time yet; the READ of the metrics themselves is always among it.
        ok(count <= requests and (op != 'read' or count < requests), f'{op}: {count} of {requests}')
        seconds = value(now, 'ipcfs_request_duration_seconds_sum', op=op)
        ok(0 < seconds < 60 and seconds >= sum(b * (v - w) for (b, _), (_, v), (_, w) in zip(buckets[:-1], buckets[1:-1], buckets[:-2])),
           f'{op}: {seconds} s')


def test_waiting_takes_no_time():
    """A reader that waits is set aside: the histogram does not have his second, and parked has him."""
    queue = make_mq('empty', 2, 10)
    p = start('cat', f'{MNT}/mq/empty')
    wait_until(lambda: value(parse()[0], 'ipcfs_parked') == 1, 'cat waits')
    before, _ = parse()
    time.sleep(1)
    queue.send(b'end')
    p.communicate(timeout=10)
    eq(p.returncode, 0, 'cat')
    now, _ = parse()
    eq(value(now, 'ipcfs_parked'), 0, 'parked')
    seconds = [value(s, 'ipcfs_request_duration_seconds_sum', op='read') for s in (before, now)]
    ok(seconds[1] - seconds[0] < 0.5, f'reads took {seconds[1] - seconds[0]} s')
    queue.close()
    unlink_mq('empty')


def test_the_process():
    pid = os.environ['IPCFS_PID']
    now, _ = parse()
    eq(value(now, 'ipcfs_process_open_fds'), len(os.listdir(f'/proc/{pid}/fd')), 'descriptors')
    with open(f'/proc/{pid}/status') as f:
        rss = next(int(l.split()[1]) * 1024 for l in f if l.startswith('VmRSS:'))
    ok(rss / 2 < value(now, 'ipcfs_process_resident_memory_bytes') < rss * 2, 'memory')
    eq(value(now, 'ipcfs_process_max_fds'), resource.prlimit(int(pid), resource.RLIMIT_NOFILE)[0], 'limit of descriptors')
    ok(abs(value(now, 'ipcfs_process_start_time_seconds') - os.stat(f'/proc/{pid}').st_mtime) < 60, 'start')
    ok(0 < value(now, 'ipcfs_process_cpu_seconds_total') < 600, 'processor time')
    with open(f'{CTL}/version') as f:
        eq(value(now, 'ipcfs_threads'), int(dict(l.split(': ') for l in f)['threads']), 'threads')


# ---- limits ----


def read_sysctl(name):
    with open('/proc/sys/' + name) as f:
        return [int(n) for n in f.read().split()]


def test_limits_are_those_of_lsipc():
    with Made():
        out = subprocess.run(['lsipc', '-g', '-b', '-J'], stdout=subprocess.PIPE, check=True).stdout
        usage = subprocess.run(['ipcs', '-m', '-u'], stdout=subprocess.PIPE, check=True, text=True).stdout
        got = rows()
    told = {r['resource']: r for r in json.loads(out)['ipclimits']}
    pairs = {'MSGMNI': ('sysv/msg', 'msgmni'), 'MSGMAX': ('sysv/msg', 'msgmax'), 'MSGMNB': ('sysv/msg', 'msgmnb'),
             'SHMMNI': ('sysv/shm', 'shmmni'), 'SHMMAX': ('sysv/shm', 'shmmax'), 'SEMMNI': ('sysv/sem', 'semmni'),
             'SEMMNS': ('sysv/sem', 'semmns'), 'SEMMSL': ('sysv/sem', 'semmsl'), 'SEMOPM': ('sysv/sem', 'semopm'),
             'SEMVMX': ('sysv/sem', 'semvmx')}
    eq(set(pairs) - set(told), set(), 'lsipc tells of')
    for name, key in pairs.items():
        eq(got[key]['value'], int(told[name]['limit']), name)
        eq(got[key]['used'], None if told[name]['used'] == '-' else int(told[name]['used']), f'use of {name}')
        if got[key]['used'] is not None:
            share = float(told[name]['use%'].rstrip('%'))
            ok(abs(got[key]['percent'] - share) <= 0.1, f'{name}: {got[key]["percent"]}, lsipc has {share}')
    # lsipc adds up whole pages only; the kernel counts those that are begun.
    pages = next(l.split() for l in usage.splitlines() if l.startswith('pages allocated'))
    eq(got['sysv/shm', 'shmall']['used'], int(pages[-1]) * PAGE, 'pages')


def test_limits_are_those_of_the_system():
    got = rows()
    for key, name, number in (
            (('mq', 'queues_max'), 'fs/mqueue/queues_max', 0), (('mq', 'msg_max'), 'fs/mqueue/msg_max', 0),
            (('mq', 'msgsize_max'), 'fs/mqueue/msgsize_max', 0), (('pipe', 'pipe_max_size'), 'fs/pipe-max-size', 0),
            (('pipe', 'pipe_user_pages_soft'), 'fs/pipe-user-pages-soft', 0),
            (('sock', 'somaxconn'), 'net/core/somaxconn', 0), (('sock', 'max_dgram_qlen'), 'net/unix/max_dgram_qlen', 0),
            (('sock', 'rmem_max'), 'net/core/rmem_max', 0), (('sock', 'wmem_max'), 'net/core/wmem_max', 0),
            (('sysv/sem', 'semmsl'), 'kernel/sem', 0), (('sysv/sem', 'semmns'), 'kernel/sem', 1), (('sysv/sem', 'semopm'), 'kernel/sem', 2),
            (('sysv/sem', 'semmni'), 'kernel/sem', 3), (('sysv/shm', 'shmmax'), 'kernel/shmmax', 0), (('files', 'file_max'), 'fs/file-max', 0),
            (('files', 'nr_open'), 'fs/nr_open', 0)):
        eq(got[key]['value'], read_sysctl(name)[number], name)
        want = 'sysctl ' + name.replace('/', '.') + (f', {("1st", "2nd", "3rd", "4th")[number]} number' if name == 'kernel/sem' else '')
        eq(got[key]['where'], want, f'where {key} is set')
    eq(got['pipe', 'pipe_user_pages_hard']['value'], read_sysctl('fs/pipe-user-pages-hard')[0] or None, 'no hard limit of pipes')
    st = os.statvfs(SHM)
    for kind in ('shm', 'sem'):
        eq([got[kind, 'size'][f] for f in ('value', 'used')], [st.f_blocks * st.f_frsize, (st.f_blocks - st.f_bfree) * st.f_frsize], kind)
        eq([got[kind, 'inodes'][f] for f in ('value', 'used')], [st.f_files, st.f_files - st.f_ffree], f'inodes of {kind}')
    eq(got['sem', 'value_max']['value'], os.sysconf('SC_SEM_VALUE_MAX'), 'SEM_VALUE_MAX')
    eq(got['shm', 'name_max']['value'], os.pathconf(SHM, 'PC_NAME_MAX'), 'NAME_MAX')


def attempt_unlimited(number):
    """Where whoever runs this may have no limit."""
    try:
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:
        return False
    return True


def test_limits_are_those_of_the_caller():
    """RLIMIT_ of the process that reads, and none where it has none."""
    queue = make_mq('mine', 4, 100)
    numbers = (12, resource.RLIMIT_MEMLOCK)  # Python has no name for RLIMIT_MSGQUEUE
    before = [resource.getrlimit(n) for n in numbers]
    for limit in (100000, 200000):
        for number, (_, hard) in zip(numbers, before):
            resource.setrlimit(number, (limit, hard))
        got = rows()
        eq(got['mq', 'msgqueue_limit']['value'], limit, 'ulimit -q')
        eq(got['sysv/shm', 'memlock_limit']['value'], limit, 'ulimit -l')
        used = got['mq', 'msgqueue_limit']['used']
        eq(used, 4 * (100 + 48) + 4 * 48, 'charged for it')
        eq(got['mq', 'msgqueue_limit']['percent'], used * 1000 // limit / 10, 'per cent')
    for number, limits in zip(numbers, before):
        resource.setrlimit(number, limits)
        if attempt_unlimited(number):
            row = rows()['mq' if number == 12 else 'sysv/shm', 'msgqueue_limit' if number == 12 else 'memlock_limit']
            eq((row['value'], row['percent']), (None, None), 'no limit')
    eq(got['files', 'nofile_limit']['value'], resource.getrlimit(resource.RLIMIT_NOFILE)[0], 'ulimit -n')
    fds = [os.open('/', os.O_RDONLY) for _ in range(50)]
    more = rows()['files', 'nofile_limit']['used'] - got['files', 'nofile_limit']['used']
    eq(more, 50, 'descriptors')
    for fd in fds:
        os.close(fd)
    eq({r['scope'] for r in got.values()}, {'system', 'namespace', 'filesystem', 'user', 'process', 'object'}, 'scopes')
    queue.close()
    unlink_mq('mine')


def test_a_limit_that_is_near():
    sysctl('kernel/shmmni', 8)
    try:
        segments = []
        for n in range(1, 9):
            segments.append(check(libc.shmget(PRIVATE, ctypes.c_size_t(1), 0o600 | IPC_CREAT), 'shmget'))
            row = rows()['sysv/shm', 'shmmni']
            eq((row['used'], row['value'], row['percent']), (n, 8, n * 1000 // 8 / 10), 'shmmni')
        line = [l.split() for l in get(CTL + '/limits').decode().splitlines() if ' shmmni ' in l]
        eq(line, [['sysv/shm', 'shmmni', '100.0', '8', '8', '-', 'namespace', 'sysctl', 'kernel.shmmni']], 'the line')
        sysctl('kernel/shmmni', 4)
        eq(rows()['sysv/shm', 'shmmni']['percent'], 200.0, 'lowered below what there is')
    finally:
        for shmid in segments:
            libc.shmctl(shmid, IPC_RMID, None)
        sysctl('kernel/shmmni', 4096)


def number_of(value):
    return None if value is None else float(value)


BUSY = ('used', 'available', 'inodes_used', 'inodes_available', 'sockets_used')  # by other programs, too


def test_limits_agree_with_each_other():
    """ctl/limits as text and JSON, ctl/<kind>/limits and the metrics are one truth."""
    with Made():
        got, samples = rows(), parse()[0]
        text = get(CTL + '/limits').decode().splitlines()
        per_kind = {kind: limits_of(kind) for kind in Made.COUNTS}
        lines = {kind: dict(l.split(': ', 1) for l in get(f'{CTL}/{kind}/limits').decode().splitlines()) for kind in Made.COUNTS}
    names = text[0].split()
    eq(names, list(next(iter(got.values()))), 'columns')
    eq(len(text), len(got) + 1, 'lines')
    changes = ('files', 'size', 'inodes')  # what other programs use meanwhile
    for line, (key, row) in zip(text[1:], got.items()):
        cells = line.split(None, len(names) - 1)
        want = ['-' if v is None else str(v) for v in row.values()]
        ok(cells == want or set(key) & set(changes), f'{cells}, JSON has {want}')
    for (kind, name), row in got.items():
        if kind != 'files' and (row['value'] is not None or name != 'pipe_user_pages_hard'):
            eq(per_kind[kind].get(name), row['value'], f'{name} in ctl/{kind}/limits.json')
        labels = {'kind': kind, 'limit': name, 'scope': row['scope'], 'where': row['where']}
        if row['unit']:
            labels['unit'] = row['unit']
        eq(number_of(value(samples, 'ipcfs_limit', **labels)), number_of(row['value']), f'ipcfs_limit of {kind} {name}')
        use = value(samples, 'ipcfs_limit_used', **labels)
        if set((kind, name)) & set(changes):
            eq(use is None, row['used'] is None or row['value'] is None, f'use of {kind} {name}')
        else:
            eq(number_of(use), None if row['value'] is None else number_of(row['used']), f'use of {kind} {name}')
    for kind, numbers in per_kind.items():
        told = {k: str(v) for k, v in numbers.items() if v is not None and k not in BUSY}
        eq({k: v for k, v in lines[kind].items() if k in told}, told, f'ctl/{kind}/limits')


# ---- list.json ----


def raw_lists():
    """ctl/list.json, and of each kind the text of its own list."""
    return get(CTL + '/list.json').decode(), {kind: get(f'{CTL}/{kind}/list.json').decode().rstrip('\n') for kind in Made.COUNTS}


def test_list_is_all_lists():
    with Made():
        raw_lists()  # what reading one of them changes (times of the last look) is then the same
        text, lists = raw_lists()
        everything = json.loads(text)
        eq(list(everything), list(Made.COUNTS), 'kinds')
        for kind, rows_of in everything.items():
            if kind in ('pipe', 'sock'):  # of the whole machine, where other programs come and go
                eq(*([r for r in rs if str(r['name']).startswith('made')] for rs in (rows_of, json.loads(lists[kind]))), kind)
            elif kind == 'mq':  # has times that looking sets
                eq(*([{k: v for k, v in r.items() if k not in ('atime', 'ctime')} for r in rs] for rs in (rows_of, json.loads(lists[kind]))), kind)
            else:
                ok(f'"{kind}":{lists[kind]}' in text, f'the rows of {kind} are not those of its list')
                eq(rows_of, json.loads(lists[kind]), kind)
        for kind, count in Made.COUNTS.items():
            made = [r for r in everything[kind] if kind in ('sysv/shm', 'sysv/msg', 'sysv/sem', 'mq') or str(r.get('name')).startswith('made')]
            eq(len(made), count, f'{kind}: {made}')


def read_as_other():
    return json.loads(get(CTL + '/list.json')), parse()[0], rows()


def test_what_others_may_see():
    """A kind that may not be listed takes the others from nobody. Of queues that are not his he learns nothing."""
    user = User(65534, 65534)
    try:
        with Made():
            everything, samples, limits = user(read_as_other)
            eq(value(samples, 'ipcfs_messages', kind='mq'), 0, 'messages that are not his to see')
            eq(value(samples, 'ipcfs_messages', kind='sysv/msg'), Made.MESSAGES['sysv/msg'], 'MSG_INFO tells everybody')
            eq(limits['mq', 'msgqueue_limit']['used'], 0, 'charged to him')
            ok(value(samples, 'ipcfs_process_open_fds') > 5 and value(samples, 'ipcfs_process_resident_memory_bytes') > 1e5, 'the daemon itself')
            eq(limits['files', 'nofile_limit']['value'], resource.getrlimit(resource.RLIMIT_NOFILE)[0], 'his limit')
            eq([r['bytes'] for r in everything['mq']], [None, None], 'fields of queues that are not his to see')
            os.chmod(SHM, 0o700)
            everything, samples, limits = user(read_as_other)
            eq((everything['shm'], everything['sem']), ({'error': 'EACCES'}, {'error': 'EACCES'}), 'what he may not list')
            eq(len(everything['sysv/sem']), SETS, 'what he may')
            ok(limits['shm', 'size']['used'] > 0 < limits['sem', 'size']['used'], 'limits that he may know')
            ok(not {'shm', 'sem'} & set(kinds_of(samples, 'ipcfs_objects')), 'counts that he may not know')
            eq(kinds_of(samples, 'ipcfs_objects')['sysv/shm'], 4, 'counts that he may')
            eq([len(v) for k, v in json.loads(get(CTL + '/list.json')).items() if k in ('shm', 'sem')], [5, 3], 'root sees all')
    finally:
        os.chmod(SHM, 0o1777)
        user.end()


def test_looking_changes_nothing():
    """Not one byte of any state but the times of looking at queues, which every look sets."""
    with Made():
        def states():
            everything = json.loads(get(CTL + '/list.json'))
            everything['mq'] = [{k: v for k, v in r.items() if k not in ('atime', 'ctime')} for r in everything['mq']]
            return {k: v for k, v in everything.items() if k not in ('pipe', 'sock')}
        before = states()
        for _ in range(5):
            for path in ('metrics', 'limits', 'limits.json', *(f'{kind}/{f}' for kind in Made.COUNTS for f in ('limits', 'limits.json'))):
                ok(get(f'{CTL}/{path}'), f'{path} is empty')
        eq(states(), before, 'states')


def clean():
    clean_queues()
    eq(all_msg(), [], 'queues left')


mount_mqfs()
main(globals(), clean, about_daemon=True)
