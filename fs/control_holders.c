/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "ipcfs.h"

#include <errno.h>

int holders_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    (void)kin;
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}

int holders_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    (void)kin;
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}

int waiters_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    (void)kin;
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}

int waiters_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    (void)kin;
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}
