# SPDX-License-Identifier: MIT
"""The daemons that are measured, on mounts of their own: ipcfs, and the floor."""
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from benchlib.rows import SHM

START_SECONDS = 10


class CannotMeasure(Exception):
    pass


def run(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        raise CannotMeasure(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise CannotMeasure(f"{' '.join(command)}: {done.stdout.strip()}")


def kill_group(process):
    """A daemon and whatever it has started; each has a process group of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@contextmanager
def deadline(seconds, *processes):
    """Kills the daemons when what is inside lasts longer: what waits for them then gets an error, not an answer."""

    def kill():
        print(f"bench: no end within {seconds} s, the daemons are killed", file=sys.stderr)
        for process in processes:
            kill_group(process)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Daemon:
    """A file system that stays in the foreground, on its own mount point. What it says is shown if it ends badly."""

    def __init__(self, name, command, mountpoint):
        self.name = name
        self.log = f"{mountpoint}.log"
        os.makedirs(mountpoint)
        before = os.stat(mountpoint).st_dev
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen([*command, mountpoint], start_new_session=True, stderr=log)
        except OSError as error:
            raise CannotMeasure(f"{command[0]}: {error.strerror}") from error
        with deadline(START_SECONDS, self.process):
            while os.stat(mountpoint).st_dev == before:
                if self.process.poll() is not None:
                    raise CannotMeasure(f"{name} ended with status {self.process.returncode}: {self.said()}")
                time.sleep(0.01)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().strip()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"bench: {self.name} did not end, killed", file=sys.stderr)
            kill_group(self.process)
            self.process.wait()
        if self.process.returncode != 0:
            print(f"bench: {self.name} ended with status {self.process.returncode}: {self.said()}", file=sys.stderr)


def version(where):
    """What ctl/version says; nothing where it can't be read."""
    try:
        with open(f"{where['mnt']}/ctl/version", encoding="utf-8") as text:
            return dict(line.rstrip("\n").split(": ", 1) for line in text if ": " in line)
    except OSError:
        return {}


# ---- the floor -------------------------------------------------------------------------------------------------

# The floor gets the loop of what it is the floor for: what ctl/version says, and the options of nopfs that do the same.
SAME_LOOP = {"threads": "--threads={}", "poll_percent": "--poll-percent={}"}


def floor_loop(where):
    """As many threads, that poll as much. Without a daemon that says so, as many as it has by default."""
    said = {"threads": 8, "poll_percent": 0} | settled(where)
    return ["--loop=crew", *(option.format(said[name]) for name, option in SAME_LOOP.items() if name in said)]


def settled(where):
    """What the daemon says when it no longer starts more threads."""
    said, before = version(where), None
    while said.get("threads") != before:
        before = said.get("threads")
        time.sleep(0.2)
        said = version(where)
    return said


# ---- set up ----------------------------------------------------------------------------------------------------


def private_mounts(tmp):
    run("mount", "-t", "tmpfs", "-o", "mode=1777,size=1g", "tmpfs", SHM)
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", tmp)
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")


def set_up(args, kind, tmp):
    """Private mounts and the daemons; returns the paths and what is to be stopped."""
    private_mounts(tmp)
    prepare(args, kind)
    # The native way through a path as deep as ipcfs's: what a path costs is then the same.
    os.makedirs(f"{tmp}/own/shm")
    run("mount", "--bind", SHM, f"{tmp}/own/shm")
    where = {"shm": f"{tmp}/own/shm", "mnt": f"{tmp}/ipc", "nop": f"{tmp}/nop"}
    daemons = []
    try:
        if not args.self_check:
            options = [word for option in args.option for word in ("-o", option)]
            daemons.append(Daemon("ipcfs", [f"{args.build_dir}/ipcfs", "-f", *options], where["mnt"]))
            populate(kind, where, daemons[0])
        daemons.append(Daemon("nopfs", floor(args, kind, where, daemons), where["nop"]))
    except Exception:
        for daemon in daemons:
            daemon.stop()
        raise
    return where, daemons


def floor(args, kind, where, daemons):
    if not args.floor:
        with deadline(START_SECONDS, *(daemon.process for daemon in daemons)):
            args.floor = " ".join(floor_loop(where))
    return [f"{args.build_dir}/tests/bench/nopfs", f"--files={kind.files}", "--attr-timeout=0.01", f"--backing={SHM}/data",
            *args.floor.split()]


def prepare(args, kind):
    """What can be there before the daemons."""
    try:
        kind.prepare()
        if kind.crowd:
            kind.crowd(f"{args.build_dir}/tests/bench/crowd", args.processes)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMeasure(f"what is to be measured: {error}") from error


def populate(kind, where, daemon):
    """What only the mount itself can make."""
    if not kind.populate:
        return
    with deadline(START_SECONDS, daemon.process):
        try:
            kind.populate(where["mnt"])
        except OSError as error:
            raise CannotMeasure(f"{error.filename}: {error.strerror}") from error
