/* SPDX-License-Identifier: MIT */
/*
 * What is fresh.
 *
 * Who reads a file is shown what was at some time between the begin of his read(2) and its end: a look of his own, made
 * by that read. There is no other cache, no rate and no sharing between users or threads; whoever makes a process hold
 * something and then reads, finds it.
 *
 * One who walks is served otherwise, or grep -r over the control files of 10,000 objects would look at all processes 40,000
 * times. He walks who has read, in one thread, INSPECT_WALK files that are all different, with less than INSPECT_PAUSE_MS
 * between the answer to one and the request for the next. He is shown one look for INSPECT_REUSE_MS, what is in each file
 * may be so old, and no older: the look is made by one of his own reads. Nobody waits for a change by reading files that he has
 * not read before: who does, reads one again, and with that the walk is over and its look gone, so that this read is
 * fresh, and so are those of the next INSPECT_WALK files.
 *
 * Links of a process are files of a walk of their own: a look at one process costs little, and who has not read so many
 * links of this one is not told of its past.
 *
 * A thread is told by its number together with the ids that its request has; a thread without a number (in a pid name
 * space that is not seen from here) does not walk. The number of a thread that has ended could be used again within the
 * pause, by one with the same ids, and this one be taken for the walker: it would be shown what that might see, and no more.
 *
 * Walks are few, and so are the looks that are kept: of more, the one that has paused for the longest is forgotten.
 */
#include "inspect.h"

#include "inspect/boot_time.h"
#include "inspect_host.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/monotonic.h"

#include <errno.h>
#include <stdlib.h>

/* The files of one walk are counted up to this; then it begins anew. */
enum { WALKS = 8, FILES_MIN = 64, FILES_MAX = 128 * 1024 };

struct inspected {
    atomic_uint users;
    unsigned what;
    int64_t made; /* milliseconds, CLOCK_MONOTONIC: when it was complete */
    struct inspection *inspection;
    struct ipcfs_objid process; /* zeros: all of them */
    struct process_links links; /* of one process; and then there is no inspection any more */
};

/* Numbers, none of them 0: a table with a free place at least. */
struct files {
    uint64_t *places; /* 0: free */
    size_t room;      /* a power of 2 */
    size_t count;
};

struct walk {
    struct caller who;          /* pid 0: nobody */
    int64_t last;               /* milliseconds, CLOCK_MONOTONIC: when he was last heard of */
    struct ipcfs_objid process; /* whose links he reads; zeros: what he reads is in ctl/ */
    struct files files;
    struct inspected *look; /* counted; NULL: none */
};

struct walks {
    struct lock lock;
    struct walk all[WALKS];
};

/* ---- looks ---- */

void inspected_put(struct inspected **inspected)
{
    struct inspected *look = *inspected;
    *inspected = NULL;
    if (!look || atomic_fetch_sub(&look->users, 1) > 1)
        return;
    inspection_free(look->inspection);
    process_links_reset(&look->links);
    free(look);
}

const struct inspection *inspected(const struct inspected *inspected)
{
    return inspected->inspection;
}

const struct process_links *inspected_links(const struct inspected *inspected)
{
    return &inspected->links;
}

static int check_process(const struct inspection *inspection, struct ipcfs_objid process)
{
    struct process_identity now;
    const struct process *seen = inspection_process(inspection, (pid_t)process.number);
    /* As long as it is there nobody else has its pid: it was the one that was looked at. */
    if (!seen || process_find(process, &now))
        return -ENOENT;
    if (seen->stuck)
        return -ETIMEDOUT;
    return seen->readable ? 0 : -EACCES;
}

static int look_at_process(const struct inspection_host *host, struct inspected *new)
{
    pid_t pid = (pid_t) new->process.number;
    int error = inspection_make(host, new->what, pid, &new->inspection);
    if (!error)
        error = check_process(new->inspection, new->process);
    if (!error)
        error = process_links_make(new->inspection, inspection_process(new->inspection, pid), &new->links);
    inspection_free(TAKE_PTR(new->inspection));
    return error == -ESRCH ? -ENOENT : error;
}

/* NULL when out of memory. */
static struct inspected *inspected_new(void)
{
    struct inspected *new = calloc(1, sizeof *new);
    if (new)
        atomic_init(&new->users, 1);
    return new;
}

