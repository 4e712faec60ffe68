/* SPDX-License-Identifier: MIT */
#include "sysv_shm.h"

#include "refuse.h"
#include "sysv_shm_file.h"
#include "sysv_shm_list.h"
#include "sysv_shm_make.h"
#include "sysv_shm_pending.h"
#include "sysv_shm_rss.h"
#include "sysv_shm_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <sys/stat.h>

/* How often create() goes round when a key keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

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

/* Of whatever has the index that `id` is or has. */
static int state_at(int id, struct shmid_ds *out)
{
    int found = shmctl(id, SHM_STAT_ANY, out);
    if (found >= 0)
        return found;
    return errno == EINVAL || errno == EIDRM ? -ESTALE : -errno;
}

static int permissions_at(int index, struct ipc_perm *perm)
{
    struct shmid_ds state;
    int id = state_at(index, &state);
    if (id >= 0)
        *perm = state.shm_perm;
    return id;
}

/* Without permission bits in its flags shmget(2) asks for no permission, and 0 is no size to be compared. */
int sysv_shm_of_key(key_t key)
{
    int id = shmget(key, 0, 0);
    return id < 0 ? -errno : id;
}

static const struct sysv_table table = {
    .type = S_IFREG, .highest = highest_index, .at = permissions_at, .of_key = sysv_shm_of_key};

int sysv_shm_state(int id, struct shmid_ds *out)
{
    int found = state_at(id, out);
    if (found < 0)
        return found;
    return found == id ? 0 : -ESTALE;
}

int sysv_shm_error(int id, int error, int gone)
{
    struct shmid_ds state;
    if (error == EIDRM || (error == EINVAL && sysv_shm_state(id, &state) == -ESTALE))
        return gone;
    return -error;
}

int sysv_shm_set(int id, struct shmid_ds *state)
{
    return shmctl(id, IPC_SET, state) < 0 ? sysv_shm_error(id, errno, -ESTALE) : 0;
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
    int highest = highest_index(); /* −ENOSYS: a kernel without System V IPC */
    return highest < 0 ? highest : 0;
}

static void shm_stop(void)
{
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
    unsigned long used = (unsigned)usage.used_ids;
    fsfilcnt_t left = limits.shmmni > used ? limits.shmmni - used : 0;
    unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
    *out = (struct statvfs){
        .f_bsize = page,
        .f_frsize = page,
        .f_files = limits.shmmni,
        .f_ffree = left,
        .f_favail = left,
        .f_namemax = SYSV_NAME_ROOM - 1,
    };
    fill_blocks(&limits, &usage, out);
    return 0;
}

/* ---- finding and listing ---- */

static struct statx_timestamp timestamp(time_t time)
{
    return (struct statx_timestamp){.tv_sec = time};
}

/* A time that never was is that of the creation, as far as it is known. Who writes through an attachment leaves no time,
 * so the end of the last attachment is the last time when something may have been written. */
static void fill_stat(int id, const struct shmid_ds *state, struct statx *out)
{
    sysv_stat(id, &state->shm_perm, out);
    out->stx_size = state->shm_segsz;
    out->stx_blocks = state->shm_segsz / 512 + (state->shm_segsz % 512 != 0);
    out->stx_atime = timestamp(state->shm_atime ? state->shm_atime : state->shm_ctime);
    out->stx_mtime = timestamp(state->shm_dtime ? state->shm_dtime : state->shm_ctime);
    out->stx_ctime = timestamp(state->shm_ctime);
}

static void fill_found(int id, const struct shmid_ds *state, struct ipcfs_found *out)
{
    out->id = sysv_object_id(id);
    fill_stat(id, state, &out->stat);
}

