/* SPDX-License-Identifier: MIT */
/*
 * What a process has and does, as /proc tells the calling thread.
 *
 * Nothing of what is read here belongs to the daemon, and most of it is asked under locks that the process itself has while
 * it waits for others: exec_update_lock for all but the command and the uid, also for stat and for the links in fd/, and for
 * maps mmap_lock (Linux fs/proc/, fs/exec.c). A process that closes a file in the middle of an execve(2), and whose file system
 * does not answer, keeps everybody waiting who asks (seen on Linux 6.18). So processes_read() reads in a thread that is given
 * up when it gets no further (patience.h), and that process is passed over until the thread comes back. process_read() is
 * what that thread does for one; it is not for threads that must not wait.
 *
 * Rights: those of the calling thread. Who may not look into a process (ptrace(2), PTRACE_MODE_READ_FSCREDS) is told only
 * what everybody is: pid, start, parent, uid, command. The daemon itself is never among them.
 *
 * Not met: what is on its way in a message (unix(7), SCM_RIGHTS), what has become the kernel's (io_uring(7)), and descriptors
 * of a thread with a table of its own.
 */
#ifndef IPCFS_BACKENDS_INSPECT_PROCESS_H
#define IPCFS_BACKENDS_INSPECT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* What to read; each costs. Bits. */
enum {
    PROCESS_DESCRIPTORS = 1 << 0, /* /proc/PID/fd */
    PROCESS_MAPPINGS = 1 << 1,    /* /proc/PID/maps */
    PROCESS_CALLS = 1 << 2,       /* /proc/PID/task/TID/syscall */
    PROCESS_LINKS = 1 << 3,       /* /proc/PID/fd, but only `fd` and `target` of each */
    /* Only what is asked for above, pid and uid. Kernel threads are there, too, and have nothing. */
    PROCESS_UNNAMED = 1 << 4,
    /* Of calls not since when. To know that, the reading thread goes to the processors that they last ran on. */
    PROCESS_UNTIMED = 1 << 5,
};

struct process_descriptor {
    int fd;
    bool reads, writes; /* O_PATH: neither */
    /* As stat(2) would tell, without asking a file system (AT_STATX_DONT_SYNC). 0 of what has no path ("pipe:[1]",
     * "socket:[1]", "anon_inode:…"), where `target` says all there is. */
    dev_t device;
    ino_t ino;
    mode_t type;        /* S_IFMT */
    const char *target; /* the link's text; "" where it is too long to be told */
};

/* The number in "KIND:[NUMBER]" (its inode); false for any other target. */
bool process_descriptor_number(const struct process_descriptor *descriptor, const char *kind, ino_t *number);

/* Of a file, or of memory that is shared. */
struct process_mapping {
    uint64_t start, end; /* addresses */
    uint64_t offset;     /* in the file, of `start` */
    bool reads, writes, shared;
    dev_t device;
    ino_t ino;
    const char *path; /* as in proc_pid_maps(5), unescaped */
};

/* One of several descriptors that a thread waits for. */
struct process_polled {
    int fd;
    bool reads, writes; /* what for; neither: an error, or the end */
    uint64_t
        ino; /* the inode; 0: not told. Another one's: epoll(7) keeps what has been closed here and is open elsewhere */
};
/* Of one process so many are told. */
enum { PROCESS_POLLED_MAX = 1024 };

/* A thread that waits in a system call, of the daemon's own architecture. */
struct process_call {
    pid_t tid;
    long number; /* SYS_… */
    uint64_t arguments[6];
    /* Of an open(2) that waits for the other end of a FIFO: its path from the root of the daemon, as text: without "." and
     * "..", and symbolic links are not followed. A process in another mount name space may mean another file by it.
     * Otherwise, and where the path is not to be had without waiting for it, NULL. */
    const char *fifo;
    bool writes; /* there: it opens it for writing, and waits for a reader */
    size_t polled_first,
        polled_count; /* of poll(2), select(2), epoll_wait(2): which it waits for, of `polled` */
    /* Since when it has not run: by its last moment on a processor (se.exec_start in /proc/PID/task/TID/sched), to about a
     * millisecond; CLOCK_REALTIME. Unknown where the kernel does not tell. */
    bool since_known;
    struct timespec since;
};

struct process {
    pid_t pid;
    uint64_t
        start; /* clock ticks after boot (starttime in proc_pid_stat(5)): with the pid, which process it is */
    pid_t parent;
    uid_t uid; /* effective */
    char command[64];
    bool
        readable; /* the calling thread may look into it, and it answered: what follows is all there is of what was asked for */
    bool calls_known; /* the same for the calls: they need more rights (PTRACE_MODE_ATTACH_FSCREDS) */
    bool same_ipc;    /* its IPC name space is the daemon's */
    bool stuck;       /* it did not answer in time */
    size_t threads;
    struct process_descriptor *descriptors; /* in the order of their numbers */
    size_t descriptor_count;
    struct process_mapping *mappings; /* in the order of their addresses */
    size_t mapping_count;
    struct process_call *calls;
    size_t call_count;
    struct process_polled *polled; /* of all its threads; as far as it could be read */
    size_t polled_count;
    void *memory; /* owned: all of the above */
};

/* Reads one process. −ESRCH where there is none (any more), or it is a kernel thread; −ENOMEM. On error there is nothing to
 * free. */
int process_read(pid_t pid, unsigned what, struct process *out);
void process_free(struct process *process);
#define AUTO_PROCESS __attribute__((cleanup(process_free))) struct process

/*
 * One object of the tree. Where only that is looked for, of each process is read what may be of it: descriptors and mappings
 * of any file whose inode has that number, and those of the mount; and calls only where there is one of these, or `calls`.
 */
struct process_subject {
    bool known;      /* false: everything is looked for */
    uint64_t number; /* its `id.number`, which is the low 48 bits of an inode's */
    bool calls;      /* a thread may wait for it and have nothing of it open or mapped */
};

/* Called with each process, in the order of the pids, in the calling thread; it may take the contents over by leaving an
 * empty (zero) struct. Anything but 0 ends the walk, which returns it. */
typedef int process_visit(void *data, struct process *process);
/*
 * Reads all processes (kernel threads left out), or that one. Takes at most half a second longer for each process that does
 * not answer, and five for one that answers slowly; once that is known of it, nothing. 0 or −errno. −ESRCH: that one is not
 * there, or is the daemon. −EAGAIN: too many do not answer (16, of one user 8), and nothing can be told until they do; some may
 * have been visited.
 *
 * Memory: two batches of 4 MiB, and one process of at most 64 MiB twice. A process that has more is not `readable`.
 */
int processes_read(pid_t only, unsigned what, process_visit *visit, void *data);
/* The same of all, but of each only what may be of the subject. */
int processes_read_of(const struct process_subject *subject, unsigned what, process_visit *visit, void *data);

#endif
