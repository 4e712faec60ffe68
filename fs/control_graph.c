/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "inspect.h"

#include "inspect/graph.h"

int control_graph(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                  struct text *out)
{
    (void)kind;
    AUTO_INSPECTED *look = NULL;
    int error = inspect(fs, caller, INSPECT_HOLDERS | INSPECT_WAITERS, &look);
    return error ? error : graph_dot(inspected(look), out);
}
