# SPDX-License-Identifier: MIT
"""ctl/: its files agree with the native objects, are fresh, survive odd names and small reads, and reading changes nothing."""
import datetime
import json
import os
import re
import stat
import subprocess
from decimal import Decimal

from mounttest import (ASAN, CTL, MNT, PASSTHROUGH, SHM, TREE, User, attempt, eq, get, in_child, join, main, ok, put,
                       refused)

FIELDS = ['name', 'size', 'allocated', 'mode', 'uid', 'gid', 'nlink', 'ino', 'atime', 'mtime', 'ctime', 'btime']
TIMES = ('atime', 'mtime', 'ctime', 'btime')
RESERVED = ('list', 'list.json', 'limits')
ODD = [b'plain', b'with space', b' lead', b'trail ', b'tab\there', b'new\nline', b'\x01\x1f\x7f', b'back\\slash', b'oct\\040',
       b'\xff\xfe', b'ab\xc3', b'\xc3\xa9', '日本'.encode(), '\U0001f600'.encode(), b'quote"s\'', b'{}[],:', b'<b>&amp;', b'%d%s',
       b'name: value', b'# EOF', b'-', b'x' * 255, b'\n' * 255, b'\xff' * 255, b'\xed\xa0\x80', b'\xc0\xaf', b'@', b'@x',
       b'\xe2\x80\xa8', b'\xc2\x85', b'list', b'list.json', b'limits', b'create', b'@list', b'@@list', b'@limits', b'state',
       b'native', b'README']


def native_times(path):
    """Times of the native file as seconds since the epoch, exact."""
    out = subprocess.run(['stat', '--printf=%.9X %.9Y %.9Z %.9W', path], capture_output=True, check=True).stdout
    return dict(zip(TIMES, map(Decimal, out.decode().split())))


def native(path):
    st = os.lstat(path)
    return {'size': st.st_size, 'allocated': st.st_blocks * 512, 'mode': f'{st.st_mode & 0o7777:04o}', 'uid': st.st_uid,
            'gid': st.st_gid, 'nlink': st.st_nlink, 'ino': st.st_ino} | native_times(path)


def ctl_name(name):
    """The directory of an object: reserved words get a leading @, and so does what then looks like one."""
    bare = name.lstrip(b'@')
    return b'@' + name if bare.decode('latin1') in RESERVED else name


def ctl_dir(name):
    return os.fsencode(CTL) + b'/shm/' + ctl_name(name)


