/* SPDX-License-Identifier: MIT */
#include "sysv_shm_list.h"

#include "sysv_shm.h"
#include "sysv_shm_rss.h"
#include "sysv_shm_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

struct ipcfs_lister {
    struct sysv_walk walk;
    struct sysv_shm_rss_table rss; /* where `has_rss` */
    bool has_rss;
};

int sysv_shm_list_open(const struct sysv_table *table, unsigned directory, struct ipcfs_lister **out)
{
    AUTO_FREE struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    int error = sysv_walk_start(&lister->walk, table, directory);
    if (!error)
        *out = TAKE_PTR(lister);
    return error;
}

static void forget_rss(struct ipcfs_lister *lister)
{
    sysv_shm_rss_free(&lister->rss);
    lister->has_rss = false;
}

int sysv_shm_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0)
        forget_rss(lister);
    return sysv_walk_seek(&lister->walk, position);
}

int sysv_shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    return sysv_walk_next(&lister->walk, out);
}

int sysv_shm_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                         struct ipcfs_value *values)
{
    struct shmid_ds state;
    int id = (int)entry->number;
    int error = sysv_shm_state(id, &state);
    if (!error && !lister->has_rss) {
        error = sysv_shm_rss_read(&lister->rss);
        lister->has_rss = !error;
    }
    if (!error)
        sysv_shm_show_state(id, &state, sysv_shm_rss_find(&lister->rss, id), values);
    return error;
}

void sysv_shm_list_close(struct ipcfs_lister *lister)
{
    forget_rss(lister);
    free(lister);
}
