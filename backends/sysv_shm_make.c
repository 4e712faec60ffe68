/* SPDX-License-Identifier: MIT */
#include "sysv_shm_make.h"

#include "sysv_shm.h"
#include "sysv_shm_attach.h"

#include <asm-generic/hugetlb_encode.h> /* <linux/shm.h> does not go together with <sys/shm.h> */
#include <errno.h>
#include <inttypes.h>

const struct ipcfs_field sysv_shm_options[] = {
    [SYSV_SHM_OPTION_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "of the segment, for ever; must be given"},
    [SYSV_SHM_OPTION_HUGEPAGE] = {"hugepage", IPCFS_UNSIGNED, "bytes",
                                  "made of huge pages of this size (SHM_HUGETLB)"},
    [SYSV_SHM_OPTION_NORESERVE] = {"noreserve", IPCFS_UNSIGNED, "",
                                   "1: no swap space is set aside (SHM_NORESERVE)"},
    {0},
};

/* ---- what is asked for ---- */

static int refuse(struct text *reason, const char *why)
{
    if (reason)
        text_string(reason, why);
    return -EINVAL;
}

/* The kernel takes the binary logarithm, in six bits of the flags; 0 there is the default size. */
static int take_hugepage(uint64_t size, struct sysv_shm_order *out, struct text *reason)
{
    if (size < 2 || (size & (size - 1)))
        return refuse(reason, "hugepage: a power of two is wanted, such as 2M");
    unsigned shift = (unsigned)__builtin_ctzll(size);
    out->flags |= SHM_HUGETLB | (int)(shift << HUGETLB_FLAG_ENCODE_SHIFT);
    return 0;
}

int sysv_shm_order(key_t key, const struct ipcfs_wish *wish, struct sysv_shm_order *out)
{
    const struct ipcfs_value *size = &wish->options[SYSV_SHM_OPTION_SIZE];
    const struct ipcfs_value *hugepage = &wish->options[SYSV_SHM_OPTION_HUGEPAGE];
    const struct ipcfs_value *noreserve = &wish->options[SYSV_SHM_OPTION_NORESERVE];
    *out = (struct sysv_shm_order){.key = key, .mode = wish->mode & 0777};
    if (!size->known)
        return refuse(wish->reason, "size= is missing");
    if (noreserve->known && noreserve->number > 1)
        return refuse(wish->reason, "noreserve: 0 or 1 is wanted");
    out->size = size->number;
    if (noreserve->known && noreserve->number)
        out->flags |= SHM_NORESERVE;
    return hugepage->known ? take_hugepage(hugepage->number, out, wish->reason) : 0;
}

/* ---- why a segment was refused ---- */

static uint64_t hugepage_of(const struct sysv_shm_order *order)
{
    return UINT64_C(1) << ((unsigned)order->flags >> HUGETLB_FLAG_ENCODE_SHIFT & HUGETLB_FLAG_ENCODE_MASK);
}

static void explain_argument(const struct sysv_shm_order *order, struct text *reason)
{
    struct shminfo limits;
    if (order->size < 1)
        text_string(reason, "size=0: must be at least 1");
    else if (sysv_shm_limits(&limits) >= 0 && order->size > limits.shmmax)
        text_printf(reason, "size=%zu: over kernel.shmmax (%lu)", order->size, limits.shmmax);
    else if (order->flags & SHM_HUGETLB)
        text_printf(reason, "hugepage=%" PRIu64 ": there are no huge pages of that size", hugepage_of(order));
    else
        text_printf(reason, "size=%zu: larger than any segment can be", order->size);
}

static void explain_no_space(const struct sysv_shm_order *order, struct text *reason)
{
    struct shminfo limits;
    struct shm_info usage;
    if (sysv_shm_limits(&limits) < 0 || sysv_shm_usage(&usage))
        return;
    if ((unsigned long)usage.used_ids >= limits.shmmni)
        text_printf(reason, "kernel.shmmni (%lu) segments exist", limits.shmmni);
    else
        text_printf(reason, "size=%zu: over kernel.shmall (%lu pages, %lu in use)", order->size,
                    limits.shmall, usage.shm_tot);
}

static void explain(const struct sysv_shm_order *order, int error, struct text *reason)
{
    bool huge = order->flags & SHM_HUGETLB;
    if (error == EINVAL)
        explain_argument(order, reason);
    else if (error == ENOSPC)
        explain_no_space(order, reason);
    else if (error == ENOMEM && huge)
        text_printf(reason, "size=%zu: not so many huge pages of %" PRIu64 " bytes are free", order->size,
                    hugepage_of(order));
    else if (error == ENOMEM)
        text_printf(reason, "size=%zu: more than memory and swap can be promised for", order->size);
    else if (error == EPERM && huge)
        text_string(reason, "hugepage: needs CAP_IPC_LOCK or the group vm.hugetlb_shm_group");
}

/* ---- making ---- */

int sysv_shm_make(const struct sysv_shm_order *order, struct text *reason)
{
    int id = shmget(order->key, order->size, IPC_CREAT | IPC_EXCL | order->flags | (int)order->mode);
    if (id >= 0)
        return id;
    int error = errno;
    if (reason)
        explain(order, error, reason);
    return -error;
}

static int set_mode(int id, struct shmid_ds *state, mode_t mode)
{
    if ((state->shm_perm.mode & 0777) == mode)
        return 0;
    state->shm_perm.mode = (unsigned short)mode;
    return sysv_shm_set(id, state);
}

int sysv_shm_make_attached(const struct sysv_shm_order *order, struct ipc_perm *perm,
                           struct sysv_shm_attachment **out)
{
    struct sysv_shm_order open_to_owner = *order;
    struct shmid_ds state;
    open_to_owner.mode |= 0600;
    int id = sysv_shm_make(&open_to_owner, NULL);
    if (id < 0)
        return id;
    int error = sysv_shm_state(id, &state);
    if (!error)
        error = sysv_shm_attach(id, &state.shm_perm, SYSV_READ | SYSV_WRITE, out);
    if (!error) {
        error = set_mode(id, &state, order->mode);
        if (error)
            sysv_shm_detach(*out);
    }
    if (!error) {
        *perm = state.shm_perm;
        return id;
    }
    *out = NULL;
    (void)shmctl(id, IPC_RMID, NULL);
    return error;
}
