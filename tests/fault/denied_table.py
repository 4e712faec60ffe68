# SPDX-License-Identifier: MIT
"""What may be lost where a system call is denied; of all else nothing may be."""

# Without these it does not start, and says so.
REFUSES = set('epoll_create1 epoll_ctl eventfd2 getgroups getrandom mount readlink rt_sigaction rt_sigprocmask setgroups setresgid '
              'setresuid signalfd4 statx timerfd_create'.split())
# Without these it ends by itself, unmounted, with a message and a status other than 0.
ENDS = {'poll'}
# Unmounted by somebody else; objects that nobody can remove.
LEAVES = {'umount2', 'unlinkat'}
# A thread in a native call can not be woken.
STUCK = {'tgkill'}

QUEUES = 'sent received waited interrupted polled shown'.split()
MQ = [f'mq_{step}' for step in QUEUES]
MSG = ['msg_made'] + [f'msg_{step}' for step in QUEUES]
MQ_MADE = ['mq_made', 'refused_line', 'created']
LISTENERS = ['connection', 'datagrams']
NODES = ['tree', 'pipe', 'pipe_looked_at', 'bound', *LISTENERS]  # all that needs the runtime directory
LOOKS = ['holders', 'orphans', 'waits', 'deadlocks', 'graph.dot']
SHM = ['tree', 'shm', 'shm_changes', 'shm_fallocate', 'locks', 'semaphore', 'semaphore_waited', 'created', 'holders', 'events', 'as_user']

# The steps (steps.py) that may fail.
LOSES = {
    'accept4': ['connection'],
    'bind': LISTENERS,
    'chmod': ['shm_changes', 'mq_made', 'pipe', *LISTENERS],
    'clone': MQ_MADE,
    'connect': LISTENERS,
    'fchmod': LISTENERS,
    'fchown': LISTENERS,
    'fchownat': ['shm_changes', *LISTENERS],
    'fcntl': ['shm', 'locks', 'mq_made', 'events', 'orphans', *NODES],
    'flock': ['locks', *NODES],
    'fsconfig': ['tree', *MQ_MADE, *MQ],
    'fsmount': ['tree', *MQ_MADE, *MQ],
    'fsopen': ['tree', *MQ_MADE, *MQ],
    'fstatfs': SHM,
    'ftruncate': ['shm_changes'],
    'getdents64': ['shm', 'mq_made', 'events', *NODES, *LOOKS],
    'getresuid': MQ_MADE,
    'getsockopt': ['connection'],
    'ioctl': ['pipe_looked_at'],
    'linkat': ['shm_changes', 'semaphore', 'created'],
    'listen': ['connection'],
    'lseek': ['shm_fallocate'],
    'madvise': ['segment'],
    'mkdirat': NODES,
    'mknodat': ['pipe', 'pipe_looked_at', 'bound'],
    'mq_getsetattr': ['mq_made', 'created', *MQ],
    'mq_open': MQ_MADE,
    'mq_timedreceive': ['mq_received', 'mq_waited', 'mq_interrupted'],
    'mq_timedsend': ['mq_sent'],
    'msgctl': MSG,
    'msgget': MSG,
    'msgrcv': ['msg_made', 'msg_received', 'msg_waited', 'msg_interrupted'],
    'msgsnd': ['msg_sent'],
    'pidfd_getfd': ['pipe_looked_at'],
    'pidfd_open': ['pipe_looked_at', 'holders'],
    'pipe2': ['pipe_looked_at'],
    'prctl': MQ_MADE,
    'prlimit64': MQ_MADE,
    'pwrite64': ['segment', 'semaphore', 'created'],
    'readlinkat': ['pipe_looked_at', 'bound', *LOOKS],
    'recvfrom': ['bound', *LISTENERS],
    'recvmsg': MQ_MADE,
    'renameat': ['shm_changes', 'pipe', *LISTENERS],
    'semctl': ['semaphore_set', 'set_waited'],
    'semget': ['semaphore_set', 'set_waited'],
    'semtimedop': ['semaphore_set', 'set_waited'],
    'sendmsg': MQ_MADE,
    'sendto': ['bound', *LISTENERS],
    'setsockopt': ['bound'],
    'shmat': ['segment'],
    'shmctl': ['segment', 'created'],
    'shmdt': ['segment'],
    'shmget': ['segment', 'created'],
    'socket': ['bound', *LISTENERS],
    'socketpair': MQ_MADE,
    'tee': ['pipe_looked_at'],
    'tgkill': ['msg_interrupted'],
    'unlinkat': ['shm', 'shm_changes', 'mq_made', 'semaphore', 'semaphore_waited', 'pipe_looked_at', 'bound', 'refused_line', 'created',
                 *LISTENERS],
    'utimensat': ['shm_changes'],
}

# With other errnos than ENOSYS, which look like the object's own answer, or with which the C library does not go another way.
REFUSES_OTHERWISE = {'clone3', 'getgid', 'getuid'}
LOSES_OTHERWISE = {
    'faccessat2': ['shm', 'shm_changes', 'shm_fallocate', 'locks', 'mq_made', 'semaphore', 'semaphore_waited', 'pipe', 'pipe_looked_at',
                   'holders'],
    'fallocate': ['shm_fallocate'],
    'pwritev2': ['shm', 'shm_fallocate', 'as_user'],
    'recvfrom': LOOKS,
    'sendto': LOOKS,
    'setgroups': ['as_user'],
    'setresgid': ['as_user', *MQ_MADE],
    'setresuid': ['as_user', *MQ_MADE],
    'setsockopt': LOOKS,
    'socket': LOOKS,
}
# The daemon takes that for a passing lack of memory, and waits for its end.
NOT_TRIED = {('poll', 'ENOMEM')}
