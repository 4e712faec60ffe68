/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "ipcfs.h"

#include <errno.h>

int control_orphans(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out)
{
    (void)fs;
    (void)kind;
    (void)caller;
    (void)out;
    return -EOPNOTSUPP;
}

int control_orphans_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                         struct text *out)
{
    (void)fs;
    (void)kind;
    (void)caller;
    (void)out;
    return -EOPNOTSUPP;
}
