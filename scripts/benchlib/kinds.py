# SPDX-License-Identifier: MIT
"""The kinds that can be measured, by name."""
from benchlib import channels, inspection, messages, shm, sysv

KINDS = {
    "shm": shm.KIND,
    "mq": messages.MQ,
    "sysv": sysv.KIND,
    "sysv-msg": messages.SYSV_MSG,
    "pipe": channels.PIPE,
    "sock": channels.SOCK,
    "inspect": inspection.INSPECT,
}


def find(name):
    return KINDS[name]


def is_kind(name):
    return name in KINDS


def names():
    return ", ".join(KINDS)


def listing(name):
    return "\n".join(f"{kind}: {row.label}" for kind in ([name] if is_kind(name) else KINDS) for row in find(kind).rows())
