/* SPDX-License-Identifier: MIT */
/*
 * How much memory and swap segments use: only /proc/sysvipc/shm tells (Linux ipc/shm.c, sysvipc_shm_proc_show()), a line
 * for each segment.
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_RSS_H
#define IPCFS_BACKENDS_SYSV_SHM_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sysv_shm_rss {
    int id;
    uint64_t rss;  /* bytes */
    uint64_t swap; /* bytes */
};

/* Of one segment: reads up to its line. false where it is not to be seen. */
bool sysv_shm_rss_of(int id, struct sysv_shm_rss *out);

/* Of all segments, as they were at one time. */
struct sysv_shm_rss_table {
    struct sysv_shm_rss *rows; /* owned; in the order of the indices */
    size_t count;
    size_t room;
    size_t next; /* where to look first */
};
/* Empty where the file cannot be read. −ENOMEM. */
int sysv_shm_rss_read(struct sysv_shm_rss_table *out);
void sysv_shm_rss_free(struct sysv_shm_rss_table *table);
/* NULL where it is not there. Asked for one after another in the order of the indices, each is found at once. */
const struct sysv_shm_rss *sysv_shm_rss_find(struct sysv_shm_rss_table *table, int id);

#endif
