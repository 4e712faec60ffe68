/* SPDX-License-Identifier: MIT */
#include "mq_show.h"

#include <errno.h>
#include <mqueue.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the status file ---- */

/* The number behind "`key`:"; 0 where there is none. */
static uint64_t status_number(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

int mq_read_status(int fd, struct mq_status *out)
{
    char text[128];
    ssize_t count = pread(fd, text, sizeof text - 1, 0);
    if (count < 0)
        return -errno;
    text[count] = '\0';
    *out = (struct mq_status){
        .bytes = status_number(text, "QSIZE:"),
        .notify = (int)status_number(text, " NOTIFY:"),
        .signo = (int)status_number(text, " SIGNO:"),
        .pid = (int)status_number(text, " NOTIFY_PID:"),
    };
    return 0;
}

/* ---- state ---- */

enum {
    FIELD_NAME,
    FIELD_MAXMSG,
    FIELD_MSGSIZE,
    FIELD_CURMSGS,
    FIELD_BYTES,
    FIELD_NOTIFY,
    FIELD_NOTIFY_SIGNO,
    FIELD_NOTIFY_PID,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_INO,
    FIELD_ATIME,
    FIELD_MTIME,
    FIELD_CTIME,
    FIELD_COUNT,
};

const struct ipcfs_field mq_fields[] = {
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name, without the leading slash of mq_open"},
    [FIELD_MAXMSG] = {"maxmsg", IPCFS_UNSIGNED, "messages", "so many may be in it"},
    [FIELD_MSGSIZE] = {"msgsize", IPCFS_UNSIGNED, "bytes", "the longest message"},
    [FIELD_CURMSGS] = {"curmsgs", IPCFS_UNSIGNED, "messages", "so many are in it"},
    [FIELD_BYTES] = {"bytes", IPCFS_UNSIGNED, "bytes", "of all messages in it"},
    [FIELD_NOTIFY] = {"notify", IPCFS_STRING, "",
                      "what mq_notify asked for: signal, thread, none (SIGEV_NONE); off: nobody asked"},
    [FIELD_NOTIFY_SIGNO] = {"notify_signo", IPCFS_UNSIGNED, "", "the signal it asked for"},
    [FIELD_NOTIFY_PID] = {"notify_pid", IPCFS_UNSIGNED, "", "who asked"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "last message sent or received, or look at its status"},
    [FIELD_MTIME] = {"mtime", IPCFS_TIME, "", "last message sent or received"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "last message, change of attributes or look at its status"},
    {0},
};

static struct ipcfs_value time_value(const struct statx_timestamp *time)
{
    return (struct ipcfs_value){.known = true, .time = {.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec}};
}

static void show_attributes(const char *name, const struct statx *stat, struct ipcfs_value *values)
{
    values[FIELD_NAME] = ipcfs_string(name);
    values[FIELD_MODE] = ipcfs_number(stat->stx_mode & 07777);
    values[FIELD_UID] = ipcfs_number(stat->stx_uid);
    values[FIELD_GID] = ipcfs_number(stat->stx_gid);
    values[FIELD_INO] = ipcfs_number(stat->stx_ino);
    values[FIELD_ATIME] = time_value(&stat->stx_atime);
    values[FIELD_MTIME] = time_value(&stat->stx_mtime);
    values[FIELD_CTIME] = time_value(&stat->stx_ctime);
}

/* SIGEV_SIGNAL is 0, and so is everything where nobody asked. */
static const char *notify_word(const struct mq_status *status)
{
    switch (status->notify) {
    case SIGEV_NONE:
        return "none";
    case SIGEV_THREAD:
        return "thread";
    default:
        return status->signo ? "signal" : "off";
    }
}

/* The pid is 0 where the process is not visible from the daemon's pid name space. */
static void show_status(const struct mq_status *status, struct ipcfs_value *values)
{
    values[FIELD_BYTES] = ipcfs_number(status->bytes);
    values[FIELD_NOTIFY] = ipcfs_string(notify_word(status));
    values[FIELD_NOTIFY_SIGNO] =
        (struct ipcfs_value){.known = status->signo, .number = (uint64_t)status->signo};
    values[FIELD_NOTIFY_PID] = (struct ipcfs_value){.known = status->pid, .number = (uint64_t)status->pid};
}

int mq_show_state(const char *name, const struct statx *stat, int fd, struct ipcfs_value *values)
{
    struct mq_attr attributes;
    struct mq_status status = {0};
    memset(values, 0, FIELD_COUNT * sizeof *values);
    show_attributes(name, stat, values);
    if (fd < 0)
        return 0;
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    values[FIELD_MAXMSG] = ipcfs_number((uint64_t)attributes.mq_maxmsg);
    values[FIELD_MSGSIZE] = ipcfs_number((uint64_t)attributes.mq_msgsize);
    values[FIELD_CURMSGS] = ipcfs_number((uint64_t)attributes.mq_curmsgs);
    int error = mq_read_status(fd, &status);
    if (!error)
        show_status(&status, values);
    return error == -EBADF ? 0 : error; /* it is open for writing only */
}

/* ---- traces ---- */

static struct timespec time_of(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

/* Its times are of its creation, until a message is sent; nothing else tells how old it is. */
int mq_show_traces(const struct statx *stat, int fd, struct ipcfs_traces *out)
{
    struct mq_attr attributes;
    *out = (struct ipcfs_traces){.created = time_of(&stat->stx_mtime), .used = time_of(&stat->stx_mtime)};
    if (fd < 0)
        return 0;
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    out->content_known = true;
    out->content = (uint64_t)attributes.mq_curmsgs;
    return 0;
}