def text_time(text):
    m = re.fullmatch(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z', text)
    ok(m, f'no RFC 3339 time with nanoseconds: {text!r}')
    whole = datetime.datetime.fromisoformat(m.group(1) + '+00:00').timestamp()
    return Decimal(int(whole)) + Decimal(int(m.group(2))).scaleb(-9)


def parse_state(data):
    lines = data.split(b'\n')
    eq(lines.pop(), b'', 'end of state')
    pairs = [l.split(b': ', 1) for l in lines]
    ok(all(len(p) == 2 for p in pairs), f'lines of state: {data!r}')
    eq([p[0].decode() for p in pairs], FIELDS, 'fields of state')
    return {k.decode(): v for k, v in pairs}


def unescape(text):
    return re.sub(rb'\\([0-7]{3})', lambda m: bytes([int(m.group(1), 8)]), text)


def same_values(got, want, what):
    """Fields as text against the native ones."""
    for field in FIELDS[1:]:
        value = got[field] if isinstance(got[field], str) else got[field].decode()
        if field in TIMES:
            eq(text_time(value), want[field], f'{field} of {what}')
        else:
            eq(value, str(want[field]), f'{field} of {what}')


def same_json(got, name, want):
    eq([k for k in got if k != 'name_hex'], FIELDS, f'members of the JSON of {name!r}')
    try:
        eq(got['name'], name.decode(), 'name')
        ok('name_hex' not in got, f'name_hex where the name {name!r} is UTF-8')
    except UnicodeDecodeError:
        ok('\ufffd' in got['name'], f'name {got["name"]!r} has no U+FFFD')
        eq(bytes.fromhex(got['name_hex']), name, 'name_hex')
    for field in FIELDS[1:]:
        if field in TIMES:
            ok(isinstance(got[field], (int, Decimal)), f'{field} is a number: {got[field]!r}')
            ok(abs(got[field] - want[field]) < Decimal('0.000001'), f'{field} of {name!r}: {got[field]}, native {want[field]}')
        else:
            eq(got[field], want[field], f'{field} of {name!r}')


def loads(data):
    return json.loads(data.decode('utf-8'), parse_float=Decimal)


def check_object(name):
    path, where = os.fsencode(SHM) + b'/' + name, ctl_dir(name)
    want = native(path)
    state = parse_state(get(where + b'/state'))
    same_values(state, want, f'state of {name!r}')
    eq(unescape(state['name']), name, 'name in state')
    ok(not re.search(rb'[\x00-\x1f\x7f]', state['name']), f'control bytes in the name in state: {state["name"]!r}')
    if re.fullmatch(rb'[ -\[\]-~]*', name):
        eq(state['name'], name, 'a printable name in state')
    data = get(where + b'/state.json')
    same_json(loads(data), name, want)
    ok(data.endswith(b'\n'), 'state.json ends with a newline')
    eq(os.readlink(where + b'/native'), path, 'native')
    eq(os.path.samestat(os.stat(where + b'/native'), os.stat(path)), True, 'what native leads to')
    eq(sorted(os.listdir(where)), [b'holders', b'holders.json', b'native', b'state', b'state.json', b'waiters',
                                   b'waiters.json'], f'listing of ctl/shm/{name!r}')


def make_odd():
    for i, name in enumerate(ODD):
        path = os.fsencode(SHM) + b'/' + name
        put(path, b'c' * (i * 1000), (i * 0o111) & 0o7777)
        os.chown(path, i, i * 2)
        os.utime(path, ns=(i * 10**9 + 123456789, 10**18 + i))
    os.utime(os.fsencode(SHM) + b'/plain', ns=(-1, -1500000000))


def test_states():
    make_odd()
    for name in ODD:
        check_object(name)
    put(f'{SHM}/big')
    os.truncate(f'{SHM}/big', 2**62)
    os.link(f'{SHM}/big', f'{SHM}/big2')
    os.chown(f'{SHM}/big', 2**32 - 2, 2**32 - 2)
    check_object(b'big')
    check_object(b'big2')


def test_lists():
    make_odd()
    eq(sorted(os.listdir(os.fsencode(CTL) + b'/shm')), sorted([ctl_name(n) for n in ODD] + [b'list', b'list.json', b'limits', b'limits.json']),
       'listing of ctl/shm')
    wants = {n: native(os.fsencode(SHM) + b'/' + n) for n in ODD}
    lines = get(f'{CTL}/shm/list').split(b'\n')
    eq(lines.pop(), b'', 'end of list')
    eq(lines[0].decode().split(), FIELDS, 'first line of list')
    eq(len(lines), len(ODD) + 1, 'lines of list')
    seen = set()
    for line in lines[1:]:
        ok(re.fullmatch(rb'[^\x00-\x1f\x7f]*', line), f'control bytes in {line!r}')
        line.decode('utf-8')
        values = line.decode().split(' ')
        values = [v for v in values if v]
        eq(len(values), len(FIELDS), f'columns of {line!r}')
        name = unescape(values[0].encode())
        seen.add(name)
        same_values(dict(zip(FIELDS, values)), wants[name], f'list of {name!r}')
    eq(seen, set(ODD), 'names in list')
    eq((b'with\\040space' in get(f'{CTL}/shm/list'), b'back\\134slash' in get(f'{CTL}/shm/list')), (True, True), 'escapes')
    objects = loads(get(f'{CTL}/shm/list.json'))
    eq(len(objects), len(ODD), 'objects in list.json')
    for o in objects:
        name = bytes.fromhex(o['name_hex']) if 'name_hex' in o else o['name'].encode()
        same_json(o, name, wants[name])


def test_empty_lists():
    eq(get(f'{CTL}/shm/list').decode().split(), FIELDS, 'list without objects')
    eq(loads(get(f'{CTL}/shm/list.json')), [], 'list.json without objects')


def test_list_columns_align():
    for name, size in (('a', 1), ('longer-name', 123456), ('m', 7)):
        put(f'{SHM}/{name}', b'x' * size)
    lines = get(f'{CTL}/shm/list').decode().splitlines()
    starts = [{m.start() for m in re.finditer(r'(?<!\S)\S', l)} for l in lines]
    ends = [{m.end() for m in re.finditer(r'\S(?!\S)', l)} for l in lines]
    for i in range(len(FIELDS)):
        columns = [(sorted(s)[i], sorted(e)[i]) for s, e in zip(starts, ends)]
        ok(len({c[0] for c in columns}) == 1 or len({c[1] for c in columns}) == 1, f'column {FIELDS[i]} is not aligned: {columns}')


def test_limits():
    put(f'{SHM}/x', b'x' * 100000)
    data = get(f'{CTL}/shm/limits').decode()
    got = dict(l.split(': ', 1) for l in data.splitlines())
    st = os.statvfs(SHM)
    want = {'size': st.f_blocks * st.f_frsize, 'used': (st.f_blocks - st.f_bfree) * st.f_frsize,
            'available': st.f_bavail * st.f_frsize, 'inodes': st.f_files, 'inodes_used': st.f_files - st.f_ffree,
            'inodes_available': st.f_favail, 'name_max': st.f_namemax, 'path': SHM,
            'objects': len(os.listdir(SHM))}
    eq(got, {k: str(v) for k, v in want.items()}, 'limits')


SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*")*\})? '
                    r'([-+]?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|Inf|NaN))(?: \d+(?:\.\d+)?)?')