static int look(struct ipcfs *fs, unsigned what, struct ipcfs_objid process, struct inspected **out)
{
    struct inspected *new = inspected_new();
    if (!new)
        return -ENOMEM;
    const struct inspection_host host = inspect_host(fs);
    new->what = what;
    if (what & INSPECT_WAITERS)
        new->what |= INSPECT_HOLDERS; /* it includes them */
    new->process = process;
    int error =
        process.number ? look_at_process(&host, new) : inspection_make(&host, what, 0, &new->inspection);
    if (error) {
        free(new);
        return error;
    }
    new->made = monotonic_ms();
    *out = new;
    return 0;
}

/* ---- files ---- */

/* Where the number is, or would be. */
static uint64_t *place_of(const struct files *files, uint64_t number)
{
    size_t at = (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 20);
    while (files->places[at & (files->room - 1)] && files->places[at & (files->room - 1)] != number)
        at++;
    return &files->places[at & (files->room - 1)];
}

static bool grow(struct files *files)
{
    struct files larger = {.room = files->room ? 2 * files->room : FILES_MIN, .count = files->count};
    larger.places = larger.room <= FILES_MAX ? calloc(larger.room, sizeof *larger.places) : NULL;
    if (!larger.places)
        return false;
    for (size_t i = 0; i < files->room; i++)
        if (files->places[i])
            *place_of(&larger, files->places[i]) = files->places[i];
    free(files->places);
    *files = larger;
    return true;
}

/* False where it is there already, or can not be kept. */
static bool add_file(struct files *files, uint64_t number)
{
    if (2 * files->count >= files->room && !grow(files))
        return false;
    uint64_t *place = place_of(files, number);
    if (*place)
        return false;
    *place = number;
    files->count++;
    return true;
}

/* ---- walks; with the lock held ---- */

static void forget_files(struct files *files)
{
    free(files->places);
    *files = (struct files){0};
}

static struct walk *find_walk(struct walks *walks, const struct caller *who)
{
    for (size_t i = 0; who->pid && i < WALKS; i++) {
        const struct caller *is = &walks->all[i].who;
        if (is->pid == who->pid && is->uid == who->uid && is->gid == who->gid)
            return &walks->all[i];
    }
    return NULL;
}

static struct walk *oldest(struct walks *walks)
{
    struct walk *walk = &walks->all[0];
    for (size_t i = 1; i < WALKS; i++)
        if (walks->all[i].last < walk->last)
            walk = &walks->all[i];
    return walk;
}

static bool is_walking(const struct walk *walk)
{
    return walk && walk->files.count >= INSPECT_WALK;
}

/* Takes out the looks that nobody will be shown any more: they are freed without the lock. */
static void take_old(struct walks *walks, int64_t now, struct inspected *old[WALKS])
{
    for (size_t i = 0; i < WALKS; i++) {
        struct walk *walk = &walks->all[i];
        bool over = !is_walking(walk) || (walk->look && now - walk->look->made >= INSPECT_REUSE_MS);
        old[i] = over ? walk->look : NULL;
        if (over)
            walk->look = NULL;
    }
}

static void note_file(struct walks *walks, const struct caller *who, struct ipcfs_objid process,
                      uint64_t file, int64_t now)
{
    struct walk *walk = find_walk(walks, who);
    if (!walk) {
        walk = oldest(walks);
        walk->who = *who;
        forget_files(&walk->files);
    }
    bool goes_on = now - walk->last < INSPECT_PAUSE_MS && ipcfs_same_object(walk->process, process) &&
                   add_file(&walk->files, file);
    if (!goes_on) {
        forget_files(&walk->files);
        (void)add_file(&walk->files, file); /* without memory it does not count */
    }
    walk->process = process;
    walk->last = now;
}

/* ---- for others ---- */

int walks_new(struct walks **out)
{
    struct walks *walks = calloc(1, sizeof *walks);
    if (!walks)
        return -ENOMEM;
    if (lock_init(&walks->lock, LOCK_WALKS)) {
        free(walks);
        return -ENOMEM;
    }
    *out = walks;
    (void)boot_time_earliest();
    return 0;
}

void walks_free(struct walks *walks)
{
    if (!walks)
        return;
    for (size_t i = 0; i < WALKS; i++) {
        forget_files(&walks->all[i].files);
        inspected_put(&walks->all[i].look);
    }
    lock_destroy(&walks->lock);
    free(walks);
}

