/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "ipcfs.h"

#include <errno.h>
#include <inttypes.h>

static void gauge(struct text *out, const char *name, const char *help, uint64_t value)
{
    text_printf(out, "# TYPE ipcfs_%s gauge\n# HELP ipcfs_%s %s\nipcfs_%s %" PRIu64 "\n", name, name, help,
                name, value);
}

int control_metrics(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out)
{
    (void)caller;
    (void)kind;
    text_string(out, "# TYPE ipcfs_requests counter\n# HELP ipcfs_requests Requests from the kernel.\n");
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++)
        text_printf(out, "ipcfs_requests_total{op=\"%s\"} %" PRIuFAST64 "\n", metric_op_names[op],
                    atomic_load_explicit(&fs->metrics.requests[op], memory_order_relaxed));
    gauge(out, "nodes", "Objects and control files that the kernel knows.", node_count(&fs->nodes));
    gauge(out, "handles", "Open files and directories.", handle_count(&fs->handles));
    gauge(out, "backing_ids", "Objects open for passthrough.", atomic_load(&fs->metrics.backing_ids));
    gauge(out, "threads", "Threads that answer requests.", atomic_load(&fs->threads));
    struct wait_stats waits;
    wait_stats(fs->waits, &waits);
    gauge(out, "parked", "Requests that wait.", waits.parked);
    gauge(out, "keepers", "Threads that wait for what cannot be polled.", waits.keepers);
    text_string(out, "# EOF\n");
    return 0;
}