SUFFIXES = {'counter': ('_total', '_created'), 'gauge': ('',), 'histogram': ('_bucket', '_sum', '_count')}


def test_metrics_grammar():
    """OpenMetrics text: every sample belongs to the family declared above it, none twice, the end is marked."""
    text = get(f'{CTL}/metrics').decode('ascii')
    lines = text.split('\n')
    eq(lines[-2:], ['# EOF', ''], 'the end')
    family, types, seen = None, {}, set()
    for line in lines[:-2]:
        m = re.fullmatch(r'# (HELP|TYPE|UNIT) (\w+) (.+)', line)
        if m:
            ok(family == m.group(2) or m.group(2) not in types, f'family {m.group(2)} comes in two pieces')
            family = m.group(2)
            types.setdefault(family, 'unknown')
            if m.group(1) == 'TYPE':
                ok(m.group(3) in SUFFIXES, f'type {m.group(3)}')
                types[family] = m.group(3)
            continue
        m = SAMPLE.fullmatch(line)
        ok(m, f'no sample, HELP, TYPE or UNIT: {line!r}')
        ok(family and m.group(1) in [family + s for s in SUFFIXES[types[family]]], f'{line!r} stands under family {family}')
        ok((m.group(1), m.group(2)) not in seen, f'{line!r} comes twice')
        ok(not m.group(1).endswith('_total') or float(m.group(3)) >= 0, f'{line!r} is negative')
        seen.add((m.group(1), m.group(2)))
    eq({f: types.get(f) for f in ('ipcfs_requests', 'ipcfs_nodes', 'ipcfs_handles', 'ipcfs_backing_ids', 'ipcfs_threads')},
       {'ipcfs_requests': 'counter', 'ipcfs_nodes': 'gauge', 'ipcfs_handles': 'gauge', 'ipcfs_backing_ids': 'gauge',
        'ipcfs_threads': 'gauge'}, 'types')
    ops = {re.fullmatch(r'\{op="(\w+)"\}', labels).group(1) for name, labels in seen if name == 'ipcfs_requests_total'}
    missing = {'lookup', 'forget', 'getattr', 'setattr', 'open', 'create', 'read', 'write', 'release', 'readdir'} - ops
    eq(missing, set(), 'kinds of requests that are missing')


