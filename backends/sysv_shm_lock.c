/* SPDX-License-Identifier: MIT */
#include "sysv_shm_lock.h"

#include "as_caller.h"
#include "caller_limit.h"
#include "sysv_shm.h"

#include "ipcfs/capability.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <unistd.h>

int sysv_shm_lock_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    text_string(out, state.shm_perm.mode & SHM_LOCKED ? "1\n" : "0\n");
    return text_error(out);
}

/* The kernel's rule (shmctl_do_lock(), Linux ipc/shm.c): who is neither is refused before any limit is looked at. */
static bool is_owner(const struct shmid_ds *state)
{
    uid_t uid = geteuid();
    return uid == state->shm_perm.uid || uid == state->shm_perm.cuid;
}

static void explain(int error, const struct shmid_ds *state, const struct rlimit *limit, struct text *reason)
{
    if (error == -EPERM && !is_owner(state))
        text_string(reason, "lock: only owner and creator may, or CAP_IPC_LOCK");
    else if (error == -EPERM)
        text_printf(reason, "lock: RLIMIT_MEMLOCK of user %u is 0", geteuid());
    else if (error == -ENOMEM)
        text_printf(reason, "lock: RLIMIT_MEMLOCK of user %u: %zu bytes wanted, fewer of %llu left",
                    geteuid(), state->shm_segsz, (unsigned long long)limit->rlim_cur);
}

/* In the child. */
static int lock_segment(const void *order, struct as_caller_answer *answer)
{
    answer->judged = true;
    return shmctl(*(const int *)order, SHM_LOCK, NULL) < 0 ? -errno : 0;
}

static int lock_within_limit(int id, const struct shmid_ds *state, const struct ipcfs_written *written)
{
    struct as_caller_task task = {.resource = RLIMIT_MEMLOCK, .act = lock_segment, .order = &id};
    struct as_caller_answer answer;
    if (!is_owner(state)) {
        explain(-EPERM, state, &task.limit, written->reason);
        return -EPERM;
    }
    int error = caller_limit(written->caller, RLIMIT_MEMLOCK, &task.limit);
    if (error)
        return error;
    error = as_caller(&task, &answer);
    if (error && answer.judged) {
        explain(error, state, &task.limit, written->reason);
        error = sysv_shm_error(id, -error, -ESTALE);
    }
    return error;
}

int sysv_shm_lock_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    uint64_t wanted = 0;
    if (parse_digits(written->data, written->size, 10, 1, &wanted)) {
        text_string(written->reason, "lock: 0 or 1 is wanted");
        return -EINVAL;
    }
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    if (wanted && !has_capability(CAP_IPC_LOCK))
        return lock_within_limit(id, &state, written);
    if (shmctl(id, wanted ? SHM_LOCK : SHM_UNLOCK, NULL) == 0)
        return 0;
    int error = sysv_shm_error(id, errno, -ESTALE);
    explain(error, &state, &(struct rlimit){0}, written->reason);
    return error;
}
