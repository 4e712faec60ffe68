/* SPDX-License-Identifier: MIT */
#include "sysv_sem_files.h"

#include "sysv_sem.h"
#include "sysv_sem_data.h"
#include "sysv_sem_values.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>

/* ---- the whole set ---- */

static int nsems_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    text_printf(out, "%lu\n", (unsigned long)state.sem_nsems);
    return text_error(out);
}

/* The id of the set, with an array for the values of all its semaphores. */
static int find_with_room(const struct ipcfs_ref *ref, struct sysv_sem_values *all)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    int error = sysv_sem_values_make(state.sem_nsems, all);
    return error ? error : id;
}

static int values_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    AUTO_SEM_VALUES all = {0};
    int id = find_with_room(ref, &all);
    int error = id < 0 ? id : sysv_sem_get_all(id, &all);
    if (error)
        return error;
    for (size_t i = 0; i < all.count; i++)
        text_printf(out, "%u%c", all.values[i], i + 1 < all.count ? ' ' : '\n');
    return text_error(out);
}

static int values_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    AUTO_SEM_VALUES all = {0};
    int id = find_with_room(ref, &all);
    int error = id < 0 ? id : sysv_sem_parse_values(written, all.values, all.count);
    return error ? error : sysv_sem_set_all(id, &all);
}

static int op_prepare(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written,
                      struct ipcfs_file **out)
{
    (void)number;
    struct semid_ds state;
    struct seminfo info;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    int highest = sysv_sem_info(&info);
    if (highest < 0)
        return highest;
    AUTO_FREE struct sysv_sem_vector *vector = NULL;
    int error = sysv_sem_parse_vector(written, state.sem_nsems, (size_t)info.semopm, &vector);
    if (error)
        return error;
    struct sysv_sem_opening opening = {
        .id = id,
        .perm = &state.sem_perm,
        .use = SYSV_SEM_COMMAND,
        .needs = vector->alters ? SYSV_WRITE : SYSV_READ,
        .flags = O_WRONLY,
        .vector = vector,
    };
    error = sysv_check_access(&state.sem_perm, opening.needs);
    if (!error)
        error = sysv_sem_file_new(&opening, out);
    if (!error)
        (void)TAKE_PTR(vector);
    return error;
}

const struct ipcfs_verb sysv_sem_files[] = {
    {.name = "nsems",
     .type = IPCFS_VERB_TEXT,
     .mode = 0444,
     .help = "how many semaphores the set has",
     .read = nsems_read},
    {.name = "values",
     .type = IPCFS_VERB_TEXT,
     .mode = 0666,
     .read_needs = IPCFS_NEEDS_READ,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "all values, in one line; a write sets all of them at once (SETALL)",
     .read = values_read,
     .write = values_write},
    {.name = "op",
     .type = IPCFS_VERB_COMMAND,
     .mode = 0222,
     .help =
         "one write of NUM:OP words is one semop, all or nothing: 0:-1 1:+1, NUM:0 waits for 0; it waits until it "
         "can be done, or with an n behind some word (0:-1n) fails with EAGAIN; with undo: hold",
     .prepare = op_prepare},
    {0},
};

/* ---- one semaphore ---- */

/* The id of the set that has a semaphore of that number. −ENOENT. */
static int find_member(const struct ipcfs_ref *ref, int64_t number, struct semid_ds *state)
{
    int id = sysv_sem_of_ref(ref, state);
    if (id < 0)
        return id;
    return number >= 0 && (uint64_t)number < state->sem_nsems ? id : -ENOENT;
}

static int value_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    struct semid_ds state;
    int id = find_member(ref, number, &state);
    if (id < 0)
        return id;
    int value = semctl(id, (int)number, GETVAL);
    if (value < 0)
        return sysv_sem_error(id, errno, -ESTALE);
    text_printf(out, "%d\n", value);
    return text_error(out);
}

static int value_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    struct semid_ds state;
    unsigned short value = 0;
    int id = find_member(ref, number, &state);
    if (id < 0)
        return id;
    int error = sysv_sem_parse_value(written, &value);
    if (error)
        return error;
    if (semctl(id, (int)number, SETVAL, (union semun){.val = value}) < 0)
        return sysv_sem_error(id, errno, -ESTALE);
    return 0;
}

static int post_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    struct semid_ds state;
    int id = find_member(ref, number, &state);
    if (id < 0)
        return id;
    struct sembuf operation = {.sem_num = (unsigned short)number, .sem_flg = IPC_NOWAIT};
    int error = sysv_sem_parse_post(written, &operation.sem_op);
    if (error)
        return error;
    if (number > USHRT_MAX)
        return -EFBIG;
    if (operation.sem_op == 0) /* semop(2) would take it for "wait for 0" */
        return sysv_check_access(&state.sem_perm, SYSV_WRITE);
    error = semop(id, &operation, 1) < 0 ? errno : 0;
    if (error == ERANGE)
        text_printf(written->reason, "the value would be over the highest, %d", SYSV_SEM_VALUE_MAX);
    return error ? sysv_sem_error(id, error, -ESTALE) : 0;
}

static int open_member(const struct ipcfs_ref *ref, int64_t number, struct sysv_sem_opening opening,
                       struct ipcfs_file **out)
{
    struct semid_ds state;
    opening.id = find_member(ref, number, &state);
    if (opening.id < 0)
        return opening.id;
    if (number > USHRT_MAX)
        return -EFBIG;
    opening.semnum = (unsigned short)number;
    opening.perm = &state.sem_perm;
    int error = sysv_check_access(&state.sem_perm, opening.needs);
    return error ? error : sysv_sem_file_new(&opening, out);
}

static int wait_open(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    const struct sysv_sem_opening opening = {.use = SYSV_SEM_WAIT, .needs = SYSV_WRITE, .flags = flags};
    return open_member(ref, number, opening, out);
}

static int zero_open(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    const struct sysv_sem_opening opening = {.use = SYSV_SEM_ZERO, .needs = SYSV_READ, .flags = flags};
    return open_member(ref, number, opening, out);
}

static int hold_open(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    const struct sysv_sem_opening opening = {.use = SYSV_SEM_HOLD, .needs = SYSV_WRITE, .flags = flags};
    return open_member(ref, number, opening, out);
}

const struct ipcfs_verb sysv_sem_member_files[] = {
    {.name = "value",
     .type = IPCFS_VERB_TEXT,
     .mode = 0666,
     .read_needs = IPCFS_NEEDS_READ,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "the value; a write sets it (SETVAL), and who holds a unit then gives nothing back",
     .read = value_read,
     .write = value_write},
    {.name = "post",
     .type = IPCFS_VERB_TEXT,
     .mode = 0222,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "a write of N adds N to the value, one of anything else adds 1",
     .blank = true,
     .write = post_write},
    {.name = "wait",
     .type = IPCFS_VERB_FILE,
     .mode = 0444,
     .read_needs = IPCFS_NEEDS_WRITE,
     .help = "a read takes one, waits while the value is 0, and gives the value left",
     .open = wait_open},
    {.name = "zero",
     .type = IPCFS_VERB_FILE,
     .mode = 0444,
     .read_needs = IPCFS_NEEDS_READ,
     .help = "a read waits until the value is 0",
     .open = zero_open},
    {.name = "hold",
     .type = IPCFS_VERB_HOLD,
     .mode = 0666,
     .read_needs = IPCFS_NEEDS_WRITE,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help =
         "open takes one, waits while the value is 0; the last close gives it back, as does the end of the "
         "process (SEM_UNDO)",
     .open = hold_open},
    {0},
};
