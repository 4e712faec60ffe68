/* SPDX-License-Identifier: MIT */
/*
 * Who uses what: all processes and all IPC objects that they have open, mapped, attached or wait for, joined, as the calling
 * thread may see it. holders, waiters, proc/, orphans, waits, deadlocks and graph.dot are all views of this one structure.
 *
 * An object is one of the tree (`kind`), or something that IPC is done with and that has no place there: an anonymous pipe, a
 * socket without a name in sock/, a memfd, other shared memory without a name, a file whose lock somebody waits for.
 *
 * It is no snapshot: processes come and go while they are read, one after another. Each process is as it was at one time,
 * between the call and its return; who held something all that time is there.
 *
 * A wait is told by the system call that the thread is in. Of the memory of a process but the path of a FIFO that it opens is
 * read, and the lists of poll(2) and select(2), and only what is present: all else could be made to take for ever
 * (process_memory.h). So these waits are not told, and such a thread only counts in its process:
 * - poll(2), select(2), epoll_wait(2), where the list is not in memory, of one process more than the first 1024 descriptors, and
 *   what is not in the tree, a pipe or a socket: as epoll_wait(2) for another epoll(7), eventfd(2);
 * - io_uring_enter(2), futex_waitv(2);
 * - open(2) of a FIFO that has no other end yet, where the kernel does not tell that it is that (/proc/PID/wchan), or not the
 *   whole path is in memory;
 * - splice(2), tee(2): for either of two;
 * - connect(2), but as a wait for the socket itself: the address is there;
 * - system calls of another architecture; and one that ends at some time and goes on after the process was stopped
 *   (restart_syscall(2)).
 * A thread that is held up in such a call by something else, as by a page of its buffer, is told as if it waited for the object.
 *
 * A FIFO that is being opened is known by its path alone, as text: elsewhere it is another object than the same FIFO that
 * somebody has open; one of the mount is not known by a symbolic link; and what another mount name space has at the same path is
 * taken for it.
 *
 * A System V semaphore that a thread waits for natively is told where the set has but one that is waited for. Segments of other
 * IPC name spaces of the same id are not told apart. Files are known by the device numbers that both stat(2) and the kernel's
 * own lists tell: on btrfs and overlayfs these differ, and locks and mappings there are not found.
 */
#ifndef IPCFS_BACKENDS_INSPECT_INSPECTION_H
#define IPCFS_BACKENDS_INSPECT_INSPECTION_H

#include "process.h"

#include "ipcfs/backend.h"

/* What is looked for. Bits. */
enum {
    INSPECT_HOLDERS = 1 << 0, /* descriptors, mappings, attachments */
    INSPECT_WAITERS = 1 << 1, /* who waits, and what they wait for; includes the holders */
    INSPECT_UNTIMED = 1 << 2, /* but not since when, but for those who wait in the daemon */
};

enum inspected_type {
    INSPECTED_OBJECT, /* of the tree */
    INSPECTED_PIPE,   /* without a name, or a FIFO elsewhere */
    INSPECTED_SOCKET, /* that is not bound in sock/ */
    INSPECTED_MEMFD,
    INSPECTED_SHARED, /* shared anonymous memory; System V segments of other name spaces, files in other tmpfs */
    INSPECTED_FILE, /* any other, where a lock on it is waited for */
    INSPECTED_EXIT, /* the end of a child: what wait4(2) waits for */
};

struct inspected_object {
    enum inspected_type type;
    const struct ipcfs_backend *kind; /* INSPECTED_OBJECT */
    /* Its id.number; otherwise the inode, or the pid of a child (0: any); of a FIFO that is being opened made up of its path. */
    uint64_t number;
    dev_t device;     /* of what is not of the tree; −1 of a FIFO that is being opened */
    const char *name; /* in the naming directory 0, "by-id"; of all else a label: "pipe:[12]", "memfd:NAME" */
    bool removed; /* of the tree, and no name leads to it any more (`name` is the last one that is known) */
    uint32_t socket,
        peer; /* of a socket, and of a bound one in sock/: the inodes of it and of its other end, or 0 */
    const size_t *users; /* indices of its uses, in the order of the pids */
    size_t user_count;
};

enum inspected_how { USE_DESCRIPTOR, USE_MAPPING, USE_ATTACHMENT, USE_WAITING };

