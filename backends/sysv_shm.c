/* SPDX-License-Identifier: MIT */
#include "sysv_shm.h"

#include "caller_limit.h"
#include "kernel_memory.h"
#include "refuse.h"
#include "sysv_object.h"
#include "sysv_shm_file.h"
#include "sysv_shm_list.h"
#include "sysv_shm_make.h"
#include "sysv_shm_pending.h"
#include "sysv_shm_rss.h"
#include "sysv_shm_show.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the kernel's table ---- */

int sysv_shm_limits(struct shminfo *out)
{
    int highest = shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)out);
    return highest < 0 ? -errno : highest;
}

int sysv_shm_usage(struct shm_info *out)
{
    return shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)out) < 0 ? -errno : 0;
}

static int highest_index(void)
{
    struct shminfo limits;
    return sysv_shm_limits(&limits);
}

static int look(int id, void *state)
{
    memset(state, 0, sizeof(struct shmid_ds)); /* valgrind 3.19 does not know that the call fills it */
    return shmctl(id, SHM_STAT_ANY, state);
}

static int set(int id, void *state)
{
    return shmctl(id, IPC_SET, state);
}

static int remove_segment(int id)
{
    return shmctl(id, IPC_RMID, NULL);
}

/* Without permission bits in its flags shmget(2) asks for no permission, and 0 is no size to be compared. */
static int get(key_t key)
{
    return shmget(key, 0, 0);
}

static const struct sysv_table table;

int sysv_shm_of_key(key_t key)
{
    return sysv_of_key(&table, key);
}

int sysv_shm_state(int id, struct shmid_ds *out)
{
    return sysv_state(&table, id, out);
}

int sysv_shm_error(int id, int error, int gone)
{
    return sysv_error(&table, id, error, gone);
}

int sysv_shm_set(int id, struct shmid_ds *state)
{
    return sysv_set(&table, id, state);
}

bool sysv_shm_is_same(const struct ipc_perm *then, const struct ipc_perm *now)
{
    bool same_key = now->__key == then->__key || (now->__key == IPC_PRIVATE && now->mode & SHM_DEST);
    return same_key && now->cuid == then->cuid && now->cgid == then->cgid;
}

unsigned sysv_shm_wanted(int flags)
{
    return (flags & O_ACCMODE) == O_RDONLY ? SYSV_READ : SYSV_READ | SYSV_WRITE;
}

static int shm_start(void)
{
    kernel_memory_start();
    return sysv_start(&table);
}

/* As a tmpfs, which shm is inside the kernel too, has no blocks where it has no limit. */
static void fill_blocks(const struct shminfo *limits, const struct shm_info *usage, struct statvfs *out)
{
    enum { PAGE_SHIFT_MIN = 12 };
    if (limits->shmall > UINT64_MAX >> PAGE_SHIFT_MIN)
        return;
    out->f_blocks = limits->shmall;
    out->f_bfree = limits->shmall > usage->shm_tot ? limits->shmall - usage->shm_tot : 0;
    out->f_bavail = out->f_bfree;
}

static int shm_stat_system(struct statvfs *out)
{
    struct shminfo limits;
    struct shm_info usage;
    int error = sysv_shm_limits(&limits);
    if (error >= 0)
        error = sysv_shm_usage(&usage);
    if (error)
        return error;
    sysv_stat_system(limits.shmmni, (unsigned)usage.used_ids, out);
    out->f_bsize = (unsigned long)sysconf(_SC_PAGESIZE);
    out->f_frsize = out->f_bsize;
    fill_blocks(&limits, &usage, out);
    return 0;
}

/* ---- finding and listing ---- */

/* A time that never was is that of the creation, as far as it is known. Who writes through an attachment leaves no time,
 * so the end of the last attachment is the last time when something may have been written. */
static void fill_stat(int id, const void *of_segment, struct statx *out)
{
    const struct shmid_ds *state = of_segment;
    sysv_stat(id, &state->shm_perm, out);
    out->stx_size = state->shm_segsz;
    out->stx_blocks = state->shm_segsz / 512 + (state->shm_segsz % 512 != 0);
    out->stx_atime.tv_sec = state->shm_atime ? state->shm_atime : state->shm_ctime;
    out->stx_mtime.tv_sec = state->shm_dtime ? state->shm_dtime : state->shm_ctime;
    out->stx_ctime.tv_sec = state->shm_ctime;
}

