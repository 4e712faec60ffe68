/* SPDX-License-Identifier: MIT */
#include "sysv_msg.h"

#include "refuse.h"
#include "sysv_msg_data.h"
#include "sysv_msg_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* How often create() goes round when a key keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

struct ipcfs_hold {
    int id;
};

/* ---- the kernel's table ---- */

int sysv_msg_info(struct msginfo *out)
{
    int highest = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)out);
    return highest < 0 ? -errno : highest;
}

static int highest_index(void)
{
    struct msginfo info;
    return sysv_msg_info(&info);
}

/* Of whatever has the index that `id` is or has. */
static int state_at(int id, struct msqid_ds *out)
{
    int found = msgctl(id, MSG_STAT_ANY, out);
    if (found >= 0)
        return found;
    return errno == EINVAL || errno == EIDRM ? -ESTALE : -errno;
}

static int permissions_at(int index, struct ipc_perm *perm)
{
    struct msqid_ds state;
    int id = state_at(index, &state);
    if (id >= 0)
        *perm = state.msg_perm;
    return id;
}

/* Without permission bits in its flags msgget(2) asks for no permission. */
static int id_of_key(key_t key)
{
    int id = msgget(key, 0);
    return id < 0 ? -errno : id;
}

static const struct sysv_table table = {
    .type = S_IFREG, .highest = highest_index, .at = permissions_at, .of_key = id_of_key};

int sysv_msg_state(int id, struct msqid_ds *out)
{
    int found = state_at(id, out);
    if (found < 0)
        return found;
    return found == id ? 0 : -ESTALE;
}

int sysv_msg_error(int id, int error, int gone)
{
    struct msqid_ds state;
    if (error == EIDRM || (error == EINVAL && sysv_msg_state(id, &state) == -ESTALE))
        return gone;
    return -error;
}

int sysv_msg_set(int id, struct msqid_ds *state)
{
    return msgctl(id, IPC_SET, state) < 0 ? sysv_msg_error(id, errno, -ESTALE) : 0;
}

static int msg_start(void)
{
    int highest = highest_index(); /* −ENOSYS: a kernel without System V IPC */
    return highest < 0 ? highest : 0;
}

static void msg_stop(void)
{
}

static int msg_stat_system(struct statvfs *out)
{
    struct msginfo info;
    int highest = sysv_msg_info(&info);
    if (highest < 0)
        return highest;
    fsfilcnt_t left = info.msgmni > info.msgpool ? (unsigned)(info.msgmni - info.msgpool) : 0;
    *out = (struct statvfs){
        .f_bsize = 4096,
        .f_frsize = 4096,
        .f_files = (unsigned)info.msgmni,
        .f_ffree = left,
        .f_favail = left,
        .f_namemax = SYSV_NAME_ROOM - 1,
    };
    return 0;
}

/* ---- finding and listing ---- */

static struct statx_timestamp timestamp(time_t time)
{
    return (struct statx_timestamp){.tv_sec = time};
}

/* A time that never was is that of the creation, as far as it is known. */
static void fill_stat(int id, const struct msqid_ds *state, struct statx *out)
{
    sysv_stat(id, &state->msg_perm, out);
    out->stx_size = state->__msg_cbytes;
    out->stx_blocks = (state->__msg_cbytes + 511) / 512;
    out->stx_atime = timestamp(state->msg_rtime ? state->msg_rtime : state->msg_ctime);
    out->stx_mtime = timestamp(state->msg_stime ? state->msg_stime : state->msg_ctime);
    out->stx_ctime = timestamp(state->msg_ctime);
}

static void fill_found(int id, const struct msqid_ds *state, struct ipcfs_found *out)
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

/* The id of the queue that a name means, and its state. −ENOENT. */
static int find_queue(unsigned directory, const char *name, struct msqid_ds *state)
{
    int id = sysv_id_of_name(&table, directory, name);
    if (id < 0)
        return id;
    int error = sysv_msg_state(id, state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    return id;
}

static int msg_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    struct msqid_ds state;
    int id = find_queue(directory, name, &state);
    if (id < 0)
        return id;
    fill_found(id, &state, out);
    return hold ? make_hold(id, hold) : 0;
}

