# SPDX-License-Identifier: MIT
"""Programs no one here wrote, unchanged, on sockets of the mount: redis, socat, CPython's own servers and tests."""
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

from mounttest import ASAN, CTL, SCRATCH, Requests, attempt, eq, get, main, ok, put
from twins import SOCK, SOON, Thread, clean_twins, wait_until

RUNNING = []


def start(argv, **kwargs):
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True, **kwargs)
    RUNNING.append(p)
    return p


def stop(p, sig=signal.SIGTERM):
    """Its children, too."""
    RUNNING.remove(p)
    p.send_signal(sig)
    try:
        p.wait(10 * SOON)
    finally:
        attempt(os.killpg, p.pid, signal.SIGKILL)
        p.wait()
    return p.returncode


def tool(argv, data=None, timeout=20 * SOON):
    r = subprocess.run(argv, capture_output=True, text=not isinstance(data, bytes), input=data, timeout=timeout)
    ok(r.returncode == 0, f'{argv}: status {r.returncode}: {r.stdout[-2000:]!r} {r.stderr[-2000:]!r}')
    return r.stdout


def need(program, package):
    ok(shutil.which(program), f'{program} is missing (Debian package {package})')


def answers(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


# ---- redis ----

REDIS = SOCK + '/redis.sock'


def redis_server(*more):
    """The server's program is in Debian's redis-tools: it is what it is called."""
    need('redis-check-rdb', 'redis-tools')
    put(f'{SCRATCH}/redis.conf', f'port 0\nunixsocket {REDIS}\nunixsocketperm 770\nsave ""\ndir {SOCK}\nloglevel warning\n'
                                 f'pidfile {SOCK}/redis.pid\nlogfile {SOCK}/redis.log\n'.encode())
    p = start(['redis-server', f'{SCRATCH}/redis.conf', *more], executable=shutil.which('redis-check-rdb'))
    wait_until(lambda: os.path.exists(REDIS) and answers(REDIS), 'redis-server listens', 5 * SOON)
    return p


def cli(*args, data=None):
    return tool(['redis-cli', '-s', REDIS, *args], data)


def test_redis():
    p = redis_server()
    st = os.stat(REDIS)
    eq(oct(st.st_mode), oct(stat.S_IFSOCK | 0o770), 'unixsocketperm')
    # It listens a little before it writes that.
    wait_until(lambda: os.path.exists(SOCK + '/redis.pid') and get(SOCK + '/redis.pid').endswith(b'\n'), 'redis.pid')
    eq(get(SOCK + '/redis.pid').decode().strip(), str(p.pid), 'its file of its process id')
    eq(cli('ping'), 'PONG\n', 'ping')
    value = os.urandom(1 << 20).hex()
    eq((cli('-x', 'set', 'large', data=value), cli('get', 'large')), ('OK\n', value + '\n'), 'two megabytes')
    lines = ''.join(f'set key{i} {i * i}\n' for i in range(5000))
    eq(cli(data=lines).count('OK'), 5000, 'commands in a pipe')
    eq((cli('dbsize'), cli('get', 'key4999')), ('5001\n', f'{4999 ** 2}\n'), 'what is in it')
    eq(cli('save'), 'OK\n', 'a snapshot, written beside the socket and renamed')
    eq(sorted(os.listdir(SOCK)), ['dump.rdb', 'redis.log', 'redis.pid', 'redis.sock'], 'names')
    eq(stop(p, signal.SIGKILL), -signal.SIGKILL, 'end')
    ok(not answers(REDIS), 'a dead server does not answer')
    p = redis_server()
    eq((cli('dbsize'), cli('get', 'large')), ('5001\n', value + '\n'), 'what a new server finds')
    eq(stop(p), 0, 'status')
    eq(sorted(os.listdir(SOCK)), ['dump.rdb', 'redis.log'], 'what it leaves')


def test_redis_benchmark():
    p = redis_server()
    count = 2000 if ASAN else 20000
    with Requests() as r:
        out = tool(['redis-benchmark', '-s', REDIS, '-n', str(count), '-c', '50', '--csv', '-t', 'ping,set,get,lpush,lrange_100'])
    rates = re.findall(r'^"([A-Z_0-9a-z (]+)[^"]*","([0-9.]+)"', out, re.M)
    ok(len(rates) >= 6 and all(float(rate) > 0 for _, rate in rates), f'rates: {out}')
    print('  ' + ', '.join(f'{name} {rate}/s' for name, rate in rates), flush=True)
    requests = sum(r.made.values())
    ok(requests < 50 * len(rates) * 20 + 1000, f'{requests} requests to the daemon for {count * len(rates)} commands')
    eq(stop(p), 0, 'status')


# ---- socat ----

def test_socat():
    need('socat', 'socat')
    path = SOCK + '/echo'
    p = start(['socat', '-t', '10', f'UNIX-LISTEN:{path},fork,mode=660,user=1001,unlink-early', 'EXEC:cat'])
    wait_until(lambda: os.path.exists(path) and stat.S_IMODE(os.stat(path).st_mode) == 0o660 and answers(path), 'socat listens')
    eq(os.stat(path).st_uid, 1001, 'owner')
    data = os.urandom(3 << 20)
    for _ in range(10):
        eq(tool(['socat', '-t', '10', '-', f'UNIX-CONNECT:{path}'], data) == data, True, 'the echo')
    stop(p)
    p = start(['socat', '-t', '10', f'UNIX-LISTEN:{path},fork,unlink-early', 'EXEC:rev'])
    wait_until(lambda: os.path.exists(path) and answers(path), 'another, in its place')
    client = f'UNIX-CLIENT:{path},bind={SOCK}/client'
    eq(tool(['socat', '-t', '10', '-', client], 'stressed\n'), 'desserts\n', 'a client with a name')
    stop(p)


def test_socat_packets():
    path = SOCK + '/d'
    p = start(['socat', '-u', f'UNIX-RECV:{path}', f'OPEN:{SCRATCH}/got,creat,append'])
    wait_until(lambda: os.path.exists(path), 'socat receives')
    for i in range(20):
        tool(['socat', '-u', '-', f'UNIX-SENDTO:{path}'], f'datagram {i}\n')
    wait_until(lambda: get(f'{SCRATCH}/got').decode() == ''.join(f'datagram {i}\n' for i in range(20)), 'the datagrams')
    stop(p)
    path = SOCK + '/q'
    p = start(['socat', '-t', '10', f'UNIX-LISTEN:{path},type=5,fork', 'EXEC:cat'])
    wait_until(lambda: os.path.exists(path), 'socat listens')
    client = f'UNIX-CONNECT:{path},type=5,retry=50,interval=0.1'
    eq(tool(['socat', '-t', '10', '-', client], 'packet\n'), 'packet\n', 'SOCK_SEQPACKET')
    stop(p)


def test_from_tcp_and_back():
    """A relay as it is used for containers: TCP to a socket of the mount, and a FIFO of it into that."""
    path = SOCK + '/relay'
    a = start(['socat', '-t', '10', f'UNIX-LISTEN:{path},fork', 'EXEC:cat'])
    wait_until(lambda: os.path.exists(path) and answers(path), 'socat listens')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=False, stderr=subprocess.DEVNULL)
    b = start(['socat', '-t', '10', f'TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr', f'UNIX-CONNECT:{path}'])
    data = os.urandom(1 << 20)
    wait_until(lambda: isinstance(attempt(socket.create_connection, ('127.0.0.1', port)), socket.socket), 'the relay')
    eq(tool(['socat', '-t', '10', '-', f'TCP:127.0.0.1:{port}'], data) == data, True, 'the echo')
    stop(b)
    stop(a)


