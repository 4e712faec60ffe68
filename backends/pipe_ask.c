/* SPDX-License-Identifier: MIT */
#include "pipe_ask.h"

#include "proc_fds.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>

enum {
    /* A pipe that has not answered after so long is given up. */
    PATIENCE_MS = 500,
    /* So many threads may wait for pipes that do not answer; then no pipe is asked until one does. */
    GIVEN_UP_MAX = 16,
    /* Address space, not memory, until it is used: enough for system calls and what a sanitizer adds. */
    ASKER_STACK = 256 * 1024,
    COPY_ROOM = 16 * 1024,
};

/* ---- in the thread: what a pipe is asked ---- */

/* Capacities go up to 2^31, which is negative as an int. */
static const uint64_t capacity_max = UINT64_C(1) << 31;

int pipe_look(int fd, struct pipe_question *question)
{
    int queued = 0;
    int capacity = fcntl(fd, F_GETPIPE_SZ);
    if (capacity == -1 || ioctl(fd, FIONREAD, &queued) < 0)
        return -errno;
    question->capacity = (unsigned)capacity;
    question->queued = (unsigned)queued;
    return 0;
}

int pipe_resize(int fd, struct pipe_question *question)
{
    if (question->capacity > capacity_max)
        return -EINVAL; /* the kernel would look at the low 32 bits */
    return fcntl(fd, F_SETPIPE_SZ, (unsigned)question->capacity) == -1 ? -errno : pipe_look(fd, question);
}

static int read_all(int fd, size_t size, struct text *out)
{
    char buffer[COPY_ROOM];
    while (size) {
        ssize_t count = read(fd, buffer, size < sizeof buffer ? size : sizeof buffer);
        if (count <= 0)
            return count < 0 ? -errno : -EIO;
        text_bytes(out, buffer, (size_t)count);
        size -= (size_t)count;
    }
    return text_error(out);
}

/* The other pipe has as many slots as this one, so that all fits, however small the pieces are. (For a daemon without
 * CAP_SYS_RESOURCE there are limits; then what fits is copied.) */
int pipe_copy(int fd, struct pipe_question *question)
{
    int ends[2];
    int capacity = fcntl(fd, F_GETPIPE_SZ);
    if (capacity == -1 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    AUTO_FD reader = ends[0];
    AUTO_FD writer = ends[1];
    (void)fcntl(writer, F_SETPIPE_SZ, capacity);
    ssize_t count = tee(fd, writer, (size_t)(unsigned)capacity, SPLICE_F_NONBLOCK);
    if (count < 0)
        return errno == EAGAIN ? 0 : -errno; /* EAGAIN: it is empty */
    return read_all(reader, (size_t)count, &question->content);
}

/* The duplicate may be of something else by now. */
static int check_identity(int fd, struct pipe_question *question)
{
    struct statx stat;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MODE | STATX_UID | STATX_INO,
              &stat) < 0)
        return -errno;
    if (!S_ISFIFO(stat.stx_mode) || stat.stx_ino != question->ino ||
        makedev(stat.stx_dev_major, stat.stx_dev_minor) != question->device)
        return -ESTALE;
    question->mode = stat.stx_mode & 07777;
    question->uid = stat.stx_uid;
    return 0;
}

static int take(const struct pipe_question *question)
{
    AUTO_IDENTITY daemon;
    int error = identity_put_on(&daemon, NULL);
    return error ? error : proc_fd_take(question->pid, question->fd);
}

/* It is closed here, too: that takes the pipe's lock, where it was the last. */
static int ask_one(struct pipe_question *question)
{
    AUTO_FD fd = take(question);
    if (fd < 0)
        return fd;
    int error = check_identity(fd, question);
    if (error)
        return error;
    question->acted = true;
    error = question->act(fd, question);
    if (error)
        text_reset(&question->content);
    return error;
}

/* ---- the thread, and who waits for it ---- */

/* Guards everything here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Of the thread and of who waits for it; the last of them frees it. */
struct asker {
    pthread_t thread;
    pthread_cond_t progress;
    size_t count;
    size_t done;   /* so many questions are answered, and are the waiting one's again */
    bool given_up; /* nobody waits: all is the thread's */
    LIST_ENTRY(asker) next;
    struct pipe_question questions[];
};

