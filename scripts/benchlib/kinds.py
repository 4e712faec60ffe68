# SPDX-License-Identifier: MIT
"""The kinds that can be measured, by name."""
from benchlib import channels, growth, inspection, messages, shm, sysv

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
    """None: there is no such kind."""
    return KINDS.get(name) or growth.find(name)


def names():
    return ", ".join([*KINDS, *(f"{kind}@N" for kind in growth.KINDS)])


def listing(name):
    chosen = [name] if find(name) else [*KINDS, *growth.FULL]
    return "\n".join(f"{kind}: {row.label}" for kind in chosen for row in find(kind).rows())
