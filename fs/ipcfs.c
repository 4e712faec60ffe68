/* SPDX-License-Identifier: MIT */
#include "ipcfs.h"

#include "inspect.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void note_left_out(struct ipcfs *fs, const char *kind, int error)
{
    size_t length = strlen(fs->left_out);
    (void)snprintf(fs->left_out + length, sizeof fs->left_out - length, "%s%s (%s)", length ? ", " : "", kind,
                   strerror(-error));
}

static void stop_kinds(const struct ipcfs_backend **kinds)
{
    for (size_t i = 0; kinds[i]; i++)
        kinds[i]->stop();
    free(kinds);
}

/* The kinds that can start, NULL-terminated; NULL when out of memory, also of one of them: it would be missing until the
 * daemon's end. */
static const struct ipcfs_backend **start_kinds(struct ipcfs *fs)
{
    size_t count = 0;
    while (ipcfs_backends[count])
        count++;
    const struct ipcfs_backend **kinds = calloc(count + 1, sizeof *kinds);
    size_t started = 0;
    for (size_t i = 0; kinds && i < count; i++) {
        int error = ipcfs_backends[i]->start();
        if (error == -ENOMEM) {
            stop_kinds(kinds);
            return NULL;
        }
        if (error)
            note_left_out(fs, ipcfs_backends[i]->kind, error);
        else
            kinds[started++] = ipcfs_backends[i];
    }
    return kinds;
}

/* ---- shares ---- */

static unsigned read_sysctl(const char *path)
{
    unsigned value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%u", &value) != 1) // NOLINT(cert-err34-c): the kernel writes a number
        value = 0;
    (void)fclose(file);
    return value;
}

/* A handle has at most five descriptors (its object's, a connection's own, one to be told of changes, one that each of its two
 * lines may wait by), and one mapping (a semaphore's), of which a process may have 65530 or what vm.max_map_count says. A
 * user's share leaves half of all to others, some of it for his locks. */
static unsigned handle_share(void)
{
    struct rlimit limit;
    unsigned share = 1000 * 1000;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 10 < share)
        share = (unsigned)(limit.rlim_cur / 10);
    unsigned mappings = read_sysctl("/proc/sys/vm/max_map_count");
    return mappings && mappings / 6 < share ? mappings / 6 : share;
}

/* ---- fs.fuse.* of sysctl ---- */

/*
 * The kernel ends the whole connection when a request is not answered in time, and one that waits is such a request
 * (Linux fs/fuse/dev.c, fuse_check_timeout()). So waits end before, with EINTR, which programs take for a signal.
 */
static unsigned longest_wait_ms(struct ipcfs *fs)
{
    fs->default_request_timeout = read_sysctl("/proc/sys/fs/fuse/default_request_timeout");
    fs->max_request_timeout = read_sysctl("/proc/sys/fs/fuse/max_request_timeout");
    unsigned limit = fs->default_request_timeout;
    if (fs->max_request_timeout && (!limit || fs->max_request_timeout < limit))
        limit = fs->max_request_timeout;
    if (!limit)
        return 0;
    log_warning(
        "requests may take %u s here (fs.fuse.default_request_timeout, fs.fuse.max_request_timeout): waits end "
        "with EINTR after half of that",
        limit);
    return limit < 1000000 ? limit * 500 : 500000000;
}

/* ---- parts ---- */

static int make_tree(struct ipcfs *fs)
{
    const struct ipcfs_backend **kinds = start_kinds(fs);
    if (!kinds)
        return -ENOMEM;
    int error = tree_init(&fs->tree, kinds);
    if (error)
        stop_kinds(kinds);
    return error;
}

static void unmake_tree(struct ipcfs *fs)
{
    const struct ipcfs_backend **kinds = fs->tree.kinds;
    tree_destroy(&fs->tree);
    stop_kinds(kinds);
}

static int make_told(struct ipcfs *fs)
{
    fs->told = calloc(fs->tree.count, sizeof *fs->told);
    return fs->told ? lock_init(&fs->told_lock, LOCK_TOLD) : -ENOMEM;
}

