/* SPDX-License-Identifier: MIT */
/*
 * Locks that are waited for. /proc/locks (proc_locks(5)) tells of each lock in a line, and below it, with "->", of those who
 * wait for it:
 *
 *     1: FLOCK  ADVISORY  WRITE 11864 00:29:3 0 EOF
 *     1: -> FLOCK  ADVISORY  WRITE 11865 00:29:3 0 EOF
 *
 * Who is out of this process name space is not told; and of an open file description (F_OFD_SETLK) −1, both of the one that
 * has the lock and of those that wait. What is locked through the mount is locked by the daemon: for whom, it knows itself.
 */
#include "inspection_build.h"

#include "rows.h"
#include "thread_process.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Pairs of one who waits and one who has it that /proc/locks does not tell as such: more than anybody reads. */
enum { PAIRS_MAX = 65536 };

/* ---- reading ---- */

struct parsed {
    bool waits;
    pid_t pid;
    dev_t device;
    ino_t ino;
};

/* False for what is no lock: leases. */
static bool parse(const char *line, struct parsed *out)
{
    char sort[16];
    unsigned device_major = 0;
    unsigned device_minor = 0;
    uint64_t ino = 0;
    const char *rest = strchr(line, ':');
    if (!rest)
        return false;
    rest += 1 + strspn(rest + 1, " ");
    out->waits = strncmp(rest, "->", 2) == 0;
    rest += out->waits ? 2 : 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel writes no numbers that do not fit
    if (sscanf(rest, "%15s %*s %*s %d %x:%x:%" SCNu64, sort, &out->pid, &device_major, &device_minor, &ino) !=
        5)
        return false;
    out->device = makedev(device_major, device_minor);
    out->ino = ino;
    return strcmp(sort, "FLOCK") == 0 || strcmp(sort, "POSIX") == 0 || strcmp(sort, "OFDLCK") == 0;
}

/* The file of a line is for now the last one that was put in. */
static int keep_line(struct build *build, const struct parsed *holder, pid_t waiter)
{
    const struct locked_file *last = build->file_count ? &build->files[build->file_count - 1] : NULL;
    if (!last || last->device != holder->device || last->ino != holder->ino) {
        if (!ROWS_MAKE_ROOM(build->files, build->file_count, build->file_room))
            return -ENOMEM;
        build->files[build->file_count++] =
            (struct locked_file){.device = holder->device, .ino = holder->ino, .object = NO_OBJECT};
    }
    if (!ROWS_MAKE_ROOM(build->lines, build->line_count, build->line_room))
        return -ENOMEM;
    build->lines[build->line_count++] =
        (struct lock_line){.file = build->file_count - 1, .holder = holder->pid, .waiter = waiter};
    return 0;
}

static int read_lines(struct build *build, FILE *locks)
{
    char line[256];
    struct parsed holder = {.waits = true};
    int error = 0;
    while (!error && fgets(line, sizeof line, locks)) {
        struct parsed now = {0};
        if (!parse(line, &now))
            holder.waits = true; /* what follows waits for no lock */
        else if (!now.waits)
            holder = now;
        else if (!holder.waits)
            error = keep_line(build, &holder, now.pid);
    }
    return error;
}

static int compare_files(const void *a, const void *b)
{
    const struct locked_file *one = a;
    const struct locked_file *other = b;
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    return (one->ino > other->ino) - (one->ino < other->ino);
}

/* Where one file has several locks that are waited for, it is there as often until now. */
static int sort_files(struct build *build)
{
    if (!build->file_count)
        return 0;
    AUTO_FREE struct locked_file *as_read = malloc(build->file_count * sizeof *as_read);
    if (!as_read)
        return -ENOMEM;
    memcpy(as_read, build->files, build->file_count * sizeof *as_read);
    qsort(build->files, build->file_count, sizeof *build->files, compare_files);
    size_t kept = 0;
    for (size_t i = 1; i < build->file_count; i++)
        if (compare_files(&build->files[kept], &build->files[i]) != 0)
            build->files[++kept] = build->files[i];
    build->file_count = kept + 1;
    for (size_t i = 0; i < build->line_count; i++) {
        const struct locked_file *file = &as_read[build->lines[i].file];
        build->lines[i].file = (size_t)(build_locked_file(build, file->device, file->ino) - build->files);
    }
    return 0;
}

static void close_stream(FILE **stream)
{
    if (*stream)
        (void)fclose(*stream);
}

/* A kernel without file locks has no such file. */
int build_read_locks(struct build *build)
{
    __attribute__((cleanup(close_stream))) FILE *locks = fopen("/proc/locks", "re");
    if (!locks)
        return errno == ENOENT ? 0 : -errno;
    int error = read_lines(build, locks);
    return error ? error : sort_files(build);
}

struct locked_file *build_locked_file(const struct build *build, dev_t device, ino_t ino)
{
    const struct locked_file key = {.device = device, .ino = ino};
    if (!build->file_count)
        return NULL;
    return bsearch(&key, build->files, build->file_count, sizeof key, compare_files);
}

/* ---- who has them ---- */

static int add(struct build *build, size_t object, pid_t holder, pid_t waiter)
{
    struct inspection *out = build->out;
    if (!ROWS_MAKE_ROOM(out->locks, out->lock_count, build->lock_room))
        return -ENOMEM;
    out->locks[out->lock_count++] =
        (struct inspected_lock){.object = object, .holder = holder, .waiter = waiter};
    return 0;
}

