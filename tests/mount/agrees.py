# SPDX-License-Identifier: MIT
"""One machine with objects of all kinds (everything.py): what ctl/ and proc/ say of it is what the processes know
themselves, and what lsof, fuser, ipcs, ss, /proc and /proc/locks say. Nothing is missing, and nothing is too much."""
import collections
import json
import os
import re
import subprocess

import everything
from everything import ENDS, MAKER
from mounttest import CTL, MNT, SHM, attempt, eq, get, main, ok
from queues import MQFS, mount_mqfs

PROC = f'{MNT}/proc'
DAEMON = int(os.environ['IPCFS_PID'])
crowd, leaked = everything.start_all()
by_pid = {pid: name for name, pid in crowd.pids.items()}


def shown(path):
    return json.loads(get(f'{CTL}/{path}'))


def who(pid):
    return MAKER if pid == os.getpid() else by_pid.get(pid, pid)


def objects():
    """Paths under ctl/ of all there is with a name; of System V objects by id alone."""
    found = []
    for kind in ('shm', 'mq', 'sem', 'sysv/shm/by-id', 'sysv/msg/by-id', 'sysv/sem/by-id', 'pipe', 'sock'):
        found += [f'{kind}/{name}' for name in os.listdir(f'{CTL}/{kind}') if os.path.isdir(f'{CTL}/{kind}/{name}')]
    return found


# ---- beside what the processes know ----

def test_holders():
    """Every row of every object, of all that hold or wait."""
    expected = collections.defaultdict(list)
    for path, pid, *row in crowd.holds:
        expected[path].append((who(pid), *row))
    for path in objects():
        rows = [(who(r['pid']), r['how'], r['fd'], r['access'], r['part']) for r in shown(f'{path}/holders.json') if r['how'] != 'waiting']
        eq(sorted(rows, key=str), sorted(expected.pop(path, []), key=str), f'holders of {path}')
    eq(dict(expected), {}, 'objects that are not shown')


def test_waiters():
    expected = collections.defaultdict(dict)
    for path, pid, *row in crowd.waits:
        expected[path][who(pid)] = row
    for path in objects():
        found = shown(f'{path}/waiters.json')
        want = expected.pop(path, {})
        eq(sorted(who(r['pid']) for r in found), sorted(want), f'who waits for {path}')
        for r in found:
            call, part, member, parked = want[who(r['pid'])]
            eq((r['part'], r['member'], r['parked'] == 'yes', r['tid'], r['uid']), (part, member, parked, r['pid'], 0), f'{path}: {r}')
            ok(r['call'] == call or r['call'] in call, f'{path}: {r}, not {call}')
    ok(all(':' in path or path == 'exit' for path in expected), f'nobody is shown to wait for {expected}')


def label_of(row):
    """What a wait is for, as in everything.py."""
    kind, name = row['kind'], row['object']
    if name.startswith(f'{kind}:'):
        return name
    return f'{kind}:{name}' if kind == 'file' else f'{kind}/by-id/{name}' if kind.startswith('sysv') else f'{kind}/{name}'


def ends_of(name):
    return ENDS.get(name, set())


def test_waits():
    """Those, and no others, and each for whom it is known to wait; but not who merely waits for a child."""
    rows = {who(r['pid']): r for r in shown('waits.json') if r['pid'] in by_pid}
    want = {who(pid): (path, call) for path, pid, call, *_ in crowd.waits if path != 'exit'}
    eq(sorted(rows), sorted(want), 'who waits')
    for name, (path, call) in want.items():
        eq(label_of(rows[name]), path, f'what {name} waits for')
        ok(rows[name]['call'] == call or rows[name]['call'] in call, f'{name}: {rows[name]}')
        eq({who(h['pid']) for h in rows[name]['holders']}, ends_of(name), f'who can end the wait of {name}')
    text = get(f'{CTL}/waits').decode().splitlines()[1:]
    eq(sorted(int(line.split()[0]) for line in text if int(line.split()[0]) in by_pid), sorted(crowd.pids[n] for n in want), 'as text')
    eq(get(f'{CTL}/deadlocks'), b'', 'deadlocks')


def test_orphans():
    eq(sorted(f'{r["kind"]}/{"by-id/" if r["kind"].startswith("sysv") else ""}{r["name"]}' for r in shown('orphans.json')),
       sorted(leaked), 'what nobody has')


def test_proc():
    """The links of each process are the objects whose holders it is among."""
    expected = collections.defaultdict(set)
    for path, pid, *_ in crowd.holds + crowd.waits:
        kind, _, name = path.rpartition('/')
        if ':' not in path and path != 'exit':
            expected[pid].add(f'{kind.replace("/by-id", "").replace("/", "-")}:{name}')
        elif path != 'exit' and not path.startswith('file:'):
            expected[pid].add(path)
    for pid, links in crowd.links.items():
        expected[pid] |= set(links)
    standard = {os.readlink(f'/proc/{os.getpid()}/fd/{fd}') for fd in (0, 1, 2)}
    for name, pid in crowd.pids.items():
        if name == 'sock-bound':
            continue  # its connections have numbers that nobody else knows
        eq(set(os.listdir(f'{PROC}/{pid}')) - standard, expected[pid], f'links of {name}')


