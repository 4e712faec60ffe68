/* SPDX-License-Identifier: MIT */
#include "object_count.h"

#include <errno.h>

int object_count(const struct ipcfs_backend *kind, struct ipcfs_value *out)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    uint64_t count = 0;
    *out = (struct ipcfs_value){.known = false};
    int more = kind->list_open(0, &lister);
    if (more)
        return more == -EACCES ? 0 : more;
    while (count <= OBJECT_COUNT_MAX && (more = kind->list_next(lister, &entry)) == 1)
        count++;
    kind->list_close(lister);
    if (more < 0)
        return more;
    *out = (struct ipcfs_value){.known = count <= OBJECT_COUNT_MAX, .number = count};
    return 0;
}