# ---- CPython ----

SERVER = '''
import http.server, socketserver, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def address_string(self):
        return "unix"
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 100
Server(sys.argv[1], lambda *a: Handler(*a, directory=sys.argv[2])).serve_forever()
'''


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCK + '/http')


def fetch(name):
    c = Connection('localhost')
    c.request('GET', '/' + name)
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, hashlib.sha256(body).hexdigest()


def test_http():
    data = os.urandom(8 << 20)
    put(f'{SCRATCH}/www', data)
    p = start([sys.executable, '-c', SERVER, SOCK + '/http', SCRATCH])
    wait_until(lambda: os.path.exists(SOCK + '/http') and answers(SOCK + '/http'), 'the server', 5 * SOON)
    want = (200, hashlib.sha256(data).hexdigest())
    for t in [Thread(fetch, 'www') for _ in range(20)]:
        eq(t.result('a client'), want, 'what a client gets')
    eq(fetch('nothing')[0], 404, 'what is not there')
    stop(p)


def test_cpython():
    """Its own tests of UNIX sockets, with sock/ as their directory."""
    ok(subprocess.run([sys.executable, '-c', 'import test.test_socket'], capture_output=True).returncode == 0,
       "CPython's tests are missing (Debian package libpython3.11-testsuite)")
    r = subprocess.run([sys.executable, '-m', 'unittest', 'test.test_socket.TestUnixDomain', 'test.test_socketserver',
                        'test.test_asyncio.test_unix_events', 'test.test_asyncio.test_streams'], capture_output=True, text=True,
                       cwd=SOCK, env=os.environ | {'TMPDIR': SOCK}, timeout=100)
    ok(r.returncode == 0, f'{r.stdout[-3000:]}\n{r.stderr[-6000:]}')
    ran = int(re.search(r'Ran (\d+) tests', r.stderr).group(1))
    print(f'  {ran} tests of CPython', flush=True)
    ok(ran > 150, f'only {ran} tests ran')


def clean():
    for p in list(RUNNING):
        stop(p, signal.SIGKILL)
    clean_twins()
    eq(os.listdir(CTL + '/sock').count('redis.sock'), 0, 'left in ctl/')


main(globals(), clean)