# ---- beside other tools ----

def run(*argv, statuses=(0, 1)):
    """lsof and fuser end with 1 where they find nothing."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30)
    ok(p.returncode in statuses, f'{argv}: status {p.returncode}')
    return p.stdout


def lsof(paths):
    """(pid, descriptor or None of a mapping) of each file."""
    found, pid = set(), 0  # the daemon has what is open through the mount
    for line in run('lsof', '-w', '-n', '-F', 'pf', *paths).splitlines():
        if line[0] == 'p':
            pid = int(line[1:])
        elif line[1:].isdigit():
            found.add((pid, int(line[1:])))
        elif line[1:] in ('mem', 'DEL'):
            found.add((pid, None))
    return {f for f in found if f[0] != DAEMON}


def fuser(paths):
    """Who has one of them open or mapped."""
    return {int(pid) for pid in re.findall(r'\d+', run('fuser', *paths))} - {DAEMON}


def natively(path):
    """The files of an object, natively and in the mount."""
    kind, name = path.split('/')[0], path.rpartition('/')[2]
    native = {'shm': [f'{SHM}/{name}'], 'mq': [f'{MQFS}/{name}'], 'sem': [f'{SHM}/sem.{name}']}.get(kind, [])
    parts = {'sem': ['hold', 'wait']}.get(kind)
    return native + ([f'{MNT}/{path}/{part}' for part in parts] if parts else [f'{MNT}/{path}'])


def test_beside_lsof():
    """What has a path; a file of a semaphore in the mount (hold) is another file than the semaphore."""
    done = 0
    for path in objects():
        if path.split('/')[0] not in ('shm', 'mq', 'sem', 'pipe'):
            continue
        rows = [r for r in shown(f'{path}/holders.json') if r['how'] != 'waiting' and r['part'] != 'lines']
        theirs = lsof(natively(path))
        eq({(who(r['pid']), r['fd']) for r in rows}, {(who(pid), fd) for pid, fd in theirs}, f'lsof of {path}')
        eq({who(r['pid']) for r in rows}, {who(pid) for pid in fuser(natively(path))}, f'fuser of {path}')
        done += len(rows)
    ok(done > 20, f'only {done} rows')


def object_of_path(path, number):
    """Of a path in /proc/PID/maps."""
    if path.startswith('/SYSV'):
        return f'sysv/shm/by-id/{number}'
    for where in (SHM, f'{MNT}/shm'):
        if path.startswith(where + '/') and not path.endswith(' (deleted)'):
            name = path[len(where) + 1:]
            return f'sem/{name[4:]}' if name.startswith('sem.') else f'shm/{name}'
    return None


def all_maps():
    """(object, process, start, end, access) of each mapping of shared memory with a name, of all processes."""
    found = set()
    for pid in crowd.pids.values():
        for line in get(f'/proc/{pid}/maps').decode().splitlines():
            m = re.match(r'(\w+)-(\w+) (..).s \w+ \S+ (\d+) +(.*)', line)
            path = m and object_of_path(m[5], m[4])
            if path:
                found.add((path, who(pid), int(m[1], 16), int(m[2], 16), m[3].replace('-', '')))
    return found


def test_beside_maps():
    mine = {(path, who(r['pid']), int(r['start'], 16), int(r['end'], 16), r['access']) for path in objects()
            for r in shown(f'{path}/holders.json') if r['how'] in ('mapping', 'attachment')}
    eq(sorted(mine), sorted(all_maps()), 'mappings')
    ok(len(mine) > 8, f'{mine}')


def table(*argv):
    """What lsipc(1) tells."""
    rows = json.loads(run('lsipc', '-J', '--noheadings', *argv))
    return next(iter(rows.values()))


def test_beside_ipcs():
    segments = {r['id']: r for r in table('-m', '-o', 'ID,NATTCH,CPID,LPID,SIZE,KEY', '-b')}
    daemon = maps_of_daemon()
    eq(sorted(f'sysv/shm/by-id/{i}' for i in segments), sorted(p for p in objects() if p.startswith('sysv/shm')), 'segments')
    for number, theirs in segments.items():
        state = shown(f'sysv/shm/by-id/{number}/state.json')
        attached = [r for r in shown(f'sysv/shm/by-id/{number}/holders.json') if r['how'] == 'attachment']
        eq(len(attached) + daemon.count(int(number)), int(theirs['nattch']), f'attachments of {number}')
        eq([str(state[k]) for k in ('nattch', 'cpid', 'lpid', 'size')], [str(theirs[k]) for k in ('nattch', 'cpid', 'lpid', 'size')], number)
    for kind, option, theirs_name, mine_name in (('msg', '-q', 'msgs', 'qnum'), ('sem', '-s', 'nsems', 'nsems')):
        rows = {r['id']: r for r in table(option, '-o', f'ID,{theirs_name.upper()}', '-b')}
        eq({p.rpartition('/')[2] for p in objects() if p.startswith(f'sysv/{kind}')}, set(rows), kind)
        for number, theirs in rows.items():
            eq(str(shown(f'sysv/{kind}/by-id/{number}/state.json')[mine_name]), str(theirs[theirs_name]), f'{kind} {number}')


def maps_of_daemon():
    """It attaches what is open through the mount."""
    with open(f'/proc/{DAEMON}/maps') as f:
        return [int(line.split()[4]) for line in f if '/SYSV' in line]


def test_beside_ncount():
    """The kernel counts who waits for a semaphore; one of them waits in the daemon for who waits by the mount."""
    for path in [p for p in objects() if p.startswith('sysv/sem')]:
        rows = shown(f'{path}/waiters.json')
        lines = run('ipcs', '-s', '-i', path.rpartition('/')[2]).splitlines()
        counted = {int(w[0]): int(w[2]) for w in map(str.split, lines) if len(w) == 5 and all(x.isdigit() for x in w)}
        ok(counted, f'ipcs -i of {path}: {lines}')
        mine = collections.Counter(r['member'] for r in rows if r['parked'] == 'no')
        kept = {r['member'] for r in rows if r['parked'] == 'yes'}
        eq({n: mine[n] + (n in kept) for n in counted}, counted, f'ncount of {path}')


def test_beside_ss():
    """Who has which UNIX socket, by its number, and as a link in proc/."""
    theirs = set()
    for line in run('ss', '-xapHn').splitlines():
        local = line.split()[5]
        for pid in re.findall(r'pid=(\d+)', line):
            theirs.add((who(int(pid)), int(local)))
    theirs = {t for t in theirs if t[0] in crowd.pids}
    mine = {(name, int(m[1])) for name, pid in crowd.pids.items() for n in os.listdir(f'{PROC}/{pid}') if (m := re.match(r'socket:\[(\d+)\]$', n))}
    state = shown('sock/web/state.json')
    mine |= {(who(r['pid']), state['inode']) for r in shown('sock/web/holders.json') if r['how'] == 'descriptor'}
    eq(sorted(mine), sorted(theirs), 'sockets of processes')
    listed = {r['inode'] for r in shown('list.json')['sock'] if r['kind'].startswith('unix') and r['inode']}
    eq(listed, {int(line.split()[5]) for line in run('ss', '-xaHn').splitlines()}, 'all sockets')


def test_beside_locks():
    """/proc/locks has the locks through the mount as the daemon's."""
    with open('/proc/locks') as f:
        lines = [line.split() for line in f]
    blocked = {int(w[5]) for w in lines if w[1] == '->' and int(w[5]) in by_pid}
    rows = [r for r in shown('waits.json') if r['how'] == 'lock']
    parked = {r['pid'] for r in shown('shm/mounted/waiters.json')}
    eq({who(r['pid']) for r in rows}, {who(pid) for pid in blocked | parked}, 'who waits for locks')
    numbers = {w[0]: int(w[4]) for w in lines if w[1] != '->'}
    pairs = {(who(int(w[5])), who(numbers[w[0]])) for w in lines if w[1] == '->' and int(w[5]) in by_pid}
    eq({(who(r['pid']), who(h['pid'])) for r in rows for h in r['holders'] if r['pid'] not in parked}, pairs, 'for whom')


