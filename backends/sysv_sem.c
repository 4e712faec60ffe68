/* SPDX-License-Identifier: MIT */
#include "sysv_sem.h"

#include "refuse.h"
#include "sysv_sem_data.h"
#include "sysv_sem_files.h"
#include "sysv_sem_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* How often create() goes round when a key keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

struct ipcfs_hold {
    int id;
};

/* ---- the kernel's table ---- */

int sysv_sem_info(struct seminfo *out)
{
    int highest = semctl(0, 0, SEM_INFO, (union semun){.info = out});
    return highest < 0 ? -errno : highest;
}

static int highest_index(void)
{
    struct seminfo info;
    return sysv_sem_info(&info);
}

/* Of whatever has the index that `id` is or has. */
static int state_at(int id, struct semid_ds *out)
{
    int found = semctl(id, 0, SEM_STAT_ANY, (union semun){.buf = out});
    if (found >= 0)
        return found;
    return errno == EINVAL || errno == EIDRM ? -ESTALE : -errno;
}

static int permissions_at(int index, struct ipc_perm *perm)
{
    struct semid_ds state;
    int id = state_at(index, &state);
    if (id >= 0)
        *perm = state.sem_perm;
    return id;
}

/* Without permission bits in its flags semget(2) asks for no permission. */
static int id_of_key(key_t key)
{
    int id = semget(key, 0, 0);
    return id < 0 ? -errno : id;
}

static const struct sysv_table table = {
    .type = S_IFDIR, .highest = highest_index, .at = permissions_at, .of_key = id_of_key};

int sysv_sem_state(int id, struct semid_ds *out)
{
    int found = state_at(id, out);
    if (found < 0)
        return found;
    return found == id ? 0 : -ESTALE;
}

int sysv_sem_error(int id, int error, int gone)
{
    struct semid_ds state;
    if (error == EIDRM || (error == EINVAL && sysv_sem_state(id, &state) == -ESTALE))
        return gone;
    return -error;
}

static int sem_start(void)
{
    int highest = highest_index(); /* −ENOSYS: a kernel without System V IPC */
    return highest < 0 ? highest : 0;
}

static void sem_stop(void)
{
}

static int sem_stat_system(struct statvfs *out)
{
    struct seminfo info;
    int highest = sysv_sem_info(&info);
    if (highest < 0)
        return highest;
    fsfilcnt_t left = info.semmni > info.semusz ? (unsigned)(info.semmni - info.semusz) : 0;
    *out = (struct statvfs){
        .f_bsize = 4096,
        .f_frsize = 4096,
        .f_files = (unsigned)info.semmni,
        .f_ffree = left,
        .f_favail = left,
        .f_namemax = SYSV_NAME_ROOM - 1,
    };
    return 0;
}

/* ---- finding and listing ---- */

/* Who may read or operate a set may look into its directory. */
static mode_t directory_mode(const struct ipc_perm *perm)
{
    mode_t bits = perm->mode & 0666;
    return S_IFDIR | bits | ((bits & 0444) >> 2) | ((bits & 0222) >> 1);
}

/* A time that never was is that of the creation, as far as it is known. */
static void fill_stat(int id, const struct semid_ds *state, struct statx *out)
{
    time_t used = state->sem_otime ? state->sem_otime : state->sem_ctime;
    sysv_stat(id, &state->sem_perm, out);
    out->stx_mode = (uint16_t)directory_mode(&state->sem_perm);
    out->stx_nlink = 1; /* of a directory it does not count names */
    out->stx_atime.tv_sec = used;
    out->stx_mtime.tv_sec = used;
    out->stx_ctime.tv_sec = state->sem_ctime;
}

static void fill_found(int id, const struct semid_ds *state, struct ipcfs_found *out)
{
    out->id = sysv_object_id(id);
    fill_stat(id, state, &out->stat);
}

static int make_hold(int id, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->id = id;
    *out = hold;
    return 0;
}

/* The id of the set that a name means, and its state. −ENOENT. */
static int find_set(unsigned directory, const char *name, struct semid_ds *state)
{
    int id = sysv_id_of_name(&table, directory, name);
    if (id < 0)
        return id;
    int error = sysv_sem_state(id, state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    return id;
}

static int sem_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    struct semid_ds state;
    int id = find_set(directory, name, &state);
    if (id < 0)
        return id;
    fill_found(id, &state, out);
    return hold ? make_hold(id, hold) : 0;
}