def test_root_and_readme():
    eq(sorted(os.listdir(MNT)), ['ctl', 'mq', 'pipe', 'proc', 'sem', 'shm', 'sock', 'sysv'], 'the root')
    eq(sorted(os.listdir(CTL)), ['README', 'deadlocks', 'graph.dot', 'last-error', 'limits', 'limits.json', 'list.json',
                                 'metrics', 'mq', 'orphans', 'orphans.json', 'pipe', 'sem', 'shm', 'sock', 'sysv', 'version',
                                 'waits', 'waits.dot', 'waits.json'], 'ctl')
    readme = get(f'{CTL}/README').decode()
    for word in ('version', 'metrics', 'list', 'list.json', 'limits', 'state', 'state.json', 'native', 'README', 'last-error', 'ftok',
                 'holders', 'holders.json', 'waiters', 'waiters.json'):
        line = [l for l in readme.splitlines() if re.search(rf'(^|[\s/]){re.escape(word)}\b', l)]
        ok(line and any(len(l.split()) > 2 for l in line), f'ctl/README has no line about {word}')
    v = dict(l.split(': ', 1) for l in get(f'{CTL}/version').decode().splitlines())
    eq(v['passthrough'], 'on' if PASSTHROUGH else 'off', 'passthrough in ctl/version')
    for name in ('', '/shm', '/ctl', '/ctl/shm'):
        st = os.stat(MNT + name)
        ok(stat.S_ISDIR(st.st_mode), f'{name} is a directory')
        eq((st.st_uid, st.st_gid), (0, 0), f'owner of {name}')
    for path in ('/ctl/version', '/ctl/metrics', '/ctl/README', '/ctl/shm/list'):
        st = os.stat(MNT + path)
        ok(stat.S_ISREG(st.st_mode) and not st.st_mode & 0o222, f'{path} has mode {st.st_mode:o}')


def files_of_ctl():
    put(f'{SHM}/one', b'one')
    return [f'{CTL}/{n}' for n in ('version', 'README', 'metrics', 'shm/list', 'shm/list.json', 'shm/limits', 'shm/one/state',
                                   'shm/one/state.json')]


def test_changes_show_on_one_descriptor():
    put(f'{SHM}/one', b'1')
    fds = {n: os.open(f'{CTL}/shm/{n}', os.O_RDONLY) for n in ('one/state', 'one/state.json', 'list', 'list.json', 'limits')}
    for size in (1, 5000, 0, 123456789, 12):
        os.truncate(f'{SHM}/one', size)
        put(f'{SHM}/other{size}', b'x' * size if size < 10000 else b'')
        eq(parse_state(os.pread(fds['one/state'], 4096, 0))['size'], b'%d' % size, 'size in state')
        eq(loads(os.pread(fds['one/state.json'], 4096, 0))['size'], size, 'size in state.json')
        listed = {l.split()[0]: l.split()[1] for l in os.pread(fds['list'], 1 << 16, 0).splitlines()}
        eq((listed[b'one'], b'other%d' % size in listed), (b'%d' % size, True), 'list')
        eq({o['name']: o['size'] for o in loads(os.pread(fds['list.json'], 1 << 16, 0))}['one'], size, 'size in list.json')
        st = os.statvfs(SHM)
        used = re.search(rb'^used: (\d+)$', os.pread(fds['limits'], 4096, 0), re.M).group(1)
        eq(int(used), (st.f_blocks - st.f_bfree) * st.f_frsize, 'used in limits')
    os.chmod(f'{SHM}/one', 0o600)
    eq(parse_state(os.pread(fds['one/state'], 4096, 0))['mode'], b'0600', 'mode in state')
    os.lseek(fds['one/state'], 0, os.SEEK_SET)
    os.chmod(f'{TREE}/one', 0o640)
    eq(parse_state(os.read(fds['one/state'], 4096))['mode'], b'0640', 'mode after lseek')
    for fd in fds.values():
        os.close(fd)