/* The id of the segment that a name means, and its state. −ENOENT. */
static int find_segment(unsigned directory, const char *name, struct shmid_ds *state)
{
    int id = sysv_id_of_name(&table, directory, name);
    if (id < 0)
        return id;
    int error = sysv_shm_state(id, state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    return id;
}

static int shm_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    struct shmid_ds state;
    int id = find_segment(directory, name, &state);
    if (id < 0)
        return id;
    fill_found(id, &state, out);
    return hold ? sysv_shm_hold_new(id, &state.shm_perm, hold) : 0;
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
    int id = sysv_id_of_ref(&table, ref);
    if (id < 0)
        return id;
    int error = sysv_shm_state(id, out);
    return error ? error : id;
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

/* What create() hands out of a segment that is there. With −ENOENT it has vanished, and it is to be tried again. */
static int open_existing(int id, int flags, struct ipcfs_created *out)
{
    struct shmid_ds state;
    int error = sysv_shm_state(id, &state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    *out = (struct ipcfs_created){0};
    fill_found(id, &state, &out->found);
    error = sysv_shm_hold_new(id, &state.shm_perm, &out->hold);
    if (error)
        return error;
    error = sysv_shm_file_new(id, &state.shm_perm, flags, &out->file);
    if (error)
        sysv_shm_release(TAKE_PTR(out->hold));
    return error == -ESTALE ? -ENOENT : error;
}

/* What create() hands out of a segment that it has just made. */
static int open_made(int id, int flags, struct ipcfs_created *out)
{
    struct shmid_ds state;
    int error = sysv_shm_state(id, &state);
    if (error)
        return error;
    *out = (struct ipcfs_created){.made = true};
    fill_found(id, &state, &out->found);
    error = sysv_shm_hold_new(id, &state.shm_perm, &out->hold);
    if (error)
        return error;
    error = sysv_shm_file_later(id, &state.shm_perm, flags, &out->file);
    if (error)
        sysv_shm_release(TAKE_PTR(out->hold));
    return error;
}

/* With its size and all: by a line written to ctl/sysv/shm/create. */
static int make_now(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct sysv_shm_order order;
    int error = sysv_shm_order(key, wish, &order);
    if (error)
        return error;
    int id = sysv_shm_make(&order, wish->reason);
    if (id < 0)
        return id;
    error = open_made(id, wish->flags, out);
    if (error)
        sysv_shm_unmake(id);
    return error;
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

static int create_by_key(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    int error = -ENOENT;
    for (int attempt = 0; error == -ENOENT && attempt < CREATE_ATTEMPTS; attempt++) {
        int id = sysv_shm_of_key(key);
        if (id == -ENOENT)
            error = wish->options ? make_now(key, wish, out) : promise(key, wish, out);
        else
            error = id < 0 ? id : -EEXIST;
        if (error == -EEXIST && !(wish->flags & O_EXCL))
            error = id < 0 ? -ENOENT : open_existing(id, wish->flags, out);
    }
    return error == -ENOENT ? -ESTALE : error;
}

static int refuse(const struct ipcfs_wish *wish, int error, const char *reason)
{
    if (wish->reason)
        text_string(wish->reason, reason);
    return error;
}

static int open_by_id(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct shmid_ds state;
    int id = find_segment(SYSV_BY_ID, wish->name, &state);
    int error = id < 0 ? id : -EEXIST;
    if (id >= 0 && !(wish->flags & O_EXCL))
        error = open_existing(id, wish->flags, out);
    if (error == -ENOENT)
        return refuse(wish, -EPERM, "ids are given by the kernel: create a key, in by-key");
    return error;
}

static int shm_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    key_t key = IPC_PRIVATE;
    if (wish->directory == SYSV_BY_ID)
        return open_by_id(wish, out);
    if (!sysv_parse_key(wish->name, &key))
        return refuse(wish, -EINVAL, "a key is 0x and 1 to 8 hexadecimal digits");
    if (key == IPC_PRIVATE)
        return refuse(wish, -EINVAL, "key 0 is IPC_PRIVATE, by which no segment is found");
    return create_by_key(key, wish, out);
}

/* A promise has made nothing yet: its file, which alone could, has been used by nobody. */
static void shm_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    if (created->made && !sysv_shm_is_pending_id(created->found.id))
        sysv_shm_unmake((int)created->found.id.number);
}

static int shm_remove(unsigned directory, const char *name)
{
    struct shmid_ds state;
    int id = find_segment(directory, name, &state);
    if (id < 0)
        return id;
    return shmctl(id, IPC_RMID, NULL) < 0 ? sysv_shm_error(id, errno, -ENOENT) : 0;
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

static bool is_to_now(const struct timespec times[2])
{
    for (int i = 0; i < 2; i++)
        if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT)
            return false;
    return true;
}

/* Owner and mode by one IPC_SET, which always sets the time of change to now: all that can be set of times. */
static int set_attributes(int id, struct shmid_ds *state, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_UID)
        state->shm_perm.uid = change->uid;
    if (change->mask & IPCFS_CHANGE_GID)
        state->shm_perm.gid = change->gid;
    if (change->mask & IPCFS_CHANGE_MODE)
        state->shm_perm.mode = change->mode & 0777;
    return sysv_shm_set(id, state);
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
        error = set_attributes(id, &state, change);
    return error;
}

static int shm_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_TIMES && !is_to_now(change->times))
        return -EPERM;
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
    (void)caller;
    struct shminfo limits;
    struct shm_info usage;
    int error = sysv_shm_limits(&limits);
    if (error >= 0)
        error = sysv_shm_usage(&usage);
    if (!error)
        sysv_shm_show_limits(&limits, &usage, values);
    return error;
}

static const char *const shm_directories[] = {"sysv/shm/by-id", "sysv/shm/by-key", NULL};

const struct ipcfs_backend ipcfs_sysv_shm_backend = {
    .kind = "sysv/shm",
    .help = "System V shared memory (shmget): regular files of a size that is given once, mmap included",
    .directories = shm_directories,
    .fields = sysv_shm_fields,
    .limit_fields = sysv_shm_limit_fields,
    .options = sysv_shm_options,
    .verbs = sysv_shm_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = shm_start,
    .stop = shm_stop,
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
    .limits = shm_limits,
    .open = sysv_shm_open,
    .may_execute = refuse_execute,
    .close = sysv_shm_close,
    .try_read = sysv_shm_try_read,
    .try_write = sysv_shm_try_write,
    .message_room = sysv_shm_message_room,
    .lane = sysv_shm_lane,
    .poll = sysv_shm_poll,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = sysv_shm_backing,
    .fixed_size = true,
};