static int msg_list_open(unsigned directory, struct ipcfs_lister **out)
{
    return sysv_list_open(&table, directory, out);
}

/* ---- reaching a queue ---- */

int sysv_msg_of_ref(const struct ipcfs_ref *ref, struct msqid_ds *out)
{
    int id = ref->hold ? ref->hold->id : sysv_id_of_ref(&table, ref);
    if (id < 0)
        return id;
    int error = sysv_msg_state(id, out);
    return error ? error : id;
}

static int msg_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    return id < 0 ? id : make_hold(id, out);
}

static void msg_release(struct ipcfs_hold *hold)
{
    free(hold);
}

static int msg_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    fill_stat(id, &state, out);
    return 0;
}

/* O_TRUNC means nothing: `echo x >` of a shell is not to throw away what is queued. */
static int open_plain(int id, const struct ipc_perm *perm, int flags, struct ipcfs_file **out)
{
    return sysv_msg_file_new(id, perm, flags, SYSV_MSG_SEND_TYPE, SYSV_MSG_ANY_TYPE, out);
}

static int msg_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    int error = sysv_check_access(&state.msg_perm, sysv_wanted(flags));
    return error ? error : open_plain(id, &state.msg_perm, flags, out);
}

/* ---- creating and removing ---- */

static void remove_queue(int id)
{
    (void)msgctl(id, IPC_RMID, NULL);
}

static void explain_failure(int error, struct text *reason)
{
    struct msginfo info;
    if (reason && error == ENOSPC && sysv_msg_info(&info) >= 0)
        text_printf(reason, "kernel.msgmni (%d) queues exist", info.msgmni);
}

/* A new queue with what was wished for. −EEXIST where there is one of that key. */
static int make_queue(key_t key, const struct ipcfs_wish *wish)
{
    int id = msgget(key, IPC_CREAT | IPC_EXCL | (int)(wish->mode & 0777));
    if (id < 0) {
        int error = errno;
        explain_failure(error, wish->reason);
        return -error;
    }
    const struct ipcfs_value *qbytes = wish->options ? &wish->options[SYSV_MSG_OPTION_QBYTES] : NULL;
    if (!qbytes || !qbytes->known)
        return id;
    int error = sysv_msg_set_qbytes(id, qbytes->number, wish->reason);
    if (error)
        remove_queue(id);
    return error ? error : id;
}

/* What create() hands out. With −ENOENT the queue has vanished, and it is to be tried again. */
static int fill_created(int id, int flags, bool made, struct ipcfs_created *out)
{
    struct msqid_ds state;
    int error = sysv_msg_state(id, &state);
    if (!error && !made)
        error = sysv_check_access(&state.msg_perm, sysv_wanted(flags));
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    *out = (struct ipcfs_created){.made = made};
    fill_found(id, &state, &out->found);
    error = make_hold(id, &out->hold);
    if (!error)
        error = open_plain(id, &state.msg_perm, flags, &out->file);
    if (!error)
        return 0;
    free(TAKE_PTR(out->hold));
    if (made)
        remove_queue(id);
    return error;
}

static int create_by_key(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int id = make_queue(key, wish);
        bool made = id >= 0;
        if (id == -EEXIST && !(wish->flags & O_EXCL))
            id = id_of_key(key);
        int error = id < 0 ? id : fill_created(id, wish->flags, made, out);
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

static int open_by_id(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct msqid_ds state;
    int id = find_queue(SYSV_BY_ID, wish->name, &state);
    int error = id < 0 ? id : -EEXIST;
    if (id >= 0 && !(wish->flags & O_EXCL))
        error = fill_created(id, wish->flags, false, out);
    if (error == -ENOENT)
        return refuse(wish, -EPERM, "ids are given by the kernel: create a key, in by-key");
    return error;
}

static int msg_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    key_t key = IPC_PRIVATE;
    if (wish->directory == SYSV_BY_ID)
        return open_by_id(wish, out);
    if (!sysv_parse_key(wish->name, &key))
        return refuse(wish, -EINVAL, "a key is 0x and 1 to 8 hexadecimal digits");
    if (key == IPC_PRIVATE)
        return refuse(wish, -EINVAL, "key 0 is IPC_PRIVATE, by which no queue is found");
    return create_by_key(key, wish, out);
}