void inspect_begin(struct ipcfs *fs, const struct caller *caller, struct ipcfs_objid process, uint64_t file)
{
    struct inspected *old[WALKS] = {0};
    int64_t now = monotonic_ms();
    lock_take(&fs->walks->lock);
    if (caller->pid)
        note_file(fs->walks, caller, process, file, now);
    take_old(fs->walks, now, old);
    lock_release(&fs->walks->lock);
    for (size_t i = 0; i < WALKS; i++)
        inspected_put(&old[i]);
}

void inspect_end(struct ipcfs *fs, const struct caller *caller)
{
    lock_take(&fs->walks->lock);
    struct walk *walk = find_walk(fs->walks, caller);
    if (walk)
        walk->last = monotonic_ms();
    lock_release(&fs->walks->lock);
}

void inspect_forget(struct ipcfs *fs, const struct caller *caller)
{
    struct inspected *old = NULL;
    lock_take(&fs->walks->lock);
    struct walk *walk = find_walk(fs->walks, caller);
    if (walk) {
        forget_files(&walk->files);
        old = TAKE_PTR(walk->look);
    }
    lock_release(&fs->walks->lock);
    inspected_put(&old);
}

/* The look that the caller is shown, counted; NULL: a new one. */
static struct inspected *kept_look(struct walks *walks, const struct caller *caller, unsigned what,
                                   struct ipcfs_objid process)
{
    lock_take(&walks->lock);
    const struct walk *walk = find_walk(walks, caller);
    struct inspected *kept = is_walking(walk) ? walk->look : NULL;
    if (kept && ((kept->what & what) != what || !ipcfs_same_object(kept->process, process) ||
                 monotonic_ms() - kept->made >= INSPECT_REUSE_MS))
        kept = NULL;
    if (kept)
        atomic_fetch_add(&kept->users, 1);
    lock_release(&walks->lock);
    return kept;
}

/* Keeps it where the caller walks. */
static void keep(struct walks *walks, const struct caller *caller, struct inspected *new)
{
    struct inspected *old = NULL;
    lock_take(&walks->lock);
    struct walk *walk = find_walk(walks, caller);
    if (is_walking(walk)) {
        old = walk->look;
        walk->look = new;
        atomic_fetch_add(&new->users, 1);
    }
    lock_release(&walks->lock);
    inspected_put(&old);
}

static int look_and_keep(struct ipcfs *fs, const struct caller *caller, unsigned what,
                         struct ipcfs_objid process, struct inspected **out)
{
    *out = kept_look(fs->walks, caller, what, process);
    if (*out)
        return 0;
    int error = look(fs, what, process, out);
    if (!error)
        keep(fs->walks, caller, *out);
    return error;
}

int inspect(struct ipcfs *fs, const struct caller *caller, unsigned what, struct inspected **out)
{
    return look_and_keep(fs, caller, what, (struct ipcfs_objid){0}, out);
}

static bool walks_now(struct walks *walks, const struct caller *caller)
{
    lock_take(&walks->lock);
    bool walking = is_walking(find_walk(walks, caller));
    lock_release(&walks->lock);
    return walking;
}

int inspect_object(struct ipcfs *fs, const struct caller *caller, const struct ipcfs_backend *kind,
                   uint64_t number, struct inspected **out)
{
    if (walks_now(fs->walks, caller))
        return inspect(fs, caller, INSPECT_WAITERS, out);
    const struct inspection_host host = inspect_host(fs);
    struct inspected *new = inspected_new();
    int error = new ? inspection_make_of(&host, kind, number, &new->inspection) : -ENOMEM;
    if (error)
        free(new);
    else
        *out = new;
    return error;
}

/* What it waits for is used by it, too: a queue or set of System V by nothing else. */
enum { OF_PROCESS = INSPECT_HOLDERS | INSPECT_WAITERS | INSPECT_UNTIMED };

int inspect_process(struct ipcfs *fs, const struct caller *caller, struct ipcfs_objid process,
                    struct inspected **out)
{
    return look_and_keep(fs, caller, OF_PROCESS, process, out);
}

struct inspected *inspect_process_kept(struct ipcfs *fs, const struct caller *caller,
                                       struct ipcfs_objid process)
{
    return kept_look(fs->walks, caller, OF_PROCESS, process);
}
