/* SPDX-License-Identifier: MIT */
#include "inspect_host.h"

#include "control.h"
#include "inode.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "thread_process.h"

#include <time.h>

enum { NS_PER_S = 1000000000 };

/* ---- whose a file is ---- */

/* Whether who has it open has the object by it: what is only read, as `state`, is no use of the object. */
static bool is_use(const struct ipcfs_verb *verb)
{
    switch (verb->type) {
    case IPCFS_VERB_FILE:
    case IPCFS_VERB_HOLD:
    case IPCFS_VERB_COMMAND:
    case IPCFS_VERB_CONNECTION:
        return true;
    case IPCFS_VERB_TEXT:
        return verb->open != NULL;
    case IPCFS_VERB_LINK:
        break;
    }
    return false;
}

static bool node(void *data, uint64_t ino, struct inspection_node *out)
{
    (void)data;
    struct node_kin kin;
    if (!inode_meaning(ino, &kin) || kin.type == NODE_CTL_DIR || kin.type == NODE_CTL_NUMBERS)
        return false;
    const struct ipcfs_verb *verb = node_is_control_file(kin.type) ? control_verb_of(&kin) : NULL;
    if (verb && !is_use(verb))
        return false;
    bool member = kin.type == NODE_MEMBER || kin.type == NODE_MEMBER_FILE;
    *out = (struct inspection_node){
        .kind = kin.backend,
        .number = kin.object.number,
        .part = verb ? verb->name : NULL,
        .member = member ? (int)kin.number : -1,
    };
    return true;
}

/* ---- who waits ---- */

/* As the time of day is set now. */
static struct timespec time_of_day(const struct timespec *since)
{
    struct timespec day;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &day);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    day.tv_sec -= now.tv_sec - since->tv_sec;
    day.tv_nsec -= now.tv_nsec - since->tv_nsec;
    int over = day.tv_nsec < 0 ? -1 : day.tv_nsec >= NS_PER_S;
    day.tv_sec += over;
    day.tv_nsec -= over * NS_PER_S;
    return day;
}

static int each_parked(void *data, int (*visit)(void *context, const struct inspection_parked *parked),
                       void *context)
{
    const struct ipcfs *fs = data;
    AUTO_FREE struct wait_seen *seen = NULL;
    size_t count = 0;
    int error = wait_look(fs->waits, &seen, &count);
    for (size_t i = 0; !error && i < count; i++) {
        const struct inspection_parked parked = {
            .tid = seen[i].about.tid,
            .kind = seen[i].kind,
            .number = seen[i].number,
            .part = seen[i].about.part,
            .member = seen[i].about.member,
            .call = seen[i].about.call,
            .writes = seen[i].about.writes,
            .since = time_of_day(&seen[i].about.since),
        };
        error = visit(context, &parked);
    }
    return error;
}

/* ---- who has locks ---- */

/* What the kernel told is the thread that took it (flock(2)); its process, where the thread is still there. */
static pid_t process_of(pid_t tid)
{
    pid_t pid = thread_process(tid);
    return pid ? pid : tid;
}

static int visit_locks(const struct lock_seen *seen, size_t count,
                       int (*visit)(void *context, const struct inspection_mount_lock *lock), void *context)
{
    int error = 0;
    for (size_t i = 0; !error && i < count; i++) {
        const struct inspection_mount_lock lock = {
            .kind = seen[i].kind, .number = seen[i].number, .holder = process_of(seen[i].pid)};
        error = visit(context, &lock);
    }
    return error;
}

static size_t range_locks(struct ipcfs *fs, struct lock_seen *out, size_t room)
{
    return lock_table_locks(&fs->locks, out, room);
}

static size_t whole_locks(struct ipcfs *fs, struct lock_seen *out, size_t room)
{
    return handle_table_locks(&fs->handles, out, room);
}

/* A copy of all of them: *out is the caller's to free(). 0 or −ENOMEM. */
static int copy_locks(struct ipcfs *fs, size_t (*locks)(struct ipcfs *, struct lock_seen *, size_t),
                      struct lock_seen **out, size_t *count)
{
    struct lock_seen *seen = NULL;
    size_t room = 0;
    while ((*count = locks(fs, seen, room)) > room) {
        free(seen);
        room = 2 * *count;
        seen = malloc(room * sizeof *seen);
        if (!seen)
            return -ENOMEM;
    }
    *out = seen;
    return 0;
}

static int each_lock(void *data, int (*visit)(void *context, const struct inspection_mount_lock *lock),
                     void *context)
{
    struct ipcfs *fs = data;
    AUTO_FREE struct lock_seen *ranges = NULL;
    AUTO_FREE struct lock_seen *whole = NULL;
    size_t range_count = 0;
    size_t whole_count = 0;
    int error = copy_locks(fs, range_locks, &ranges, &range_count);
    if (!error)
        error = copy_locks(fs, whole_locks, &whole, &whole_count);
    if (!error)
        error = visit_locks(ranges, range_count, visit, context);
    return error ? error : visit_locks(whole, whole_count, visit, context);
}

struct inspection_host inspect_host(struct ipcfs *fs)
{
    return (struct inspection_host){
        .data = fs,
        .mountpoint = fs->mountpoint ? fs->mountpoint : "/",
        .node = node,
        .each_parked = each_parked,
        .each_lock = each_lock,
    };
}