static int sem_list_open(unsigned directory, struct ipcfs_lister **out)
{
    return sysv_list_open(&table, directory, out);
}

/* ---- reaching a set ---- */

int sysv_sem_of_ref(const struct ipcfs_ref *ref, struct semid_ds *out)
{
    int id = ref->hold ? ref->hold->id : sysv_id_of_ref(&table, ref);
    if (id < 0)
        return id;
    int error = sysv_sem_state(id, out);
    return error ? error : id;
}

static int sem_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    return id < 0 ? id : make_hold(id, out);
}

static void sem_release(struct ipcfs_hold *hold)
{
    free(hold);
}

static int sem_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    fill_stat(id, &state, out);
    return 0;
}

static int sem_members(const struct ipcfs_ref *ref)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    return id < 0 ? id : (int)state.sem_nsems;
}

static int sem_open_set(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    (void)ref;
    (void)flags;
    (void)out;
    return -EISDIR;
}

/* ---- creating and removing ---- */

static void remove_set(int id)
{
    (void)semctl(id, 0, IPC_RMID);
}

static void explain_failure(int error, uint64_t nsems, struct text *reason)
{
    struct seminfo info;
    if (!reason || sysv_sem_info(&info) < 0)
        return;
    if (error == EINVAL && nsems == 0)
        text_string(reason, "nsems=0: a set has at least one semaphore");
    else if (error == EINVAL)
        text_printf(reason, "nsems=%" PRIu64 ": over semmsl (%d) of kernel.sem", nsems, info.semmsl);
    else if (error == ENOSPC && info.semusz >= info.semmni)
        text_printf(reason, "semmni (%d) of kernel.sem sets exist", info.semmni);
    else if (error == ENOSPC)
        text_printf(reason, "nsems=%" PRIu64 ": over semmns (%d) of kernel.sem, %d are in use", nsems,
                    info.semmns, info.semaem);
}

/* A new set with what was wished for. −EEXIST where there is one of that key. */
static int make_set(key_t key, const struct ipcfs_wish *wish)
{
    const struct ipcfs_value *option = wish->options ? &wish->options[SYSV_SEM_OPTION_NSEMS] : NULL;
    uint64_t nsems = option && option->known ? option->number : 1;
    /* Of 0 semget(2) would not say that it is wrong where there is a set. */
    int error = EINVAL;
    if (nsems > 0 && nsems <= INT_MAX) {
        int id = semget(key, (int)nsems, IPC_CREAT | IPC_EXCL | (int)(wish->mode & 0666));
        if (id >= 0)
            return id;
        error = errno;
    }
    explain_failure(error, nsems, wish->reason);
    return -error;
}

/* What create() hands out. With −ENOENT the set has vanished, and it is to be tried again. */
static int fill_created(int id, bool made, struct ipcfs_created *out)
{
    struct semid_ds state;
    int error = sysv_sem_state(id, &state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    *out = (struct ipcfs_created){.made = made};
    fill_found(id, &state, &out->found);
    error = make_hold(id, &out->hold);
    if (error && made)
        remove_set(id);
    return error;
}

static int create_by_key(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int id = make_set(key, wish);
        bool made = id >= 0;
        if (id == -EEXIST && !(wish->flags & O_EXCL))
            id = id_of_key(key);
        int error = id < 0 ? id : fill_created(id, made, out);
        if (error != -ENOENT)
            return error;
    }
    return -ESTALE;
}

static int refuse(const struct ipcfs_wish *wish, int error, const char *reason)
{
    if (wish->reason)
        text_string(wish->reason, reason);
    return error;
}

static int find_by_id(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct semid_ds state;
    int id = find_set(SYSV_BY_ID, wish->name, &state);
    int error = id < 0 ? id : -EEXIST;
    if (id >= 0 && !(wish->flags & O_EXCL))
        error = fill_created(id, false, out);
    if (error == -ENOENT)
        return refuse(wish, -EPERM, "ids are given by the kernel: create a key, in by-key");
    return error;
}

