/* SPDX-License-Identifier: MIT */
/*
 * ctl/metrics. Its types are only those that the older text format of Prometheus has as well, for readers of that (the
 * textfile collector of node_exporter).
 *
 * No object has series of its own: names come and go, and whoever makes objects could make the store of the metrics grow
 * without bound. Per object there are ctl/<kind>/list.json and state.json. For the same reason it is quick, however much
 * there is: totals are the kernel's own, and objects that it does not count are counted by their names alone, and not without bound.
 */
#include "control_views.h"

#include "ipcfs.h"
#include "kind_limits.h"
#include "openmetrics.h"

#include "ipcfs/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- objects ---- */

static const struct {
    enum ipcfs_total_of of;
    const char *name;
    const char *unit;
    const char *help;
} totals[] = {
    {IPCFS_TOTAL_OBJECTS, "ipcfs_objects", "", "Objects there are, with a name or an identifier."},
    {IPCFS_TOTAL_BYTES, "ipcfs_object_bytes", "bytes",
     "Length of all segments in whole pages; of shm what its tmpfs has in use, which POSIX semaphores share."},
    {IPCFS_TOTAL_RESIDENT, "ipcfs_object_resident_bytes", "bytes",
     "Memory in use by the pages of all objects."},
    {IPCFS_TOTAL_SWAPPED, "ipcfs_object_swapped_bytes", "bytes", "Swap in use by the pages of all objects."},
    {IPCFS_TOTAL_MESSAGES, "ipcfs_messages", "",
     "Messages queued; of mq in those queues that the reader may look at."},
    {IPCFS_TOTAL_MESSAGE_BYTES, "ipcfs_message_bytes", "bytes", "Text of all messages queued."},
    {IPCFS_TOTAL_SEMAPHORES, "ipcfs_semaphores", "", "Semaphores there are, in all sets."},
    {IPCFS_TOTAL_SOCKETS, "ipcfs_sockets", "", "Sockets of all sorts there are, with a name or without."},
};

static const struct ipcfs_value *find_total(const struct kind_limits *kind, enum ipcfs_total_of of)
{
    for (const struct ipcfs_total *total = kind->totals; total->of != IPCFS_TOTAL_END; total++)
        if (total->of == of && kind->values[total->field].known)
            return &kind->values[total->field];
    return NULL;
}

static void write_totals(struct text *out, const struct limits *limits)
{
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        openmetrics_family(out, totals[i].name, "gauge", totals[i].unit, totals[i].help);
        for (size_t k = 0; k < limits->count; k++) {
            const struct ipcfs_value *total = find_total(&limits->kinds[k], totals[i].of);
            if (!total)
                continue;
            text_string(out, totals[i].name);
            openmetrics_label(out, true, "kind", limits->kinds[k].kind);
            text_string(out, "} ");
            openmetrics_number(out, total->number);
        }
    }
}

/* ---- limits ---- */

static void write_limit(struct text *out, const char *name, const struct kind_limits *kind,
                        const struct ipcfs_limit *row, struct ipcfs_value value)
{
    const struct ipcfs_field *field = &kind->fields[row->limit];
    if (!value.known)
        return;
    text_string(out, name);
    openmetrics_label(out, true, "kind", kind->kind);
    openmetrics_label(out, false, "limit", field->name);
    openmetrics_label(out, false, "scope", limits_scope_name(row->scope));
    if (*field->unit)
        openmetrics_label(out, false, "unit", field->unit);
    openmetrics_label(out, false, "where", row->where);
    text_string(out, "} ");
    openmetrics_number(out, value.number);
}

/* Both families have the same labels, so that one can be divided by the other. */
static void write_limits(struct text *out, const struct limits *limits)
{
    openmetrics_family(out, "ipcfs_limit", "gauge", "",
                       "Limits of IPC, and where each is set; those that are unlimited are not there.");
    for (size_t i = 0; i < limits->count; i++)
        for (const struct ipcfs_limit *row = limits->kinds[i].rows; row->where; row++)
            write_limit(out, "ipcfs_limit", &limits->kinds[i], row, limits_value(&limits->kinds[i], row));
    openmetrics_family(out, "ipcfs_limit_used", "gauge", "",
                       "What is used of those limits that something adds up against.");
    for (size_t i = 0; i < limits->count; i++)
        for (const struct ipcfs_limit *row = limits->kinds[i].rows; row->where; row++)
            if (limits_value(&limits->kinds[i], row).known)
                write_limit(out, "ipcfs_limit_used", &limits->kinds[i], row,
                            limits_used(&limits->kinds[i], row));
}

/* ---- requests ---- */

static uint64_t read_counter(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void sample_of_op(struct text *out, const char *name, unsigned op, uint64_t value)
{
    text_string(out, name);
    openmetrics_label(out, true, "op", metric_op_names[op]);
    text_string(out, "} ");
    openmetrics_number(out, value);
}

/* The count is that of the buckets, as it has to be; a request more may have come since `count`. */
static void write_histogram(struct text *out, unsigned op, const struct metric_requests *requests)
{
    static const char *const bounds[METRIC_BUCKETS] = {
        "1e-05", "2e-05", "5e-05", "0.0001", "0.0002", "0.0005", "0.001", "0.01", "0.1", "1.0", "+Inf"};
    uint64_t nanoseconds = read_counter(&requests->nanoseconds);
    uint64_t count = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        count += read_counter(&requests->buckets[i]);
        text_string(out, "ipcfs_request_duration_seconds_bucket");
        openmetrics_label(out, true, "op", metric_op_names[op]);
        openmetrics_label(out, false, "le", bounds[i]);
        text_string(out, "} ");
        openmetrics_number(out, count);
    }
    sample_of_op(out, "ipcfs_request_duration_seconds_count", op, count);
    text_string(out, "ipcfs_request_duration_seconds_sum");
    openmetrics_label(out, true, "op", metric_op_names[op]);
    text_string(out, "} ");
    openmetrics_seconds(out, nanoseconds);
}

