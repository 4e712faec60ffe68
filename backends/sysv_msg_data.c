/* SPDX-License-Identifier: MIT */
#include "sysv_msg_data.h"

#include "sysv_msg.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

enum {
    /* What is asked of a reader's buffer at first, however large kernel.msgmax is: it can be 2 GiB. */
    FIRST_ROOM_MAX = 64 * 1024,
    /* Messages up to this size are sent without an allocation. */
    SEND_ON_STACK = 4096,
    COPY_FIRST_ROOM = 512,
    /* How far poll() looks through a queue for a message of its type. */
    POLL_LOOK_MAX = 256,
};

/*
 * An id is no hold: when its queue is gone the kernel gives the id to a new one, after 2^22 others, which is seconds for
 * who wants that. So before each call it is asked whether the id still means the queue that was opened, or at least
 * one that its opener might open: the daemon's own calls are never refused.
 */
struct ipcfs_file {
    int id;
    struct ipc_perm perm;       /* when it was opened */
    struct sysv_opener *opener; /* owned */
    bool readable;
    bool writable;
    long send_type;
    long receive_type;
    atomic_size_t room; /* for the text of a message */
};

/* As struct msgbuf of msgsnd(2). */
struct message {
    long type;
    char text[];
};

/* The kernel puts the type before the text; that it is aligned is not asked of the caller's buffer. */
enum { MESSAGE_HEAD = 2 * sizeof(long) - 1 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int sysv_msg_file_new(int id, const struct ipc_perm *perm, int flags, long send_type, long receive_type,
                      struct ipcfs_file **out)
{
    struct msginfo info;
    int highest = sysv_msg_info(&info);
    if (highest < 0)
        return highest;
    struct ipcfs_file *file = malloc(sizeof *file);
    struct sysv_opener *opener = sysv_opener_new();
    if (!file || !opener) {
        free(file);
        sysv_opener_free(opener);
        return -ENOMEM;
    }
    int mode = flags & O_ACCMODE;
    *file = (struct ipcfs_file){
        .id = id,
        .perm = *perm,
        .opener = opener,
        .readable = mode == O_RDONLY || mode == O_RDWR,
        .writable = mode == O_WRONLY || mode == O_RDWR,
        .send_type = send_type,
        /* The kernel takes both for "any type, the lowest first"; one lane is to have one number. */
        .receive_type = receive_type == LONG_MIN ? LONG_MIN + 1 : receive_type,
    };
    atomic_init(&file->room, smaller((size_t)info.msgmax, FIRST_ROOM_MAX));
    *out = file;
    return 0;
}

bool sysv_msg_file_may_write(const struct ipcfs_file *file)
{
    return file->writable;
}

void sysv_msg_close(struct ipcfs_file *file)
{
    sysv_opener_free(file->opener);
    free(file);
}

/* ---- still the same? ---- */

/* Whether what has the id now may be used by the file: 0, −EIDRM or −EACCES. */
static int check_same(const struct ipcfs_file *file, const struct ipc_perm *now, unsigned wanted)
{
    return sysv_opener_check_same(file->opener, &file->perm, now, wanted);
}

static int check_queue(const struct ipcfs_file *file, unsigned wanted, struct msqid_ds *state)
{
    int error = sysv_msg_state(file->id, state);
    if (error)
        return error == -ESTALE ? -EIDRM : error;
    return check_same(file, &state->msg_perm, wanted);
}

/* ---- receiving ---- */

size_t sysv_msg_room(struct ipcfs_file *file)
{
    return atomic_load(&file->room) + MESSAGE_HEAD;
}

/* A message did not fit into `room`. No message is larger than INT_MAX, as no kernel.msgmax is. */
static void grow_room(struct ipcfs_file *file, size_t room)
{
    size_t wanted = room < INT_MAX / 2 ? 2 * room + 1 : INT_MAX;
    size_t now = atomic_load(&file->room);
    while (now < wanted && !atomic_compare_exchange_weak(&file->room, &now, wanted))
        ;
}

static int receive_error(struct ipcfs_file *file, size_t room)
{
    switch (errno) {
    case ENOMSG:
        return -EAGAIN;
    case EINVAL: /* no other argument can be wrong */
        return -EIDRM;
    case E2BIG:
        grow_room(file, room);
        return -E2BIG;
    default:
        return -errno;
    }
}

/* The message is received into the caller's own buffer and moved to its start: that is cheaper than a
 * buffer in between, which would have to be as large as the largest message. */
ssize_t sysv_msg_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_KEEPER;
    if (!file->readable)
        return -EBADF;
    if (size < sysv_msg_room(file))
        return -E2BIG;
    struct msqid_ds state;
    int error = check_queue(file, SYSV_READ, &state);
    if (error)
        return error;
    size_t skip = -(uintptr_t)buffer % sizeof(long);
    struct message *message = (struct message *)(void *)(buffer + skip);
    size_t room = smaller(size - skip - sizeof(long), INT_MAX);
    ssize_t count = msgrcv(file->id, message, room, file->receive_type, wait->block ? 0 : IPC_NOWAIT);
    if (count < 0)
        return receive_error(file, room);
    memmove(buffer, message->text, (size_t)count);
    return count;
}

/* ---- sending ---- */