static void unmake_told(struct ipcfs *fs)
{
    lock_destroy(&fs->told_lock);
    free(fs->told);
}

static int make_nodes(struct ipcfs *fs)
{
    return node_table_init(&fs->nodes, fs->tree.count + 1);
}

static void unmake_nodes(struct ipcfs *fs)
{
    node_table_destroy(&fs->nodes);
}

static int make_waits(struct ipcfs *fs)
{
    return wait_engine_start(&fs->waits, longest_wait_ms(fs));
}

static void unmake_waits(struct ipcfs *fs)
{
    if (!fs->waits_ended)
        wait_engine_stop(fs->waits, -ENOTCONN);
    wait_engine_free(fs->waits);
}

static int make_events(struct ipcfs *fs)
{
    return events_new(fs, &fs->events);
}

static void unmake_events(struct ipcfs *fs)
{
    if (!fs->waits_ended)
        events_stop(fs->events);
    events_free(fs->events);
}

static int make_handles(struct ipcfs *fs)
{
    return handle_table_init(&fs->handles, handle_share());
}

static void unmake_handles(struct ipcfs *fs)
{
    handle_table_destroy(&fs->handles);
}

static int make_locks(struct ipcfs *fs)
{
    return lock_table_init(&fs->locks, handle_share() / 2);
}

static void unmake_locks(struct ipcfs *fs)
{
    lock_table_destroy(&fs->locks);
}

/* For how long a job may go on when all else has ended. */
enum { JOBS_END_MS = 2000 };

static int make_jobs(struct ipcfs *fs)
{
    return jobs_new(&fs->jobs);
}

static void unmake_jobs(struct ipcfs *fs)
{
    while (!jobs_stop(fs->jobs, JOBS_END_MS))
        ; /* the daemon's own end does not come here while one goes on */
    jobs_free(fs->jobs);
}

static int make_walks(struct ipcfs *fs)
{
    return walks_new(&fs->walks);
}

static void unmake_walks(struct ipcfs *fs)
{
    walks_free(fs->walks);
}

static int make_pins(struct ipcfs *fs)
{
    return pins_init(&fs->pins);
}

static void unmake_pins(struct ipcfs *fs)
{
    pins_destroy(&fs->pins);
}

static int make_last_errors(struct ipcfs *fs)
{
    return last_errors_init(&fs->last_errors);
}

static void unmake_last_errors(struct ipcfs *fs)
{
    last_errors_destroy(&fs->last_errors);
}

/* Each uses only those before it, so they are unmade from the end: a lock owner knows handles, a handle its wait lines. */
static const struct part {
    int (*make)(struct ipcfs *fs);
    void (*unmake)(struct ipcfs *fs);
} parts[] = {
    {make_tree, unmake_tree},     {make_told, unmake_told},
    {make_nodes, unmake_nodes},   {make_waits, unmake_waits},
    {make_events, unmake_events}, {make_handles, unmake_handles},
    {make_locks, unmake_locks},   {make_walks, unmake_walks},
    {make_pins, unmake_pins},     {make_last_errors, unmake_last_errors},
    {make_jobs, unmake_jobs},
};

enum { PARTS = sizeof parts / sizeof parts[0] };

static void unmake(struct ipcfs *fs, size_t made)
{
    while (made > 0)
        parts[--made].unmake(fs);
}

int ipcfs_init(struct ipcfs *fs)
{
    int error = hash_init();
    for (size_t made = 0; !error && made < PARTS; made++) {
        error = parts[made].make(fs);
        if (error)
            unmake(fs, made);
    }
    return error;
}

bool ipcfs_end_waits(struct ipcfs *fs)
{
    if (!fs->waits_ended) {
        events_stop(fs->events);
        wait_engine_stop(fs->waits, -ENOTCONN);
    }
    fs->waits_ended = true;
    return jobs_stop(fs->jobs, JOBS_END_MS);
}

void ipcfs_destroy(struct ipcfs *fs)
{
    (void)ipcfs_end_waits(fs);
    unmake(fs, PARTS);
    free(fs->mountpoint);
}