static int shm_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    return sysv_find(&table, directory, name, out, hold);
}

static int shm_list_open(unsigned directory, struct ipcfs_lister **out)
{
    return sysv_shm_list_open(&table, directory, out);
}

/* ---- reaching a segment ---- */

int sysv_shm_of_ref(const struct ipcfs_ref *ref, struct shmid_ds *out)
{
    if (ref->hold)
        return sysv_shm_of_hold(ref->hold, out);
    if (sysv_shm_is_pending_id(ref->id))
        return -ESTALE;
    return sysv_of_ref(&table, ref, out);
}

static int shm_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    return id < 0 ? id : sysv_shm_hold_new(id, &state.shm_perm, out);
}

static int shm_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    struct sysv_shm_pending *unmade = ref->hold ? sysv_shm_unmade(ref->hold) : NULL;
    if (unmade) {
        sysv_shm_pending_stat(unmade, out);
        return 0;
    }
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    fill_stat(id, &state, out);
    return 0;
}

/* ---- creating and removing ---- */

/* With its size and all: by a line written to ctl/sysv/shm/create. */
static int make_now(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct sysv_shm_order order;
    int error = sysv_shm_order(key, wish, &order);
    if (error)
        return error;
    int id = sysv_shm_make(&order, wish->reason);
    return id < 0 ? id : sysv_hand_out(&table, id, wish->flags, true, out);
}

static int promise(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct sysv_shm_pending *pending = sysv_shm_pending_new(key, wish->flags, wish->mode);
    if (!pending)
        return -ENOMEM;
    *out = (struct ipcfs_created){.made = true};
    out->found.id = sysv_shm_pending_id(pending);
    sysv_shm_pending_stat(pending, &out->found.stat);
    return sysv_shm_pending_open(pending, wish->flags, &out->hold, &out->file);
}

static int make(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    int id = sysv_shm_of_key(key);
    if (id != -ENOENT)
        return id < 0 ? id : -EEXIST;
    return wish->options ? make_now(key, wish, out) : promise(key, wish, out);
}

/* What was made just now is attached when it is used for the first time. */
static int open_segment(int id, const struct ipc_perm *perm, int flags, bool made, struct ipcfs_file **out)
{
    return made ? sysv_shm_file_later(id, perm, flags, out) : sysv_shm_file_new(id, perm, flags, out);
}

static const struct sysv_table table = {
    .type = S_IFREG,
    .mode_bits = 0777,
    .noun = "segment",
    .highest = highest_index,
    .look = look,
    .set = set,
    .remove = remove_segment,
    .get = get,
    .stat = fill_stat,
    .hold = sysv_shm_hold_new,
    .release = sysv_shm_release,
    .make = make,
    .open = open_segment,
};

static int shm_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    return sysv_create(&table, wish, out);
}

/* A promise has made nothing yet: its file, which alone could, has been used by nobody. */
static void shm_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    if (!sysv_shm_is_pending_id(created->found.id))
        sysv_uncreate(&table, created);
}

static int shm_remove(unsigned directory, const char *name)
{
    return sysv_remove(&table, directory, name);
}

/* ---- changes ---- */

/* A segment has one size for life. */
static int check_size(const struct shmid_ds *state, const struct ipcfs_file *file, off_t size)
{
    if (file && !sysv_shm_file_may_write(file))
        return -EINVAL;
    int error = file ? 0 : sysv_check_access(&state->shm_perm, SYSV_WRITE);
    if (error)
        return error;
    return size >= 0 && (uintmax_t)size == state->shm_segsz ? 0 : -EINVAL;
}

static int change_segment(const struct ipcfs_ref *ref, const struct ipcfs_file *file,
                          const struct ipcfs_change *change)
{
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    int error = 0;
    if (change->mask & IPCFS_CHANGE_SIZE)
        error = check_size(&state, file, change->size);
    if (!error && change->mask & ~(unsigned)IPCFS_CHANGE_SIZE)
        error = sysv_set_attributes(&table, id, &state, change);
    return error;
}