ssize_t sysv_msg_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_KEEPER;
    if (!file->writable)
        return -EBADF;
    if (file->send_type < 1)
        return -EINVAL;
    if (size > INT_MAX)
        return -EMSGSIZE;
    struct msqid_ds state;
    int error = check_queue(file, SYSV_WRITE, &state);
    if (error)
        return error;
    if (size > state.msg_qbytes)
        return -EMSGSIZE; /* it could only wait, natively for ever, and others behind it */
    _Alignas(struct message) char small[sizeof(struct message) + SEND_ON_STACK];
    AUTO_FREE void *large = size > SEND_ON_STACK ? malloc(sizeof(struct message) + size) : NULL;
    if (size > SEND_ON_STACK && !large)
        return -ENOMEM;
    struct message *message = large ? large : (void *)small;
    message->type = file->send_type;
    memcpy(message->text, data, size);
    if (msgsnd(file->id, message, size, wait->block ? 0 : IPC_NOWAIT) == 0)
        return (ssize_t)size;
    if (errno != EINVAL)
        return -errno;
    error = sysv_msg_error(file->id, EINVAL, -EIDRM);
    return error == -EINVAL ? -EMSGSIZE : error; /* over kernel.msgmax */
}

uint64_t sysv_msg_lane(struct ipcfs_file *file, bool writing)
{
    /* No reader's type is LONG_MIN. */
    return (uint64_t)(writing ? LONG_MIN : file->receive_type);
}

/* ---- looking without taking ---- */

struct copy {
    struct message *message; /* owned */
    size_t room;
};

/* Copies message number `index`; gives the size of its text. */
static ssize_t copy_message(int id, long index, struct copy *copy)
{
    for (;;) {
        if (!copy->message) {
            copy->message = malloc(sizeof *copy->message + copy->room);
            if (!copy->message)
                return -ENOMEM;
        }
        ssize_t count = msgrcv(id, copy->message, copy->room, index, MSG_COPY | IPC_NOWAIT);
        if (count >= 0)
            return count;
        if (errno != E2BIG || copy->room == INT_MAX)
            return -errno;
        copy->room = copy->room < INT_MAX / 2 ? 2 * copy->room : INT_MAX;
        free(TAKE_PTR(copy->message));
    }
}

int sysv_msg_peek(int id, int64_t index, struct text *out)
{
    if (index < 0 || index > LONG_MAX)
        return -ENOENT;
    struct copy copy = {.room = COPY_FIRST_ROOM};
    ssize_t count = copy_message(id, (long)index, &copy);
    if (count >= 0)
        text_bytes(out, copy.message->text, (size_t)count);
    free(copy.message);
    if (count >= 0)
        return text_error(out);
    switch (count) {
    case -ENOMSG:
        return -ENOENT;
    case -ENOSYS:
        return -EOPNOTSUPP;
    default: /* −EINVAL of a queue that is there: the message is larger than kernel.msgmax is by now */
        return sysv_msg_error(id, (int)-count, -ESTALE);
    }
}

static bool is_of_type(long type, long wanted)
{
    return wanted < 0 ? type <= -wanted : type == wanted;
}

/*
 * Whether there is a message of the type that the file receives. msgrcv(2) could say so only by taking it,
 * and MSG_COPY knows no types, so the messages are looked at one by one. Where many lie before it, or where
 * they cannot be looked at, the answer is that there is one: who then reads may meet EAGAIN, as with
 * select(2), but nobody waits for ever for what is there. One that is overlooked because others are taken
 * meanwhile is seen at the next look.
 */
static bool has_message(const struct ipcfs_file *file, const struct msqid_ds *state)
{
    if (state->msg_qnum == 0 || file->receive_type == SYSV_MSG_ANY_TYPE)
        return state->msg_qnum > 0;
    struct copy copy = {.room = COPY_FIRST_ROOM};
    bool found = false;
    ssize_t count = 0;
    for (long index = 0; !found && count >= 0 && index < POLL_LOOK_MAX; index++) {
        count = copy_message(file->id, index, &copy);
        found = count >= 0 && is_of_type(copy.message->type, file->receive_type);
    }
    free(copy.message);
    return found || count != -ENOMSG;
}

int sysv_msg_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_KEEPER;
    int readable = file->readable ? POLLIN | POLLRDNORM : 0;
    int writable = file->writable ? POLLOUT | POLLWRNORM : 0;
    struct msqid_ds state;
    int error = sysv_msg_state(file->id, &state);
    if (!error &&
        check_same(file, &state.msg_perm, (readable ? SYSV_READ : 0U) | (writable ? SYSV_WRITE : 0U)))
        error = -ESTALE;
    if (error)
        return error == -ESTALE ? readable | writable | POLLERR | POLLHUP : error;
    int events = 0;
    if (readable && has_message(file, &state))
        events |= readable;
    /* The kernel's rule (msg_fits_inqueue() in Linux ipc/msg.c), for one byte. */
    if (writable && state.__msg_cbytes < state.msg_qbytes && state.msg_qnum < state.msg_qbytes)
        events |= writable;
    return events;
}

int sysv_msg_purge(int id, uint64_t count)
{
    for (; count > 0; count--) {
        struct message message;
        if (msgrcv(id, &message, 0, SYSV_MSG_ANY_TYPE, IPC_NOWAIT | MSG_NOERROR) >= 0)
            continue;
        return errno == ENOMSG ? 0 : sysv_msg_error(id, errno, -ESTALE);
    }
    return 0;
}
