# SPDX-License-Identifier: MIT
"""POSIX shared memory: beside the tmpfs that it is made of."""
from benchlib.rows import FILES, SHM, Kind, Row, control_rows, placed, state_rows

DATA_SIZE = 64 << 20


def data_row(label, op, **more):
    """A row whose object is the shared memory object `data` (the floor: the file `null`)."""
    return Row(label, op, "{mnt}/shm/data", "{shm}/data", **more)


def shm_rows():
    mapped = {"sense": "speed", "target": 1.0, "slack": 0.02, "rounds": 2, "path": "mapping"}
    small = {"size": 4096, "sense": "speed", "target": 0.90, "path": "data"}
    large = {"size": 1 << 20, "sense": "speed", "target": 0.98, "path": "data"}
    null = {"floor": "{nop}/null"}
    through = {"floor": "{nop}/data"}
    return [
        data_row("load, random", "load-random", **mapped),
        data_row("load, sequential", "load-seq", **mapped),
        data_row("store, random", "store-random", **mapped),
        data_row("store, sequential", "store-seq", **mapped),
        data_row("map 1 MiB, touch, unmap", "fault", size=1 << 20, **through),
        data_row("read 4 KiB", "pread", **small, **through),
        data_row("write 4 KiB", "pwrite", **small, **through),
        data_row("read 1 MiB", "pread", **large, **through),
        data_row("write 1 MiB", "pwrite", **large, **through),
        data_row("write 64 bytes", "pwrite", size=64, **through),
        data_row("open + close", "open", **through),
        data_row("stat", "stat", **null),
        *control_rows("ctl/version"),
        *state_rows("ctl/shm/data/state"),
        Row(f"ls of {FILES}", "ls", "{mnt}/shm", "{shm}", "{nop}/dir", rounds=0.2),
        *placed(Row(f"ls -l of {FILES}", "ls-l", "{mnt}/shm", "{shm}", "{nop}/dir", target=3.0, rounds=0.1, path="ls")),
    ]


def prepare_shm():
    """One large object, every page of it there, and many small ones."""
    with open(f"{SHM}/data", "wb") as data:
        for _ in range(DATA_SIZE >> 20):
            data.write(b"x" * (1 << 20))
    for i in range(FILES):
        with open(f"{SHM}/o{i:06d}", "wb") as small:
            small.write(b"x" * 64)


KIND = Kind(prepare_shm, shm_rows)