static void msg_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    if (created->made)
        remove_queue((int)created->found.id.number);
}

static int msg_remove(unsigned directory, const char *name)
{
    struct msqid_ds state;
    int id = find_queue(directory, name, &state);
    if (id < 0)
        return id;
    return msgctl(id, IPC_RMID, NULL) < 0 ? sysv_msg_error(id, errno, -ENOENT) : 0;
}

/* ---- changes ---- */

/* Natively the kernel asks who receives for the right to read; who truncates a file must have the right to
 * write. */
static int purge(int id, const struct msqid_ds *state, const struct ipcfs_file *file, off_t size)
{
    if (size != 0 || (file && !sysv_msg_file_may_write(file)))
        return -EINVAL;
    int error = sysv_check_access(&state->msg_perm, SYSV_READ | (file ? 0 : SYSV_WRITE));
    return error ? error : sysv_msg_purge(id, state->msg_qnum);
}

static bool is_to_now(const struct timespec times[2])
{
    for (int i = 0; i < 2; i++)
        if (times[i].tv_nsec != UTIME_NOW && times[i].tv_nsec != UTIME_OMIT)
            return false;
    return true;
}

/*
 * Owner and mode by one IPC_SET, which always sets the time of change to now: all that can be set of times,
 * and enough for touch(1). It also sets qbytes, to what it was. Where that is over kernel.msgmnb, which can
 * be lowered at any time, the kernel asks for CAP_SYS_RESOURCE even so.
 */
static int set_attributes(int id, struct msqid_ds *state, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_UID)
        state->msg_perm.uid = change->uid;
    if (change->mask & IPCFS_CHANGE_GID)
        state->msg_perm.gid = change->gid;
    if (change->mask & IPCFS_CHANGE_MODE)
        state->msg_perm.mode = change->mode & 0777;
    return sysv_msg_set(id, state);
}

static int msg_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    if (change->mask & IPCFS_CHANGE_TIMES && !is_to_now(change->times))
        return -EPERM;
    int error = 0;
    if (change->mask & IPCFS_CHANGE_SIZE)
        error = purge(id, &state, file, change->size);
    if (!error && change->mask & ~(unsigned)IPCFS_CHANGE_SIZE)
        error = set_attributes(id, &state, change);
    return error;
}

/* ---- what ctl/ shows: backends/sysv_msg_show.c ---- */

static int msg_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    sysv_msg_show_state(id, &state, values);
    return 0;
}

static int msg_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                           struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    return msg_render(&ref, values);
}

static int msg_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    struct msginfo info;
    int highest = sysv_msg_info(&info);
    if (highest < 0)
        return highest;
    sysv_msg_show_limits(&info, values);
    return 0;
}

static const char *const msg_directories[] = {"sysv/msg/by-id", "sysv/msg/by-key", NULL};

const struct ipcfs_backend ipcfs_sysv_msg_backend = {
    .kind = "sysv/msg",
    .help = "System V message queues (msgget): a write sends a message of type 1, a read receives one",
    .directories = msg_directories,
    .fields = sysv_msg_fields,
    .limit_fields = sysv_msg_limit_fields,
    .options = sysv_msg_options,
    .verbs = sysv_msg_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = msg_start,
    .stop = msg_stop,
    .stat_directory = sysv_stat_directory,
    .stat_system = msg_stat_system,
    .find = msg_find,
    .list_open = msg_list_open,
    .list_seek = sysv_list_seek,
    .list_next = sysv_list_next,
    .list_close = sysv_list_close,
    .list_render = msg_list_render,
    .create = msg_create,
    .uncreate = msg_uncreate,
    .remove = msg_remove,
    .rename = refuse_rename,
    .link = refuse_link,
    .hold = msg_hold,
    .release = msg_release,
    .stat = msg_stat,
    .change = msg_change,
    .members = refuse_members,
    .render = msg_render,
    .limits = msg_limits,
    .open = msg_open,
    .may_execute = refuse_execute,
    .close = sysv_msg_close,
    .try_read = sysv_msg_try_read,
    .try_write = sysv_msg_try_write,
    .message_room = sysv_msg_room,
    .lane = sysv_msg_lane,
    .poll = sysv_msg_poll,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .messages = true,
};