static int shm_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    int error = sysv_check_times(change);
    if (error)
        return error;
    if (change->mask & IPCFS_CHANGE_SIZE && file && !sysv_shm_file_may_write(file))
        return -EINVAL;
    struct sysv_shm_pending *unmade = ref->hold ? sysv_shm_unmade(ref->hold) : NULL;
    int result = unmade ? sysv_shm_pending_change(unmade, change) : 1;
    if (result < 1)
        return result;
    return change_segment(ref, file, change);
}

/* ---- what ctl/ shows: backends/sysv_shm_show.c ---- */

static int shm_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct shmid_ds state;
    struct sysv_shm_rss rss;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    sysv_shm_show_state(id, &state, sysv_shm_rss_of(id, &rss) ? &rss : NULL, values);
    return 0;
}

static int shm_limits(const struct caller *caller, struct ipcfs_value *values)
{
    struct shminfo limits;
    struct shm_info usage;
    struct rlimit memlock;
    int error = sysv_shm_limits(&limits);
    if (error >= 0)
        error = sysv_shm_usage(&usage);
    if (!error)
        error = caller_limit(caller, RLIMIT_MEMLOCK, &memlock);
    if (!error)
        sysv_shm_show_limits(&limits, &usage, memlock.rlim_cur, values);
    return error;
}

/* Its file bears the id as inode number, and the key in its name (newseg() in Linux ipc/shm.c). What else lies on that
 * device bears other names, whatever a user gives it: "memfd:", "dev/zero". */
static bool shm_recognize(const struct ipcfs_thing *thing, uint64_t *number)
{
    *number = thing->ino;
    return thing->same_ipc && kernel_memory_is(thing->device) &&
           strncmp(thing->path, "/SYSV", strlen("/SYSV")) == 0;
}

static const char *const shm_directories[] = {"sysv/shm/by-id", "sysv/shm/by-key", NULL};

/* ---- what ctl/events sees ---- */

static void show_segment(const union sysv_state *state, struct ipcfs_seen *seen)
{
    seen->sized = true;
    seen->size = state->shm.shm_segsz;
    seen->creator = state->shm.shm_cpid;
}

static int shm_look(ipcfs_seen_row *row, void *data)
{
    return sysv_look(&table, show_segment, row, data);
}

const struct ipcfs_backend ipcfs_sysv_shm_backend = {
    .kind = "sysv/shm",
    .help = "System V shared memory (shmget): regular files of a size that is given once, mmap included",
    .directories = shm_directories,
    .fields = sysv_shm_fields,
    .limit_fields = sysv_shm_limit_fields,
    .limit_rows = sysv_shm_limit_rows,
    .totals = sysv_shm_totals,
    .options = sysv_shm_options,
    .verbs = sysv_shm_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = shm_start,
    .stop = sysv_stop,
    .stat_directory = sysv_stat_directory,
    .stat_system = shm_stat_system,
    .find = shm_find,
    .list_open = shm_list_open,
    .list_seek = sysv_shm_list_seek,
    .list_next = sysv_shm_list_next,
    .list_close = sysv_shm_list_close,
    .list_render = sysv_shm_list_render,
    .create = shm_create,
    .uncreate = shm_uncreate,
    .remove = shm_remove,
    .rename = refuse_rename,
    .link = refuse_link,
    .hold = shm_hold,
    .release = sysv_shm_release,
    .stat = shm_stat,
    .change = shm_change,
    .members = refuse_members,
    .render = shm_render,
    .recognize = shm_recognize,
    .traces = sysv_shm_traces,
    .watched = refuse_watched,
    .watched_name = refuse_watched_name,
    .look = shm_look,
    .limits = shm_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = sysv_shm_open,
    .may_execute = refuse_execute,
    .close = sysv_shm_close,
    .try_read = sysv_shm_try_read,
    .try_write = sysv_shm_try_write,
    .message_room = refuse_message_room,
    .lane = refuse_lane,
    .poll = sysv_shm_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = sysv_shm_seek,
    .backing = sysv_shm_backing,
    .fixed_size = true,
    .makes = IPCFS_MAKES_FILES,
};