def test_small_reads():
    for path in files_of_ctl():
        if path.endswith('metrics'):
            continue  # counts the reads themselves; its consistency is checked below
        whole = get(path)
        ok(whole, f'{path} is empty')
        for size in (1, 7, 100):
            fd = os.open(path, os.O_RDONLY)
            pieces = b''.join(iter(lambda: os.read(fd, size), b''))
            os.close(fd)
            eq(pieces, whole, f'{path} read {size} at a time')
        fd = os.open(path, os.O_RDONLY)
        eq(os.pread(fd, 1 << 20, 3), whole[3:], f'{path} from offset 3')
        eq(os.pread(fd, 10, len(whole)), b'', f'{path} at its end')
        eq(os.pread(fd, 10, 1 << 40), b'', f'{path} far behind its end')
        os.close(fd)
    fd = os.open(f'{CTL}/metrics', os.O_RDONLY)
    text = b''.join(iter(lambda: os.read(fd, 11), b'')).decode()
    os.close(fd)
    ok(text.endswith('# EOF\n') and text.count('# EOF') == 1 and all(
        l.startswith('# ') or SAMPLE.fullmatch(l) for l in text.splitlines()), f'metrics read 11 at a time: {text}')


def test_a_snapshot_while_things_change():
    """What is read in pieces from one descriptor is of one piece, however objects change meanwhile."""
    for i in range(50):
        put(f'{SHM}/n{i:03d}', b'')
    fd = os.open(f'{CTL}/shm/list', os.O_RDONLY)
    whole = os.read(fd, 200)
    for i in range(0, 50, 2):
        os.unlink(f'{SHM}/n{i:03d}')
    whole += b''.join(iter(lambda: os.read(fd, 200), b''))
    os.close(fd)
    ok(all(len(l.split()) == len(FIELDS) for l in whole.decode().splitlines()), f'a torn line:\n{whole.decode()}')
    eq([l.split()[0] for l in sorted(whole.decode().splitlines()) if l[0] == 'n' and l[1:4].isdigit()],
       [f'n{i:03d}' for i in range(50)], 'names')


def test_large_list():
    n = 1000 if ASAN else 5000
    for i in range(n):
        put(f'{SHM}/{i:05d}' + 'x' * 100)
    lines = get(f'{CTL}/shm/list').decode().splitlines()
    eq(sorted(l.split()[0][:5] for l in lines[1:]), [f'{i:05d}' for i in range(n)], 'names in list')
    eq(len(loads(get(f'{CTL}/shm/list.json'))), n, 'objects in list.json')
    with open(f'{CTL}/shm/list') as f:
        eq(sum(1 for _ in f), n + 1, 'lines read by a buffered reader')


def test_a_removed_object():
    """State that was open when its object went ends in its last content or an error, never in a hang or another's state."""
    put(f'{SHM}/gone', b'12345')
    fd = os.open(f'{CTL}/shm/gone/state', os.O_RDONLY)
    os.unlink(f'{SHM}/gone')
    got = attempt(os.pread, fd, 4096, 0)
    ok(got in ('ENOENT', 'ESTALE', 'ENODEV', 'EIDRM') or parse_state(got)['nlink'] == b'0', f'state of a removed object: {got!r}')
    os.close(fd)
    refused('ENOENT', os.open, f'{CTL}/shm/gone/state', os.O_RDONLY)
    refused('ENOENT', os.lstat, f'{CTL}/shm/gone')


def test_cwd_in_an_object():
    """A directory of ctl that is somebody's working directory while its object goes and another of the name comes."""
    put(f'{SHM}/o', b'1')
    os.chdir(f'{CTL}/shm/o')
    try:
        eq(parse_state(get('state'))['size'], b'1', 'state')
        os.unlink(f'{SHM}/o')
        got = attempt(get, 'state')
        ok(got in ('ENOENT', 'ESTALE') or parse_state(got)['nlink'] == b'0', f'state in the directory of a removed object: {got!r}')
        put(f'{SHM}/o', b'22')
        eq(parse_state(get(f'{CTL}/shm/o/state'))['size'], b'2', 'size of the new object')
    finally:
        os.chdir('/')


def all_status():
    return {n: native(os.fsencode(SHM) + b'/' + n) for n in os.listdir(os.fsencode(SHM))}