static void write_requests(struct text *out, const struct metrics *metrics)
{
    openmetrics_family(out, "ipcfs_requests", "counter", "", "Requests from the kernel.");
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++)
        sample_of_op(out, "ipcfs_requests_total", op, read_counter(&metrics->requests[op].count));
    openmetrics_family(
        out, "ipcfs_request_errors", "counter", "",
        "Requests that were answered with an error, as native calls are: most are a program's question.");
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++)
        sample_of_op(out, "ipcfs_request_errors_total", op, read_counter(&metrics->requests[op].errors));
    openmetrics_family(
        out, "ipcfs_request_duration_seconds", "histogram", "seconds",
        "How long a thread worked on a request until it was answered or set aside to wait; of requests that came.");
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++)
        if (read_counter(&metrics->requests[op].count))
            write_histogram(out, op, &metrics->requests[op]);
}

/* ---- the daemon ---- */

static void write_build(struct text *out, const struct ipcfs *fs)
{
    char protocol[32];
    (void)snprintf(protocol, sizeof protocol, "%u.%u", fs->protocol_major, fs->protocol_minor);
    openmetrics_family(out, "ipcfs_build_info", "gauge", "", "What runs, and how; always 1.");
    text_string(out, "ipcfs_build_info");
    openmetrics_label(out, true, "version", IPCFS_VERSION);
    openmetrics_label(out, false, "libfuse", fuse_pkgversion());
    openmetrics_label(out, false, "kernel_protocol", protocol);
    openmetrics_label(out, false, "passthrough", fs->passthrough ? "on" : "off");
    text_string(out, "} 1\n");
}

static void write_daemon(struct text *out, struct ipcfs *fs)
{
    struct wait_stats waits;
    struct jobs_stats jobs;
    wait_stats(fs->waits, &waits);
    jobs_stats(fs->jobs, &jobs);
    openmetrics_gauge(out, "ipcfs_nodes", "", "Objects and control files that the kernel knows.",
                      node_count(&fs->nodes));
    openmetrics_gauge(out, "ipcfs_handles", "", "Open files and directories.", handle_count(&fs->handles));
    openmetrics_gauge(out, "ipcfs_backing_ids", "", "Objects open for passthrough.",
                      atomic_load(&fs->metrics.backing_ids));
    openmetrics_gauge(out, "ipcfs_threads", "", "Threads that answer requests.", atomic_load(&fs->threads));
    openmetrics_gauge(out, "ipcfs_parked", "", "Requests that wait.", waits.parked);
    openmetrics_gauge(out, "ipcfs_keepers", "", "Threads that wait for what cannot be polled.",
                      waits.keepers);
    openmetrics_gauge(out, "ipcfs_jobs_running", "", "Control files that are rendered beside the requests.",
                      jobs.running);
    openmetrics_gauge(out, "ipcfs_jobs_queued", "", "Control files that wait for their turn of that.",
                      jobs.queued);
}

/* The second number of /proc/self/statm is the pages that are in memory (proc_pid_statm(5)). */
static uint64_t resident_bytes(void)
{
    char text[128] = "";
    AUTO_FD fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    char *pages = count > 0 ? strchr(text, ' ') : NULL;
    return pages ? strtoull(pages, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void write_processor_time(struct text *out)
{
    struct timespec time;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time))
        return;
    openmetrics_family(out, "ipcfs_process_cpu_seconds", "counter", "seconds",
                       "Processor time, of the user and the system.");
    text_string(out, "ipcfs_process_cpu_seconds_total ");
    openmetrics_seconds(out, (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec);
}

/* What client libraries of Prometheus tell of any process, under a name of its own: whoever hands the file on (the textfile
 * collector, for one) has the same of itself. */
static void write_process(struct text *out, const struct ipcfs *fs)
{
    struct stat descriptors;
    struct rlimit limit;
    write_processor_time(out);
    openmetrics_gauge(out, "ipcfs_process_start_time_seconds", "seconds",
                      "When the daemon started, since the epoch.", (uint64_t)fs->started.tv_sec);
    uint64_t resident = resident_bytes();
    if (resident)
        openmetrics_gauge(out, "ipcfs_process_resident_memory_bytes", "bytes", "Memory of the daemon.",
                          resident);
    if (stat("/proc/self/fd", &descriptors) == 0 && descriptors.st_size) /* Linux 6.2 */
        openmetrics_gauge(out, "ipcfs_process_open_fds", "", "Descriptors that the daemon has.",
                          (uint64_t)descriptors.st_size);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        openmetrics_gauge(out, "ipcfs_process_max_fds", "", "Descriptors that it may have.", limit.rlim_cur);
}

int control_metrics(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out)
{
    (void)kind;
    AUTO_FREE struct limits *limits = NULL;
    int error = limits_read(fs, caller, &limits);
    if (error)
        return error;
    write_build(out, fs);
    write_totals(out, limits);
    write_limits(out, limits);
    write_requests(out, &fs->metrics);
    write_daemon(out, fs);
    write_process(out, fs);
    text_string(out, "# EOF\n");
    return 0;
}