SYSCALLS = {'futex': 202, 'read': 0, 'write': 1, 'semop': 65, 'semtimedop': 220, 'msgrcv': 70, 'msgsnd': 69, 'flock': 73, 'fcntl': 72,
            'mq_timedreceive': 243, 'mq_timedsend': 242, 'accept4': 288, 'recvfrom': 45, 'wait4': 61, 'open': (2, 257)}


def test_beside_syscall():
    """Each who waits is in that call, and no other process of the crowd is in a call that waits for an object."""
    if os.uname().machine != 'x86_64':
        return
    rows = {r['pid']: r for r in shown('waits.json') if r['pid'] in by_pid}
    for pid, row in rows.items():
        with open(f'/proc/{pid}/syscall') as f:
            words = f.read().split()
        number = SYSCALLS[row['call']]
        ok(int(words[0]) in (number if isinstance(number, tuple) else (number,)), f'{who(pid)} is in {words[0]}, not {row["call"]}')
    others = set(by_pid) - set(rows)
    paused = {pid for pid in others if attempt(get, f'/proc/{pid}/syscall').split()[0] in (b'34',)}
    children = {pid for path, pid, *_ in crowd.waits if path == 'exit'}
    eq({who(p) for p in others - paused - children}, set(), 'who neither waits nor pauses')


