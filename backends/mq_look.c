/* SPDX-License-Identifier: MIT */
/* What ctl/events learns of queues: how full they are, of which nobody is told. */
#include "mq_directory.h"
#include "mq_queue.h"

#include "ipcfs/cleanup.h"

#include <mqueue.h>
#include <unistd.h>

const char *mq_watched_name(const char *file, bool *passing)
{
    *passing = false;
    return file;
}

/* mq_getattr(3) leaves no trace in the queue's times (do_mq_getsetattr(), Linux ipc/mqueue.c). */
static enum ipcfs_fill fill_of(const char *name)
{
    struct mq_attr attributes;
    AUTO_FD fd = mq_name_open(name, O_RDONLY);
    if (fd < 0 || mq_getattr(fd, &attributes) < 0)
        return IPCFS_FILL_UNKNOWN;
    if (attributes.mq_curmsgs == 0)
        return IPCFS_FILL_EMPTY;
    return attributes.mq_curmsgs >= attributes.mq_maxmsg ? IPCFS_FILL_FULL : IPCFS_FILL_SOME;
}

int mq_look_all(ipcfs_seen_row *row, void *data)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int more = mq_list_open(0, &lister);
    if (more)
        return more;
    while ((more = mq_list_next(lister, &entry)) == 1) {
        struct ipcfs_seen seen = {.name = entry.name, .fill = fill_of(entry.name)};
        int end = seen.fill == IPCFS_FILL_UNKNOWN ? 0 : row(data, &seen);
        if (end) {
            more = end;
            break;
        }
    }
    mq_list_close(lister);
    return more;
}
