/* SPDX-License-Identifier: MIT */
#include "sysv_sem.h"

#include "refuse.h"
#include "sysv_object.h"
#include "sysv_sem_data.h"
#include "sysv_sem_files.h"
#include "sysv_sem_show.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the kernel's table ---- */

int sysv_sem_info(struct seminfo *out)
{
    *out = (struct seminfo){0};
    int highest = semctl(0, 0, SEM_INFO, (union semun){.info = out});
    return highest < 0 ? -errno : highest;
}

static int highest_index(void)
{
    struct seminfo info;
    return sysv_sem_info(&info);
}

static int look(int id, void *state)
{
    memset(state, 0, sizeof(struct semid_ds)); /* valgrind 3.19 does not know that the call fills it */
    return semctl(id, 0, SEM_STAT_ANY, (union semun){.buf = state});
}

static int set(int id, void *state)
{
    return semctl(id, 0, IPC_SET, (union semun){.buf = state});
}

static int remove_set(int id)
{
    return semctl(id, 0, IPC_RMID);
}

/* Without permission bits in its flags semget(2) asks for no permission. */
static int get(key_t key)
{
    return semget(key, 0, 0);
}

static const struct sysv_table table;

int sysv_sem_state(int id, struct semid_ds *out)
{
    return sysv_state(&table, id, out);
}

int sysv_sem_error(int id, int error, int gone)
{
    return sysv_error(&table, id, error, gone);
}

static int sem_start(void)
{
    return sysv_start(&table);
}

static int sem_stat_system(struct statvfs *out)
{
    struct seminfo info;
    int highest = sysv_sem_info(&info);
    if (highest < 0)
        return highest;
    sysv_stat_system((unsigned)info.semmni, (unsigned)info.semusz, out);
    return 0;
}

/* ---- finding and listing ---- */

/* A time that never was is that of the creation, as far as it is known. */
static void fill_stat(int id, const void *of_set, struct statx *out)
{
    const struct semid_ds *state = of_set;
    time_t used = state->sem_otime ? state->sem_otime : state->sem_ctime;
    sysv_stat(id, &state->sem_perm, out);
    out->stx_mode = (uint16_t)ipcfs_directory_mode(state->sem_perm.mode);
    out->stx_nlink = 1; /* of a directory it does not count names */
    out->stx_atime.tv_sec = used;
    out->stx_mtime.tv_sec = used;
    out->stx_ctime.tv_sec = state->sem_ctime;
}

static int sem_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    return sysv_find(&table, directory, name, out, hold);
}

static int sem_list_open(unsigned directory, struct ipcfs_lister **out)
{
    return sysv_list_open(&table, directory, out);
}

/* ---- reaching a set ---- */

int sysv_sem_of_ref(const struct ipcfs_ref *ref, struct semid_ds *out)
{
    return sysv_of_ref(&table, ref, out);
}

static int sem_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    return sysv_hold(&table, ref, out);
}

static int sem_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    return sysv_stat_object(&table, ref, out);
}

static int sem_members(const struct ipcfs_ref *ref)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    return id < 0 ? id : (int)state.sem_nsems;
}

/* ---- creating and removing ---- */

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

static int make(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    int id = make_set(key, wish);
    return id < 0 ? id : sysv_hand_out(&table, id, wish->flags, true, out);
}

/* A directory is not opened by its creation. */
static int open_nothing(int id, const struct ipc_perm *perm, int flags, bool made, struct ipcfs_file **out)
{
    (void)id;
    (void)perm;
    (void)flags;
    (void)made;
    (void)out;
    return 0;
}

/* The directory's x bits are not the set's. */
static const struct sysv_table table = {
    .type = S_IFDIR,
    .mode_bits = 0666,
    .noun = "set",
    .highest = highest_index,
    .look = look,
    .set = set,
    .remove = remove_set,
    .get = get,
    .stat = fill_stat,
    .hold = sysv_hold_new,
    .release = sysv_release,
    .make = make,
    .open = open_nothing,
};

static int sem_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    return sysv_create(&table, wish, out);
}

static void sem_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    sysv_uncreate(&table, created);
}

static int sem_remove(unsigned directory, const char *name)
{
    return sysv_remove(&table, directory, name);
}

/* ---- changes ---- */

static int sem_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    if (id < 0)
        return id;
    if (change->mask & IPCFS_CHANGE_SIZE)
        return file ? -EINVAL : -EISDIR; /* as of any directory */
    int error = sysv_check_times(change);
    return error ? error : sysv_set_attributes(&table, id, &state, change);
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

static int sem_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct semid_ds state;
    int id = sysv_sem_of_ref(ref, &state);
    return id < 0 ? id : sysv_sem_show_traces(id, &state, out);
}

static int sem_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                           struct ipcfs_value *values)
{
    sysv_sem_show_state((int)entry->number, &sysv_listed(lister)->sem, values);
    return 0;
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

/* ---- what ctl/events sees ---- */

static void show_nothing(const union sysv_state *state, struct ipcfs_seen *seen)
{
    (void)state;
    (void)seen;
}

static int sem_look(ipcfs_seen_row *row, void *data)
{
    return sysv_look(&table, show_nothing, row, data);
}

const struct ipcfs_backend ipcfs_sysv_sem_backend = {
    .kind = "sysv/sem",
    .help = "System V semaphore sets (semget): a directory each, with one in it per semaphore",
    .directories = sem_directories,
    .fields = sysv_sem_fields,
    .limit_fields = sysv_sem_limit_fields,
    .limit_rows = sysv_sem_limit_rows,
    .totals = sysv_sem_totals,
    .options = sysv_sem_options,
    .verbs = refuse_files,
    .files = sysv_sem_files,
    .member_files = sysv_sem_member_files,
    .start = sem_start,
    .stop = sysv_stop,
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
    .release = sysv_release,
    .stat = sem_stat,
    .change = sem_change,
    .members = sem_members,
    .render = sem_render,
    .recognize = refuse_recognize,
    .traces = sem_traces,
    .watched = refuse_watched,
    .watched_name = refuse_watched_name,
    .look = sem_look,
    .limits = sem_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = refuse_open,
    .may_execute = refuse_execute,
    .close = sysv_sem_close,
    .try_read = sysv_sem_try_read,
    .try_write = sysv_sem_try_write,
    .message_room = sysv_sem_room,
    .lane = sysv_sem_lane,
    .poll = sysv_sem_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = sysv_sem_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .makes = IPCFS_MAKES_DIRECTORIES,
};