def test_beside_counts():
    """What the limits count is what is listed, and what ipcs -u and the directories have."""
    everything_there = shown('list.json')
    used = {(r['kind'], r['limit']): r['used'] for r in shown('limits.json')}
    for key, kind in ((('sysv/shm', 'shmmni'), 'sysv/shm'), (('sysv/msg', 'msgmni'), 'sysv/msg'), (('sysv/sem', 'semmni'), 'sysv/sem'), (('mq', 'queues_max'), 'mq')):
        eq(used[key], len(everything_there[kind]), f'{key}')
    summary = run('ipcs', '-u')
    eq([int(n) for n in re.findall(r'(?:segments allocated|allocated queues =|used arrays =) ?(\d+)', summary)],
       [len(everything_there[k]) for k in ('sysv/msg', 'sysv/shm', 'sysv/sem')], f'ipcs -u: {summary}')
    names = os.listdir(SHM)
    eq({r['name'] for r in everything_there['sem']}, {n[4:] for n in names if n[:4] == 'sem.'}, 'semaphores')
    eq({r['name'] for r in everything_there['shm']}, {n for n in names if n[0] != '.' and n[:4] != 'sem.'}, 'shared memory')
    eq({r['name'] for r in everything_there['mq']}, set(os.listdir(MQFS)), 'queues')
    anonymous = {r['ino'] for r in everything_there['pipe'] if r['kind'] == 'anonymous'}
    theirs = {int(m[1]) for pid in crowd.pids.values() for fd in os.listdir(f'/proc/{pid}/fd') if (m := re.match(r'pipe:\[(\d+)', os.readlink(f'/proc/{pid}/fd/{fd}')))}
    ok(theirs <= anonymous, f'pipes {theirs - anonymous} are not listed')


# ---- the forms ----

def test_text_and_json():
    """Of each list both, with as many rows, which are of the same."""
    for path in [f'{p}/{view}' for p in objects() for view in ('holders', 'waiters')] + ['orphans', 'waits', 'limits']:
        text, rows = get(f'{CTL}/{path}').decode().splitlines(), shown(f'{path}.json')
        head = text[0].split()
        eq(len(text) - 1, len(rows), f'rows of {path}')
        key = 'tid' if path == 'waits' else 'kind' if path in ('orphans', 'limits') else 'pid'
        eq([line.split()[head.index(key)] for line in text[1:]], [str(r[key]) for r in rows], f'{path}')
    for path in objects():
        state = shown(f'{path}/state.json')
        lines = dict(line.split(': ', 1) for line in get(f'{CTL}/{path}/state').decode().splitlines() if ': ' in line)
        eq([k for k, v in state.items() if v is not None and not isinstance(v, list) and k not in lines], [], f'fields of {path}')
        for name, value in state.items():
            if isinstance(value, (int, str)) and not isinstance(value, bool) and name not in VOLATILE:
                eq(lines[name].split(' ')[0] if isinstance(value, int) else lines[name], str(value), f'{name} of {path}')


VOLATILE = ('atime', 'mtime', 'ctime', 'btime', 'dtime', 'otime', 'rtime', 'stime')


def test_graph():
    """An edge for each process and what it uses, and no more: as the lists of holders and waiters have it."""
    graph = json.loads(subprocess.run(['dot', '-Tjson'], input=get(f'{CTL}/graph.dot'), capture_output=True, check=True).stdout)
    label = {o['_gvid']: o['label'].split('\\n')[0] for o in graph['objects'] if 'nodes' not in o}
    process = {o['_gvid'] for o in graph['objects'] if o['name'].startswith('p') and 'nodes' not in o}
    edges = {(label[e['tail']], label[e['head']]) if e['tail'] in process else (label[e['head']], label[e['tail']]) for e in graph['edges']}
    named = {(a, b) for a, b in edges if not re.match(r'(pipe|socket|memfd):', b)}
    want = set()
    for path, pid, *_ in crowd.holds + [w for w in crowd.waits if ':' not in w[0] and w[0] != 'exit']:
        name = path.rpartition('/')[2]
        want.add((who(pid), key_or_id(path) if path.startswith('sysv') else name))
    extra = {(a, b) for a, b in named - want if a in crowd.pids and not b.startswith('/')}
    eq(sorted(want - named), [], 'edges that are missing')
    eq(sorted(extra - {('shm-gone', 'gone (deleted)'), ('shm-gone', 'gone')}), [], 'edges too much')


def key_or_id(path):
    return f'id {path.rpartition("/")[2]}'


mount_mqfs()
main(globals(), cleaner=None)
