/* SPDX-License-Identifier: MIT */
#include "pipe_ask.h"

#include "patience.h"
#include "proc_fds.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { COPY_ROOM = 16 * 1024 };

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

/* Of no owner: who has a pipe open says nothing about who keeps it from answering. */
static struct patience patience = PATIENCE(PATIENCE_GIVEN_UP_MAX);

struct asker {
    struct patient patient;
    size_t count;
    size_t done; /* so many questions are answered; guarded by the lock of `patience` */
    struct pipe_question questions[];
};

static void free_asker(struct patient *patient)
{
    struct asker *asker = (struct asker *)patient;
    for (size_t i = asker->done; i < asker->count; i++)
        text_reset(&asker->questions[i].content);
    free(asker);
}

static void ask_all(struct patient *patient)
{
    struct asker *asker = (struct asker *)patient;
    while (asker->done < asker->count) {
        struct pipe_question *question = &asker->questions[asker->done];
        const struct patience_subject subject = {.number = {question->device, question->ino}};
        question->error = patience_begin(patient, &subject) ? ask_one(question) : -EAGAIN;
        if (!patience_lock(patient))
            return;
        asker->done++;
        patience_unlock(patient);
    }
}

static int start_asker(const struct pipe_question *questions, size_t count, struct asker **out)
{
    AUTO_FREE struct asker *asker = calloc(1, sizeof *asker + count * sizeof *questions);
    if (!asker)
        return -ENOMEM;
    asker->patient.patience = &patience;
    asker->patient.work = ask_all;
    asker->patient.release = free_asker;
    asker->count = count;
    memcpy(asker->questions, questions, count * sizeof *questions);
    int error = patience_start(&asker->patient);
    if (!error)
        *out = TAKE_PTR(asker);
    return error;
}

/* Takes the answers there are; how many. The asker is gone, or its thread's. */
static size_t collect_answers(struct asker *asker, struct pipe_question *questions)
{
    const bool nothing_sooner = false;
    (void)pthread_mutex_lock(&patience.lock);
    (void)patience_await(&asker->patient, &nothing_sooner);
    size_t done = asker->done;
    memcpy(questions, asker->questions, done * sizeof *questions);
    patience_leave(&asker->patient);
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
