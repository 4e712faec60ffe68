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
    int id = (int)entry->number;
    if (!lister->has_rss) {
        int error = sysv_shm_rss_read(&lister->rss);
        if (error)
            return error;
        lister->has_rss = true;
    }
    sysv_shm_show_state(id, &lister->walk.state.shm, sysv_shm_rss_find(&lister->rss, id), values);
    return 0;
}

void sysv_shm_list_close(struct ipcfs_lister *lister)
{
    forget_rss(lister);
    free(lister);
}