/* One who waits, or who has a lock through the mount. */
struct party {
    size_t object;
    pid_t pid;
    bool parked;
};

struct parties {
    struct build *build;
    struct party *holders; /* through the mount; owned */
    struct party
        *waiters; /* those whom /proc/locks does not tell: through the mount, or for F_OFD_SETLKW; owned */
    size_t holder_count, holder_room, waiter_count, waiter_room;
    size_t pairs;
};

static int keep_holder(void *data, const struct inspection_mount_lock *lock)
{
    struct parties *parties = data;
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = lock->kind, .number = lock->number};
    size_t object = objects_find(&parties->build->objects, &key);
    if (object == NO_OBJECT)
        return 0;
    if (!ROWS_MAKE_ROOM(parties->holders, parties->holder_count, parties->holder_room))
        return -ENOMEM;
    parties->holders[parties->holder_count++] =
        (struct party){.object = object, .pid = thread_process(lock->holder)};
    return 0;
}

static int keep_waiters(struct parties *parties)
{
    const struct inspection *out = parties->build->out;
    for (size_t i = 0; i < out->use_count; i++) {
        const struct inspected_use *use = &out->uses[i];
        if (use->how != USE_WAITING || !use->exclusive || (!use->parked && strcmp(use->call, "fcntl") != 0))
            continue;
        if (!ROWS_MAKE_ROOM(parties->waiters, parties->waiter_count, parties->waiter_room))
            return -ENOMEM;
        parties->waiters[parties->waiter_count++] = (struct party){
            .object = use->object, .pid = out->processes[use->process].pid, .parked = use->parked};
    }
    return 0;
}

/* For one who waits: everybody who has a lock on it through the mount. `*any`: there is one. */
static int add_mount_holders(struct parties *parties, size_t object, pid_t waiter, bool *any)
{
    int error = 0;
    for (size_t i = 0; !error && i < parties->holder_count && parties->pairs < PAIRS_MAX; i++) {
        if (parties->holders[i].object != object)
            continue;
        *any = true;
        if (parties->holders[i].pid == waiter)
            continue; /* a lock of his own, which he wants to change */
        parties->pairs++;
        error = add(parties->build, object, parties->holders[i].pid, waiter);
    }
    return error;
}

/* A lock is told as an open file description's where the daemon has it for somebody, and where such a lock is native; where
 * both are there, those who have it through the mount stand for all. */
static int add_holder(struct parties *parties, size_t object, pid_t holder, pid_t waiter)
{
    struct build *build = parties->build;
    bool any = false;
    if (holder > 0 && holder != build->self)
        return add(build, object, holder, waiter);
    int error = add_mount_holders(parties, object, waiter, &any);
    return error || any || holder == build->self ? error : add(build, object, 0, waiter);
}

/* The daemon waits for all who wait through the mount. */
static int add_line(struct parties *parties, const struct lock_line *line)
{
    size_t object = parties->build->files[line->file].object;
    bool is_daemon = line->waiter == parties->build->self;
    int error = 0;
    if (object == NO_OBJECT)
        return 0;
    if (line->waiter > 0 && !is_daemon)
        return add_holder(parties, object, line->holder, line->waiter);
    for (size_t i = 0; !error && i < parties->waiter_count && parties->pairs < PAIRS_MAX; i++) {
        const struct party *waiter = &parties->waiters[i];
        if (waiter->object != object || waiter->pid == line->holder || (is_daemon && !waiter->parked))
            continue;
        parties->pairs++;
        error = add_holder(parties, object, line->holder, waiter->pid);
    }
    return error;
}

static int add_all(struct parties *parties)
{
    struct build *build = parties->build;
    bool any = false;
    int error = keep_waiters(parties);
    if (!error)
        error = build->host->each_lock(build->host->data, keep_holder, parties);
    for (size_t i = 0; !error && i < build->line_count; i++)
        error = add_line(parties, &build->lines[i]);
    for (size_t i = 0; !error && i < parties->waiter_count; i++)
        if (parties->waiters[i].parked)
            error = add_mount_holders(parties, parties->waiters[i].object, parties->waiters[i].pid, &any);
    return error;
}

static int compare_locks(const void *a, const void *b)
{
    const struct inspected_lock *one = a;
    const struct inspected_lock *other = b;
    if (one->object != other->object)
        return one->object < other->object ? -1 : 1;
    if (one->waiter != other->waiter)
        return one->waiter < other->waiter ? -1 : 1;
    return (one->holder > other->holder) - (one->holder < other->holder);
}

/* A process has many locks on one file; and some are found in two ways. */
static void remove_doubles(struct inspection *out)
{
    size_t kept = 0;
    if (!out->lock_count)
        return;
    qsort(out->locks, out->lock_count, sizeof *out->locks, compare_locks);
    for (size_t i = 1; i < out->lock_count; i++)
        if (compare_locks(&out->locks[kept], &out->locks[i]) != 0)
            out->locks[++kept] = out->locks[i];
    out->lock_count = kept + 1;
}

int build_add_locks(struct build *build)
{
    struct parties parties = {.build = build};
    int error = add_all(&parties);
    free(parties.holders);
    free(parties.waiters);
    remove_doubles(build->out);
    return error;
}