static LIST_HEAD(asker_list, asker) given_up;
static size_t given_up_count;

/* With the lock held. */
static bool is_given_up(const struct pipe_question *question)
{
    const struct asker *asker = NULL;
    LIST_FOREACH(asker, &given_up, next)
    {
        const struct pipe_question *stuck = &asker->questions[asker->done];
        if (stuck->device == question->device && stuck->ino == question->ino)
            return true;
    }
    return given_up_count >= GIVEN_UP_MAX;
}

static void free_asker(struct asker *asker)
{
    (void)pthread_cond_destroy(&asker->progress);
    free(asker);
}

/* With the lock held. */
static void end_given_up(struct asker *asker)
{
    LIST_REMOVE(asker, next);
    given_up_count--;
    for (size_t i = asker->done; i < asker->count; i++)
        text_reset(&asker->questions[i].content);
    free_asker(asker);
}

/* Asks the next. With the lock held, but not while it asks. */
static void advance(struct asker *asker, bool may_ask)
{
    struct pipe_question *question = &asker->questions[asker->done];
    question->error = -EAGAIN;
    if (may_ask && !is_given_up(question)) {
        (void)pthread_mutex_unlock(&lock);
        int error = ask_one(question);
        (void)pthread_mutex_lock(&lock);
        question->error = error;
    }
    if (asker->given_up)
        return;
    asker->done++;
    (void)pthread_cond_signal(&asker->progress);
}

static void *run_asker(void *data)
{
    struct asker *asker = data;
    bool has_own_table = syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0;
    (void)pthread_mutex_lock(&lock);
    while (asker->done < asker->count && !asker->given_up)
        advance(asker, has_own_table);
    if (asker->given_up)
        end_given_up(asker);
    (void)pthread_mutex_unlock(&lock);
    return NULL;
}

static struct timespec patience_end(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += (long)PATIENCE_MS * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* With the lock held. False: it gets no further. */
static bool await_answers(struct asker *asker)
{
    while (asker->done < asker->count) {
        size_t before = asker->done;
        struct timespec end = patience_end();
        int error = 0;
        while (!error && asker->done == before)
            error = pthread_cond_timedwait(&asker->progress, &lock, &end);
        if (asker->done == before)
            return false;
    }
    return true;
}

static int start_thread(struct asker *asker)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, ASKER_STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&asker->thread, &attributes, run_asker, asker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -error;
}

static int start_asker(const struct pipe_question *questions, size_t count, struct asker **out)
{
    pthread_condattr_t attributes;
    struct asker *asker = calloc(1, sizeof *asker + count * sizeof *questions);
    if (!asker)
        return -ENOMEM;
    asker->count = count;
    memcpy(asker->questions, questions, count * sizeof *questions);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&asker->progress, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int error = start_thread(asker);
    if (error) {
        free_asker(asker);
        return error;
    }
    *out = asker;
    return 0;
}

/* Takes the answers there are; how many. The asker is gone, or its thread's. */
static size_t collect_answers(struct asker *asker, struct pipe_question *questions)
{
    (void)pthread_mutex_lock(&lock);
    bool finished = await_answers(asker);
    size_t done = asker->done;
    memcpy(questions, asker->questions, done * sizeof *questions);
    pthread_t thread = asker->thread;
    if (!finished) {
        asker->given_up = true;
        LIST_INSERT_HEAD(&given_up, asker, next);
        given_up_count++;
    }
    (void)pthread_mutex_unlock(&lock);
    if (finished) {
        (void)pthread_join(thread, NULL);
        free_asker(asker);
    } else {
        (void)pthread_detach(thread);
    }
    return done;
}

int pipe_ask(struct pipe_question *questions, size_t count)
{
    for (size_t next = 0; next < count; next++) {
        struct asker *asker = NULL;
        int error = start_asker(questions + next, count - next, &asker);
        if (error == -ENOMEM)
            return error;
        if (!error)
            next += collect_answers(asker, questions + next);
        if (next < count)
            questions[next].error = -EAGAIN; /* given up, or there was no thread for it */
    }
    return 0;
}
