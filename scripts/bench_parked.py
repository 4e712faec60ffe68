"""What blocked readers cost the daemon: memory, threads and processor time."""
import glob
import subprocess
import time

READERS = 10000
KIB_MAX = 4.0
CPU_MAX = 0.001  # of one processor: what a look at /proc may itself cause
SETTLE_SECONDS = 30


def status(pid):
    """(KiB in memory, threads)"""
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        fields = dict(line.split(":", 1) for line in text)
    return int(fields["VmRSS"].split()[0]), int(fields["Threads"])


def cpu_seconds(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as text:
            total += int(text.read().split()[0])
    return total / 1e9


def cpu_share(pid, seconds=1.0):
    begin, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - begin)


def settle(pid, reads, before):
    """Until the daemon has had all the reads, and does nothing any more."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        if reads() - before >= READERS and cpu_share(pid, 0.2) < CPU_MAX:
            return
        time.sleep(0.1)


def measure(program, pid, reads, file, queue):
    """`reads` says how many READs the daemon has had. A dict of what was found, or of an "error"."""
    memory, threads = status(pid)
    before = reads()
    with subprocess.Popen([program, str(READERS), file, queue], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as client:
        if client.stdout.readline() != "reading\n":
            client.kill()
            return {"error": "the readers could not be started"}
        settle(pid, reads, before)
        if reads() - before < READERS:
            client.kill()
            return {"error": "not all readers came to wait"}
        share = cpu_share(pid)
        memory_now, threads_now = status(pid)
        woken, _ = client.communicate("\n")
    if client.returncode != 0:
        return {"error": "not all readers got a message"}
    return {"readers": READERS, "kib_each": (memory_now - memory) / READERS, "cpu": share,
            "threads_more": threads_now - threads, "woken_us_each": int(woken) / READERS,
            "kib_each_after": (status(pid)[0] - memory) / READERS}


def text(found):
    if "error" in found:
        return f"{READERS} blocked readers: could not measure: {found['error']}"

    def met(value, most):
        return "yes" if value <= most else "NO"

    return (f"{found['readers']} blocked readers: {found['kib_each']:.2f} KiB each (target ≤ {KIB_MAX:g}: "
            f"{met(found['kib_each'], KIB_MAX)}), {100 * found['cpu']:.2g} % of a CPU (target 0: "
            f"{met(found['cpu'], CPU_MAX)}), {found['threads_more']} threads more (target 0: "
            f"{met(found['threads_more'], 0)}); woken in {found['woken_us_each']:.3g} µs each, "
            f"{found['kib_each_after']:.2f} KiB each kept by the allocator")
