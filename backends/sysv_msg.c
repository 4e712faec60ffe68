/* SPDX-License-Identifier: MIT */
#include "sysv_msg.h"

#include "refuse.h"
#include "sysv_msg_data.h"
#include "sysv_msg_show.h"
#include "sysv_show.h"
#include "sysv_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static int look(int id, void *state)
{
    memset(state, 0, sizeof(struct msqid_ds)); /* valgrind 3.19 does not know that the call fills it */
    return msgctl(id, MSG_STAT_ANY, state);
}

static int set(int id, void *state)
{
    return msgctl(id, IPC_SET, state);
}

static int remove_queue(int id)
{
    return msgctl(id, IPC_RMID, NULL);
}

/* Without permission bits in its flags msgget(2) asks for no permission. */
static int get(key_t key)
{
    return msgget(key, 0);
}

static const struct sysv_table table;

int sysv_msg_state(int id, struct msqid_ds *out)
{
    return sysv_state(&table, id, out);
}

int sysv_msg_error(int id, int error, int gone)
{
    return sysv_error(&table, id, error, gone);
}

int sysv_msg_set(int id, struct msqid_ds *state)
{
    return sysv_set(&table, id, state);
}

static int msg_start(void)
{
    return sysv_start(&table);
}

static int msg_stat_system(struct statvfs *out)
{
    struct msginfo info;
    int highest = sysv_msg_info(&info);
    if (highest < 0)
        return highest;
    sysv_stat_system((unsigned)info.msgmni, (unsigned)info.msgpool, out);
    return 0;
}

/* ---- finding and listing ---- */

/* A time that never was is that of the creation, as far as it is known. */
static void fill_stat(int id, const void *of_queue, struct statx *out)
{
    const struct msqid_ds *state = of_queue;
    sysv_stat(id, &state->msg_perm, out);
    out->stx_size = state->__msg_cbytes;
    out->stx_blocks = (state->__msg_cbytes + 511) / 512;
    out->stx_atime.tv_sec = state->msg_rtime ? state->msg_rtime : state->msg_ctime;
    out->stx_mtime.tv_sec = state->msg_stime ? state->msg_stime : state->msg_ctime;
    out->stx_ctime.tv_sec = state->msg_ctime;
}

static int msg_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    return sysv_find(&table, directory, name, out, hold);
}

static int msg_list_open(unsigned directory, struct ipcfs_lister **out)
{
    return sysv_list_open(&table, directory, out);
}

/* ---- reaching a queue ---- */

int sysv_msg_of_ref(const struct ipcfs_ref *ref, struct msqid_ds *out)
{
    return sysv_of_ref(&table, ref, out);
}

static int msg_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    return sysv_hold(&table, ref, out);
}

static int msg_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    return sysv_stat_object(&table, ref, out);
}

/* O_TRUNC means nothing: `echo x >` of a shell is not to throw away what is queued. */
static int open_queue(int id, const struct ipc_perm *perm, int flags, bool made, struct ipcfs_file **out)
{
    int error = made ? 0 : sysv_check_access(perm, sysv_wanted(flags));
    if (error)
        return error;
    return sysv_msg_file_new(id, perm, flags, SYSV_MSG_SEND_TYPE, SYSV_MSG_ANY_TYPE, out);
}

static int msg_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    return id < 0 ? id : open_queue(id, &state.msg_perm, flags, false, out);
}

/* ---- creating and removing ---- */

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
        (void)remove_queue(id);
    return error ? error : id;
}

static int make(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    int id = make_queue(key, wish);
    return id < 0 ? id : sysv_hand_out(&table, id, wish->flags, true, out);
}

static const struct sysv_table table = {
    .type = S_IFREG,
    .mode_bits = 0777,
    .noun = "queue",
    .highest = highest_index,
    .look = look,
    .set = set,
    .remove = remove_queue,
    .get = get,
    .stat = fill_stat,
    .hold = sysv_hold_new,
    .release = sysv_release,
    .make = make,
    .open = open_queue,
};

static int msg_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    return sysv_create(&table, wish, out);
}

static void msg_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    (void)name;
    sysv_uncreate(&table, created);
}

static int msg_remove(unsigned directory, const char *name)
{
    return sysv_remove(&table, directory, name);
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

/*
 * IPC_SET also sets qbytes, to what it was. Where that is over kernel.msgmnb, which can be lowered at any time, the kernel
 * asks for CAP_SYS_RESOURCE even so.
 */
static int msg_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    int error = sysv_check_times(change);
    if (!error && change->mask & IPCFS_CHANGE_SIZE)
        error = purge(id, &state, file, change->size);
    if (!error && change->mask & ~(unsigned)IPCFS_CHANGE_SIZE)
        error = sysv_set_attributes(&table, id, &state, change);
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
    sysv_msg_show_state((int)entry->number, &sysv_listed(lister)->msg, values);
    return 0;
}

/* Nobody counts those who wait to receive. */
static int msg_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    sysv_traces(state.msg_ctime, state.msg_stime, state.msg_rtime, out);
    sysv_traces_user(state.msg_lspid, state.msg_stime, out);
    sysv_traces_user(state.msg_lrpid, state.msg_rtime, out);
    out->bytes_known = true;
    out->bytes = state.__msg_cbytes;
    out->content_known = true;
    out->content = state.msg_qnum;
    return 0;
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

/* ---- what ctl/events sees ---- */

/* Full is what has no room for one byte more, or for one message more (msg_fits_inqueue(), Linux ipc/msg.c). */
static void show_fill(const union sysv_state *state, struct ipcfs_seen *seen)
{
    const struct msqid_ds *queue = &state->msg;
    bool full = queue->__msg_cbytes >= queue->msg_qbytes || queue->msg_qnum >= queue->msg_qbytes;
    seen->fill = queue->msg_qnum == 0 ? IPCFS_FILL_EMPTY : full ? IPCFS_FILL_FULL : IPCFS_FILL_SOME;
}

static int msg_look(ipcfs_seen_row *row, void *data)
{
    return sysv_look(&table, show_fill, row, data);
}

const struct ipcfs_backend ipcfs_sysv_msg_backend = {
    .kind = "sysv/msg",
    .help = "System V message queues (msgget): a write sends a message of type 1, a read receives one",
    .directories = msg_directories,
    .fields = sysv_msg_fields,
    .limit_fields = sysv_msg_limit_fields,
    .limit_rows = sysv_msg_limit_rows,
    .totals = sysv_msg_totals,
    .options = sysv_msg_options,
    .verbs = sysv_msg_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = msg_start,
    .stop = sysv_stop,
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
    .release = sysv_release,
    .stat = msg_stat,
    .change = msg_change,
    .members = refuse_members,
    .render = msg_render,
    .recognize = refuse_recognize,
    .traces = msg_traces,
    .watched = refuse_watched,
    .watched_name = refuse_watched_name,
    .look = msg_look,
    .limits = msg_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = msg_open,
    .may_execute = refuse_execute,
    .close = sysv_msg_close,
    .try_read = sysv_msg_try_read,
    .try_write = sysv_msg_try_write,
    .message_room = sysv_msg_room,
    .lane = sysv_msg_lane,
    .poll = sysv_msg_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .messages = true,
    .makes = IPCFS_MAKES_FILES,
};
