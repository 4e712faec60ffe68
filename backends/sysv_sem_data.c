/* SPDX-License-Identifier: MIT */
#include "sysv_sem_data.h"

#include "sysv_sem.h"
#include "sysv_sem_undo.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* "32767\n", and no more is ever read at once. */
enum { READ_ROOM = 16 };

/* An id is no hold, as of message queues (sysv_msg_data.c): before each call it is asked whether the id still means the
 * set that was opened, or at least one that its opener might open. */
struct ipcfs_file {
    enum sysv_sem_use use;
    int id;
    struct ipc_perm perm;       /* when it was opened */
    struct sysv_opener *opener; /* owned */
    unsigned needs;
    bool readable;
    unsigned short semnum;
    struct sysv_sem_vector *vector; /* owned, or NULL */
    struct sysv_sem_held held;
};

int sysv_sem_file_new(const struct sysv_sem_opening *opening, struct ipcfs_file **out)
{
    struct ipcfs_file *file = calloc(1, sizeof *file);
    struct sysv_opener *opener = sysv_opener_new();
    if (!file || !opener) {
        free(file);
        sysv_opener_free(opener);
        return -ENOMEM;
    }
    int mode = opening->flags & O_ACCMODE;
    *file = (struct ipcfs_file){
        .use = opening->use,
        .id = opening->id,
        .perm = *opening->perm,
        .opener = opener,
        .needs = opening->needs,
        .readable = mode == O_RDONLY || mode == O_RDWR,
        .semnum = opening->semnum,
        .vector = opening->vector,
        .held = {.id = opening->id, .semnum = opening->semnum},
    };
    *out = file;
    return 0;
}

/* Whether the id still means what was opened: 0, −EIDRM or −EACCES. */
static int check_set(const struct ipcfs_file *file)
{
    struct semid_ds state;
    int error = sysv_sem_state(file->id, &state);
    if (error)
        return error == -ESTALE ? -EIDRM : error;
    return sysv_opener_check_same(file->opener, &file->perm, &state.sem_perm, file->needs);
}

void sysv_sem_close(struct ipcfs_file *file)
{
    /* A right that was taken back since does not keep the unit: natively it is given back without any right. */
    if (check_set(file) == -EIDRM)
        sysv_sem_forget(&file->held);
    else
        sysv_sem_give_back(&file->held);
    sysv_opener_free(file->opener);
    free(file->vector);
    free(file);
}

/* One semop(2). */
static int operate(const struct ipcfs_file *file, struct sembuf *operations, size_t count)
{
    if (semop(file->id, operations, count) == 0)
        return 0;
    return sysv_sem_error(file->id, errno, -EIDRM);
}

/* ---- wait and zero ---- */

static bool is_read(const struct ipcfs_file *file)
{
    return file->use == SYSV_SEM_WAIT || file->use == SYSV_SEM_ZERO;
}

/* What is left, after a unit was taken. Where it may not be read: an empty line. */
static ssize_t tell_value(const struct ipcfs_file *file, char *buffer)
{
    int value = semctl(file->id, file->semnum, GETVAL);
    if (value >= 0)
        return snprintf(buffer, READ_ROOM, "%d\n", value);
    int error =
        sysv_sem_error(file->id, errno, -EIDRM); /* then nothing is lost: the unit went with the set */
    return error == -EIDRM ? error : snprintf(buffer, READ_ROOM, "\n");
}

ssize_t sysv_sem_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = is_read(file) ? IPCFS_WAIT_KEEPER : IPCFS_WAIT_NONE;
    if (!is_read(file) || !file->readable)
        return -EBADF;
    if (size < READ_ROOM)
        return -E2BIG;
    int error = check_set(file);
    if (error)
        return error;
    bool takes = file->use == SYSV_SEM_WAIT;
    struct sembuf operation = {file->semnum, takes ? -1 : 0, wait->block ? 0 : IPC_NOWAIT};
    error = operate(file, &operation, 1);
    if (error)
        return error;
    return takes ? tell_value(file, buffer) : snprintf(buffer, READ_ROOM, "0\n");
}

size_t sysv_sem_room(struct ipcfs_file *file)
{
    (void)file;
    return READ_ROOM;
}

/* Where the value may not be read, who then reads may meet EAGAIN, but nobody waits for ever for what is there. */
static int read_events(const struct ipcfs_file *file)
{
    int value = semctl(file->id, file->semnum, GETVAL);
    if (value < 0)
        return sysv_sem_error(file->id, errno, -EIDRM) == -EIDRM ? -EIDRM : POLLIN | POLLRDNORM;
    return (value > 0) == (file->use == SYSV_SEM_WAIT) ? POLLIN | POLLRDNORM : 0;
}

int sysv_sem_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    wait->source = is_read(file) ? IPCFS_WAIT_KEEPER : IPCFS_WAIT_NONE;
    int readable = is_read(file) && file->readable ? POLLIN | POLLRDNORM : 0;
    int error = check_set(file);
    int events = error || !readable ? 0 : read_events(file);
    if (error == -EIDRM || error == -EACCES || events < 0)
        return readable | POLLERR | POLLHUP;
    return error ? error : events;
}

/* ---- hold ---- */

int sysv_sem_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_KEEPER;
    if (file->use != SYSV_SEM_HOLD)
        return -EOPNOTSUPP;
    if (lock->range.l_type == F_UNLCK) {
        sysv_sem_give_back(&file->held);
        return 0;
    }
    int error = check_set(file);
    if (error)
        return error;
    error = sysv_sem_hold_unit(&file->held, wait->block);
    return error ? sysv_sem_error(file->id, -error, -EIDRM) : 0;
}

/* ---- op ---- */

ssize_t sysv_sem_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait)
{
    (void)data;
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    struct sysv_sem_vector *vector = file->vector;
    if (!vector)
        return -EBADF;
    if (!vector->never_waits)
        wait->source = IPCFS_WAIT_KEEPER;
    int error = check_set(file);
    if (error)
        return error;
    bool waits = wait->block && !vector->never_waits;
    error = operate(file, vector->operations + (waits ? 0 : vector->count), vector->count);
    return error ? error : (ssize_t)size;
}

/* ---- lanes ---- */

static const uint64_t command_lane = UINT64_C(1) << 63;

/* FNV-1a (RFC 9923) over what the vector does. Equal ones wait for the same; one that does not wait (IPC_NOWAIT) is not
 * equal to one that does, and has nobody before it. */
static uint64_t hash_vector(const struct sysv_sem_vector *vector)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < vector->count; i++) {
        const struct sembuf *operation = &vector->operations[i];
        const uint16_t parts[] = {operation->sem_num, (uint16_t)operation->sem_op,
                                  (uint16_t)operation->sem_flg};
        for (size_t j = 0; j < sizeof parts; j++) {
            hash ^= (parts[j / 2] >> (8 * (j % 2))) & 0xFF;
            hash *= UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

uint64_t sysv_sem_lane(struct ipcfs_file *file, bool writing)
{
    (void)writing;
    if (file->vector)
        return hash_vector(file->vector) | command_lane;
    /* Who waits for a unit and who wants to hold one wait for the same. */
    return 2 * (uint64_t)file->semnum + (file->use == SYSV_SEM_ZERO);
}