/* How it is known who can end a wait. */
struct inspected_use {
    size_t process; /* index */
    size_t object;  /* index */
    enum inspected_how how;
    bool reads,
        writes; /* access mode; USE_WAITING: which direction it waits for (of a semaphore: writes = posts, so never) */
    /* By way of a file of the mount that is not the object itself: its name ("hold", "wait", "accept" …); otherwise NULL. */
    const char *part;
    int member;          /* of a set of semaphores: which one; −1: none, or unknown */
    int fd;              /* USE_DESCRIPTOR, and USE_WAITING where the call names one; otherwise −1 */
    uint64_t start, end; /* USE_MAPPING, USE_ATTACHMENT: addresses */
    uint64_t offset; /* there: of `start` in the object. Of a wait for a futex: of its word in the object */
    /* USE_WAITING: */
    pid_t tid;
    const char *call; /* "read", "semop", "futex" …; constant */
    bool parked;      /* it waits in this daemon, through the mount */
    bool futex;       /* for the word at `offset` */
    bool exclusive;   /* it waits for a lock (flock, fcntl): those who have it are told by `locks` */
    bool any;         /* this is one of several, and any of them ends it; not all need be told */
    bool timed;       /* until a time at the latest, that the call names */
    bool since_known;
    struct timespec since; /* CLOCK_REALTIME */
};

/* A lock of flock(2) or fcntl(2) that is held and that somebody waits for. */
struct inspected_lock {
    size_t object;
    pid_t holder; /* 0: an open file description's (F_OFD_SETLK): whoever has it open */
    pid_t waiter;
};

struct inspection {
    struct timespec time;      /* CLOCK_REALTIME: when it was begun */
    struct process *processes; /* in the order of the pids; without descriptors, mappings and calls */
    size_t process_count;
    struct inspected_object
        *objects; /* by type, then by kind in the order of ipcfs_backends, then by number */
    size_t object_count;
    size_t *users;              /* all the lists `users` of the objects, one after another */
    struct inspected_use *uses; /* in the order of the processes */
    size_t use_count;
    struct inspected_lock *locks;
    size_t lock_count;
    size_t unreadable; /* processes that the caller may not look into */
    size_t stuck;      /* processes that did not answer */
};

/* What a file of the mount is of, by its inode number as stat(2) tells it. */
struct inspection_node {
    const struct ipcfs_backend *kind;
    uint64_t number;
    const char *part; /* NULL: the object itself; constant */
    int member;       /* −1: none */
};

/* A request that waits in the daemon. */
struct inspection_parked {
    pid_t tid;
    const struct ipcfs_backend *kind;
    uint64_t number;
    const char *part; /* as above */
    int member;
    const char *call; /* "read", "write", "open", "flock" … */
    bool writes;
    struct timespec since; /* CLOCK_REALTIME */
};
/* A lock taken through the mount, which the kernel counts as the daemon's. */
struct inspection_mount_lock {
    const struct ipcfs_backend *kind;
    uint64_t number;
    pid_t holder; /* a thread, or its process */
};

/* What only the FUSE side knows. Each function may be called from any thread. */
struct inspection_host {
    void *data;
    const char *mountpoint; /* absolute path */
    /* False for what is not an object or part of one. */
    bool (*node)(void *data, uint64_t ino, struct inspection_node *out);
    int (*each_parked)(void *data, int (*visit)(void *context, const struct inspection_parked *parked),
                       void *context);
    int (*each_lock)(void *data, int (*visit)(void *context, const struct inspection_mount_lock *lock),
                     void *context);
};

/* Of all processes, or of that one. 0 or −errno; *out is the caller's: inspection_free(), which takes NULL. */
int inspection_make(const struct inspection_host *host, unsigned what, pid_t only, struct inspection **out);
/* The same of all, but of what they use only that object is sure to be there; quicker. What is not of it, locks and other
 * objects, may be there or not. */
int inspection_make_of(const struct inspection_host *host, const struct ipcfs_backend *kind, uint64_t number,
                       struct inspection **out);
void inspection_free(struct inspection *inspection);

/* NULL where nobody uses it. */
const struct inspected_object *inspection_object(const struct inspection *inspection,
                                                 const struct ipcfs_backend *kind, uint64_t number);
/* By pid; NULL. */
const struct process *inspection_process(const struct inspection *inspection, pid_t pid);
/* "descriptor", "mapping", "attachment", "waiting". */
const char *inspected_how_word(enum inspected_how how);
/* The name of a kind, or of what has none, for links and lists: "shm", "sysv/shm", "pipe", "socket", "memfd", "shared", "file". */
const char *inspected_kind_word(const struct inspected_object *object);

#endif
