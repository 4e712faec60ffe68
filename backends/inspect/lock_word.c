/* SPDX-License-Identifier: MIT */
#include "lock_word.h"

#include "small_file.h"
#include "thread_process.h"

#include "ipcfs/cleanup.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __GLIBC__ && __WORDSIZE == 64

/* Bits of __kind (nptl/pthreadP.h). The type is in the lowest two. */
enum {
    KIND_ROBUST = 16,
    KIND_INHERIT = 32,
    KIND_SHARED = 128,
    KIND_ELISION = 256,
    KIND_NO_ELISION = 512,
    KIND_KNOWN = 3 | KIND_ROBUST | KIND_INHERIT | KIND_SHARED | KIND_ELISION | KIND_NO_ELISION,
};
/* __lock of a mutex that is locked and waited for. */
enum { CONTENDED = 2 };

struct mutex {
    uint32_t word;
    int32_t owner;
    int32_t kind;
};

_Static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0 &&
                   offsetof(pthread_mutex_t, __data.__owner) + 4 <= LOCK_WORD_BYTES &&
                   offsetof(pthread_mutex_t, __data.__kind) + 4 <= LOCK_WORD_BYTES,
               "the mutex begins with its word");

static struct mutex mutex_of(const unsigned char *bytes)
{
    struct mutex mutex;
    memcpy(&mutex.word, bytes, sizeof mutex.word);
    memcpy(&mutex.owner, bytes + offsetof(pthread_mutex_t, __data.__owner), sizeof mutex.owner);
    memcpy(&mutex.kind, bytes + offsetof(pthread_mutex_t, __data.__kind), sizeof mutex.kind);
    return mutex;
}

pid_t lock_word_owner(const unsigned char bytes[LOCK_WORD_BYTES])
{
    struct mutex mutex = mutex_of(bytes);
    if (!(mutex.kind & KIND_SHARED) || mutex.kind & ~KIND_KNOWN)
        return 0;
    if (!(mutex.kind & (KIND_ROBUST | KIND_INHERIT)))
        return mutex.word == CONTENDED && mutex.owner > 0 ? mutex.owner : 0;
    /* 0 of one that died: the kernel leaves FUTEX_OWNER_DIED in his place. */
    pid_t owner = (pid_t)(mutex.word & FUTEX_TID_MASK);
    return mutex.word & FUTEX_WAITERS && owner == mutex.owner ? owner : 0;
}

#else

pid_t lock_word_owner(const unsigned char bytes[LOCK_WORD_BYTES])
{
    (void)bytes;
    return 0;
}

#endif

/*
 * Whether the process that has that number here calls itself so: it is in no pid name space below, nor are its threads. Told
 * of a descriptor of it as in /proc/PID/status (proc_pid_fdinfo(5)), for which the process's memory is not asked for.
 */
static bool is_own_name(pid_t pid)
{
    static const char label[] = "\nNSpid:\t";
    char path[48];
    char text[512];
    AUTO_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    (void)snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%d", process);
    if (process < 0 || small_file_read(AT_FDCWD, path, text, sizeof text))
        return false;
    const char *line = strstr(text, label);
    char *end = NULL;
    return line && strtol(line + sizeof label - 1, &end, 10) == pid && *end == '\n';
}

pid_t lock_word_process(pid_t tid)
{
    pid_t pid = thread_process(tid);
    return pid && is_own_name(pid) ? pid : 0;
}