static int sem_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    key_t key = IPC_PRIVATE;
    if (wish->directory == SYSV_BY_ID)
        return find_by_id(wish, out);
    if (!sysv_parse_key(wish->name, &key))
        return refuse(wish, -EINVAL, "a key is 0x and 1 to 8 hexadecimal digits");
    if (key == IPC_PRIVATE)
        return refuse(wish, -EINVAL, "key 0 is IPC_PRIVATE, by which no set is found");
    return create_by_key(key, wish, out);
}

static void sem_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    if (created->made)
        remove_set((int)created->found.id.number);
}

static int sem_remove(unsigned directory, const char *name)
{
    struct semid_ds state;
    int id = find_set(directory, name, &state);
    if (id < 0)
        return id;
    return semctl(id, 0, IPC_RMID) < 0 ? sysv_sem_error(id, errno, -ENOENT) : 0;
}

/* ---- changes ---- */

static bool is_to_now(const struct timespec times[2])
{
    for (int i = 0; i < 2; i++)
        if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT)
            return false;
    return true;
}

/*
 * Owner and mode by one IPC_SET, which always sets the time of change to now: all that can be set of times, and enough
 * for touch(1). The directory's x bits are not the set's.
 */
static int sem_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    if (change->mask & IPCFS_CHANGE_SIZE)
        return file ? -EINVAL : -EISDIR; /* as of any directory */
    if (change->mask & IPCFS_CHANGE_TIMES && !is_to_now(change->times))
        return -EPERM;
    if (change->mask & IPCFS_CHANGE_UID)
        state.sem_perm.uid = change->uid;
    if (change->mask & IPCFS_CHANGE_GID)
        state.sem_perm.gid = change->gid;
    if (change->mask & IPCFS_CHANGE_MODE)
        state.sem_perm.mode = change->mode & 0666;
    return semctl(id, 0, IPC_SET, (union semun){.buf = &state}) < 0 ? sysv_sem_error(id, errno, -ESTALE) : 0;
}

/* ---- what ctl/ shows: backends/sysv_sem_show.c ---- */

static int sem_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    sysv_sem_show_state(id, &state, values);
    return sysv_sem_show_semaphores(id, &state, values);
}

static int sem_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                           struct ipcfs_value *values)
{
    (void)lister;
    struct semid_ds state;
    int error = sysv_sem_state((int)entry->number, &state);
    if (!error)
        sysv_sem_show_state((int)entry->number, &state, values);
    return error;
}

static int sem_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    struct seminfo info;
    int highest = sysv_sem_info(&info);
    if (highest < 0)
        return highest;
    sysv_sem_show_limits(&info, values);
    return 0;
}

static const char *const sem_directories[] = {"sysv/sem/by-id", "sysv/sem/by-key", NULL};

const struct ipcfs_backend ipcfs_sysv_sem_backend = {
    .kind = "sysv/sem",
    .help = "System V semaphore sets (semget): a directory each, with one in it per semaphore",
    .directories = sem_directories,
    .fields = sysv_sem_fields,
    .limit_fields = sysv_sem_limit_fields,
    .options = sysv_sem_options,
    .verbs = refuse_files,
    .files = sysv_sem_files,
    .member_files = sysv_sem_member_files,
    .start = sem_start,
    .stop = sem_stop,
    .stat_directory = sysv_stat_directory,
    .stat_system = sem_stat_system,
    .find = sem_find,
    .list_open = sem_list_open,
    .list_seek = sysv_list_seek,
    .list_next = sysv_list_next,
    .list_close = sysv_list_close,
    .list_render = sem_list_render,
    .create = sem_create,
    .uncreate = sem_uncreate,
    .remove = sem_remove,
    .rename = refuse_rename,
    .link = refuse_link,
    .hold = sem_hold,
    .release = sem_release,
    .stat = sem_stat,
    .change = sem_change,
    .members = sem_members,
    .render = sem_render,
    .limits = sem_limits,
    .open = sem_open_set,
    .may_execute = refuse_execute,
    .close = sysv_sem_close,
    .try_read = sysv_sem_try_read,
    .try_write = sysv_sem_try_write,
    .message_room = sysv_sem_room,
    .lane = sysv_sem_lane,
    .poll = sysv_sem_poll,
    .lock_owner = refuse_lock_owner,
    .try_lock = sysv_sem_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
};