def test_recursive_readers():
    """grep, tar, find, cp, wc and du over ctl end well and change nothing."""
    make_odd()
    before = all_status()
    files = len(ODD) * 3
    commands = {
        'grep -r passthrough': ['grep', '-rc', 'passthrough', CTL], 'find': ['find', CTL, '-name', 'state*'],
        'find -type': ['find', CTL, '-type', 'f', '-size', '-1000000', '-newermt', '1960-01-01'],
        'tar': ['tar', '-C', CTL, '-cf', '-', '.'], 'du': ['du', '-s', CTL], 'ls': ['ls', '-laR', CTL],
        'cp': ['cp', '-r', CTL, os.environ['SCRATCH'] + '/copy']}
    for what, argv in commands.items():
        with open(os.environ['SCRATCH'] + '/out', 'w+b') as out:
            r = subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, timeout=60)
            eq((r.returncode, r.stderr), (0, b''), what)
            out.seek(0)
            if what == 'find':
                names = out.read().count(b'/state')
                ok(names >= 2 * len(ODD), f'find shows {names} state files')
            if what == 'tar':
                members = subprocess.run(['tar', '-t'], stdin=out, capture_output=True, check=True).stdout.count(b'\n')
                ok(members >= files, f'{members} members in the archive, {files} files of objects')
    eq(get(os.environ['SCRATCH'] + '/copy/version'), get(f'{CTL}/version'), 'a copy by cp')
    eq(get(os.environ['SCRATCH'] + '/copy/shm/plain/state'), get(f'{CTL}/shm/plain/state'), 'a copy by cp')
    eq(all_status(), before, 'the objects afterwards')


def test_nothing_can_be_written():
    for path in files_of_ctl():
        before = get(path) if not path.endswith('metrics') else None
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
            refused(('EACCES', 'EPERM'), os.open, path, flags)
        refused(('EACCES', 'EPERM', 'EINVAL'), os.truncate, path, 0)
        if before:
            eq(get(path), before, path)


def user_reads(paths):
    return [get(p) for p in paths], [attempt(os.open, p, os.O_RDWR) for p in paths], [os.readlink(f'{CTL}/shm/one/native')]


def test_another_user():
    """Any user reads what root reads: the state of an object is no secret natively either, its content is."""
    paths = [p for p in files_of_ctl() if not p.endswith('metrics')]
    os.chmod(f'{SHM}/one', 0)
    user = User(1001, 1001)
    contents, writes, link = user(user_reads, paths)
    eq(contents, [get(p) for p in paths], 'contents')
    eq(set(writes), {'EACCES'}, 'opens for writing')
    eq(link, [f'{SHM}/one'], 'native')
    eq(user(attempt, get, f'{CTL}/shm/one/native'), 'EACCES', 'the object behind native')
    user.end()


def reader(stop):
    while not os.path.exists(stop):
        for line in get(f'{CTL}/shm/list').decode().splitlines():
            eq(len(line.split()), len(FIELDS), f'columns of {line!r}')
        loads(get(f'{CTL}/shm/list.json'))
        for name in os.listdir(f'{CTL}/shm'):
            got = attempt(get, f'{CTL}/shm/{name}/state')
            ok(got in ('ENOENT', 'ESTALE', 'ENOTDIR') or parse_state(got), f'state of {name}: {got!r}')


def test_reading_in_a_storm():
    """Lists and states while objects come and go: whole lines, valid JSON, no other error than that one is gone."""
    stop = os.environ['SCRATCH'] + '/stop'
    readers = [in_child(reader, stop) for _ in range(2)]
    for i in range(400 if ASAN else 1500):
        put(f'{SHM}/s{i % 40}', b'x' * (i % 5000))
        if i % 3 == 0:
            os.rename(f'{SHM}/s{i % 40}', f'{SHM}/t{i % 17}')
        if i % 5 == 0:
            attempt(os.unlink, f'{SHM}/t{i % 13}')
    put(stop)
    join(readers, 'readers')


main(globals(), about_daemon=True)
