/* SPDX-License-Identifier: MIT */
#include "sysv_msg_show.h"

#include "sysv_msg.h"
#include "sysv_msg_data.h"
#include "sysv_show.h"

#include "ipcfs/number.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

/* ---- state ---- */

enum {
    FIELD_CBYTES = SYSV_FIELDS,
    FIELD_QNUM,
    FIELD_QBYTES,
    FIELD_LSPID,
    FIELD_LRPID,
    FIELD_STIME,
    FIELD_RTIME,
    FIELD_CTIME,
};

const struct ipcfs_field sysv_msg_fields[] = {
    [SYSV_FIELD_ID] = {"id", IPCFS_UNSIGNED, "", "identifier, its name in by-id/"},
    [SYSV_FIELD_KEY] = {"key", IPCFS_KEY, "", "key, its name in by-key/; 0x00000000: IPC_PRIVATE, none"},
    [SYSV_FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [SYSV_FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [SYSV_FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [SYSV_FIELD_CUID] = {"cuid", IPCFS_UNSIGNED, "", "creator"},
    [SYSV_FIELD_CGID] = {"cgid", IPCFS_UNSIGNED, "", "creator's group"},
    [FIELD_CBYTES] = {"cbytes", IPCFS_UNSIGNED, "bytes", "text of all messages queued"},
    [FIELD_QNUM] = {"qnum", IPCFS_UNSIGNED, "", "messages queued"},
    [FIELD_QBYTES] = {"qbytes", IPCFS_UNSIGNED, "bytes", "cbytes at which senders wait"},
    [FIELD_LSPID] = {"lspid", IPCFS_UNSIGNED, "", "process of the last msgsnd; 0: none that is visible"},
    [FIELD_LRPID] = {"lrpid", IPCFS_UNSIGNED, "", "process of the last msgrcv; 0: none that is visible"},
    [FIELD_STIME] = {"stime", IPCFS_TIME, "", "last msgsnd"},
    [FIELD_RTIME] = {"rtime", IPCFS_TIME, "", "last msgrcv"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "creation, or last change of owner, mode or qbytes"},
    {0},
};

void sysv_msg_show_state(int id, const struct msqid_ds *state, struct ipcfs_value *values)
{
    sysv_show_object(id, &state->msg_perm, values);
    values[FIELD_CBYTES] = ipcfs_number(state->__msg_cbytes);
    values[FIELD_QNUM] = ipcfs_number(state->msg_qnum);
    values[FIELD_QBYTES] = ipcfs_number(state->msg_qbytes);
    values[FIELD_LSPID] = ipcfs_number((uint64_t)state->msg_lspid);
    values[FIELD_LRPID] = ipcfs_number((uint64_t)state->msg_lrpid);
    values[FIELD_STIME] = sysv_time_value(state->msg_stime);
    values[FIELD_RTIME] = sysv_time_value(state->msg_rtime);
    values[FIELD_CTIME] = sysv_time_value(state->msg_ctime);
}

/* ---- limits ---- */

enum {
    LIMIT_MSGMNI,
    LIMIT_QUEUES,
    LIMIT_QUEUES_LEFT,
    LIMIT_CREATE,
    LIMIT_MSGMAX,
    LIMIT_MSGMNB,
    LIMIT_MESSAGES,
    LIMIT_BYTES,
};

const struct ipcfs_field sysv_msg_limit_fields[] = {
    [LIMIT_MSGMNI] = {"msgmni", IPCFS_UNSIGNED, "", "so many queues may exist (kernel.msgmni)"},
    [LIMIT_QUEUES] = {"queues", IPCFS_UNSIGNED, "", "that exist"},
    [LIMIT_QUEUES_LEFT] = {"queues_left", IPCFS_UNSIGNED, "", "that may still be made"},
    [LIMIT_CREATE] = {"create_limit", IPCFS_STRING, "", "the limit that a create fails by (ENOSPC)"},
    [LIMIT_MSGMAX] = {"msgmax", IPCFS_UNSIGNED, "bytes", "largest message (kernel.msgmax)"},
    [LIMIT_MSGMNB] = {"msgmnb", IPCFS_UNSIGNED, "bytes",
                      "qbytes of a new queue, and the most that can be set without CAP_SYS_RESOURCE "
                      "(kernel.msgmnb)"},
    [LIMIT_MESSAGES] = {"messages", IPCFS_UNSIGNED, "", "in all queues"},
    [LIMIT_BYTES] = {"bytes", IPCFS_UNSIGNED, "bytes", "in all queues"},
    {0},
};

const struct ipcfs_limit sysv_msg_limit_rows[] = {
    {"sysctl kernel.msgmni", LIMIT_MSGMNI, LIMIT_QUEUES, .scope = IPCFS_LIMITS_NAMESPACE},
    {"sysctl kernel.msgmax", LIMIT_MSGMAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl kernel.msgmnb", LIMIT_MSGMNB, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total sysv_msg_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_QUEUES},
    {IPCFS_TOTAL_MESSAGES, LIMIT_MESSAGES},
    {IPCFS_TOTAL_MESSAGE_BYTES, LIMIT_BYTES},
    {0},
};

void sysv_msg_show_limits(const struct msginfo *info, struct ipcfs_value *values)
{
    /* kernel.msgmni may have been lowered below what exists. */
    int left = info->msgmni > info->msgpool ? info->msgmni - info->msgpool : 0;
    values[LIMIT_MSGMNI] = ipcfs_number((unsigned)info->msgmni);
    values[LIMIT_QUEUES] = ipcfs_number((unsigned)info->msgpool);
    values[LIMIT_QUEUES_LEFT] = ipcfs_number((unsigned)left);
    values[LIMIT_CREATE] = ipcfs_string("kernel.msgmni");
    values[LIMIT_MSGMAX] = ipcfs_number((unsigned)info->msgmax);
    values[LIMIT_MSGMNB] = ipcfs_number((unsigned)info->msgmnb);
    values[LIMIT_MESSAGES] = ipcfs_number((unsigned)info->msgmap);
    values[LIMIT_BYTES] = ipcfs_number((unsigned)info->msgtql);
}

/* ---- qbytes ---- */

const struct ipcfs_field sysv_msg_options[] = {
    [SYSV_MSG_OPTION_QBYTES] = {"qbytes", IPCFS_UNSIGNED, "bytes", "most bytes of text in the queue"},
    {0},
};

static void explain_refusal(uint64_t qbytes, struct text *reason)
{
    struct msginfo info;
    if (!reason || sysv_msg_info(&info) < 0)
        return;
    if (qbytes > (unsigned)info.msgmnb)
        text_printf(reason, "qbytes=%" PRIu64 ": over kernel.msgmnb (%d), needs CAP_SYS_RESOURCE", qbytes,
                    info.msgmnb);
    else
        text_printf(reason, "qbytes=%" PRIu64 ": only owner and creator may set it", qbytes);
}

int sysv_msg_set_qbytes(int id, uint64_t qbytes, struct text *reason)
{
    struct msqid_ds state;
    int error = sysv_msg_state(id, &state);
    if (error)
        return error;
    state.msg_qbytes = (msglen_t)qbytes;
    error = state.msg_qbytes == qbytes ? sysv_msg_set(id, &state) : -EINVAL;
    if (error == -EPERM)
        explain_refusal(qbytes, reason);
    return error;
}

static int qbytes_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    text_printf(out, "%llu\n", (unsigned long long)state.msg_qbytes);
    return text_error(out);
}

static int qbytes_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    uint64_t qbytes = 0;
    if (parse_digits(written->data, written->size, 10, UINT64_MAX, &qbytes)) {
        text_string(written->reason, "qbytes: a number of bytes is wanted");
        return -EINVAL;
    }
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    return id < 0 ? id : sysv_msg_set_qbytes(id, qbytes, written->reason);
}

/* ---- peek and type ---- */

static int peek_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    return id < 0 ? id : sysv_msg_peek(id, number, out);
}

static int type_open(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    if (number < LONG_MIN || number > LONG_MAX)
        return -ENOENT;
    struct msqid_ds state;
    int id = sysv_msg_of_ref(ref, &state);
    if (id < 0)
        return id;
    int error = sysv_check_access(&state.msg_perm, sysv_wanted(flags));
    return error ? error : sysv_msg_file_new(id, &state.msg_perm, flags, (long)number, (long)number, out);
}

const struct ipcfs_verb sysv_msg_verbs[] = {
    {.name = "qbytes",
     .type = IPCFS_VERB_TEXT,
     .mode = 0666,
     .help = "most bytes of text in the queue; written by its owner",
     .read = qbytes_read,
     .write = qbytes_write},
    {.name = "type",
     .type = IPCFS_VERB_FILE,
     .mode = 0666,
     .help =
         "a write sends a message of type N, a read receives the first of type N; 0: of any type, -N: of the "
         "lowest type up to N",
     .numbered = true,
     .unlisted = true,
     .open = type_open},
    {.name = "peek",
     .type = IPCFS_VERB_TEXT,
     .mode = 0444,
     .help = "message N of the queue, from 0 on, which stays there",
     .numbered = true,
     .unlisted = true,
     .read = peek_read},
    {0},
};
