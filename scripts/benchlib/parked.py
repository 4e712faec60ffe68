# SPDX-License-Identifier: MIT
"""What those who wait cost the daemon: memory, threads and processor time."""
import glob
import subprocess
import time

COUNT = 10000
KIB_MAX = 4.0
THREADS_MAX = 1  # one for the object where its calls can only block; none for each that waits
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


def settle(pid, requests, before):
    """Until the daemon has had all the requests, and does nothing any more."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        if requests() - before >= COUNT and cpu_share(pid, 0.2) < CPU_MAX:
            return
        time.sleep(0.1)


def measure(command, pid, requests):
    """`requests` says how many of those that wait the daemon has had. A dict of what was found, or of an "error"."""
    memory, threads = status(pid)
    before = requests()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        if client.stdout.readline() != "waiting\n":
            client.kill()
            return {"error": "not all could be started"}
        settle(pid, requests, before)
        if requests() - before < COUNT:
            client.kill()
            return {"error": "not all came to wait"}
        share = cpu_share(pid)
        memory_now, threads_now = status(pid)
        woken, _ = client.communicate("\n")
    if client.returncode != 0:
        return {"error": "not all got what they waited for"}
    return {"count": COUNT, "kib_each": (memory_now - memory) / COUNT, "cpu": share,
            "threads_more": threads_now - threads, "woken_us_each": int(woken) / COUNT,
            "kib_each_after": (status(pid)[0] - memory) / COUNT}


def rows(found):
    """What they cost, as rows of the path that has the targets."""
    if not found:
        return []
    error = {"error": found["error"]} if "error" in found else {}
    shown = ((f"{found['what']}, KiB each", "kib_each", KIB_MAX, 0),
             (f"{found['what']}, threads more", "threads_more", 0, THREADS_MAX),
             (f"{found['what']}, part of a CPU", "cpu", 0, CPU_MAX))
    return [{"row": label, "path": "parked", "sense": "cost", "base": "", "target": target, "slack": slack}
            | (error or {name: found[key] for name in ("value", "low", "high")}) for label, key, target, slack in shown]


def text(found):
    if "error" in found:
        return f"{COUNT} {found['what']}: could not measure: {found['error']}"

    def met(value, most):
        return "yes" if value <= most else "NO"

    return (f"{found['count']} {found['what']}: {found['kib_each']:.2f} KiB each (target ≤ {KIB_MAX:g}: "
            f"{met(found['kib_each'], KIB_MAX)}), {100 * found['cpu']:.2g} % of a CPU (target 0: "
            f"{met(found['cpu'], CPU_MAX)}), {found['threads_more']} threads more (target 0 ±{THREADS_MAX}: "
            f"{met(found['threads_more'], THREADS_MAX)}); woken in {found['woken_us_each']:.3g} µs each, "
            f"{found['kib_each_after']:.2f} KiB each kept by the allocator")
