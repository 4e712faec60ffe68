/* SPDX-License-Identifier: MIT */
#include "sysv_show.h"

void sysv_show_object(int id, const struct ipc_perm *perm, struct ipcfs_value *values)
{
    values[SYSV_FIELD_ID] = ipcfs_number((uint64_t)id);
    values[SYSV_FIELD_KEY] = ipcfs_number((uint32_t)perm->__key);
    values[SYSV_FIELD_MODE] = ipcfs_number(perm->mode & 0777);
    values[SYSV_FIELD_UID] = ipcfs_number(perm->uid);
    values[SYSV_FIELD_GID] = ipcfs_number(perm->gid);
    values[SYSV_FIELD_CUID] = ipcfs_number(perm->cuid);
    values[SYSV_FIELD_CGID] = ipcfs_number(perm->cgid);
}

struct ipcfs_value sysv_time_value(time_t time)
{
    return (struct ipcfs_value){.known = time != 0, .time = {.tv_sec = time}};
}

static time_t earlier(time_t a, time_t b)
{
    return !b || (a && a < b) ? a : b;
}

void sysv_traces(time_t changed, time_t used, time_t also_used, struct ipcfs_traces *out)
{
    *out = (struct ipcfs_traces){.users_told = true};
    out->created.tv_sec = earlier(changed, earlier(used, also_used));
    out->used.tv_sec = used > also_used ? used : also_used;
}

static bool is_told(const struct ipcfs_traces *traces, pid_t pid)
{
    for (size_t i = 0; i < traces->user_count; i++)
        if (traces->users[i] == pid)
            return true;
    return false;
}

void sysv_traces_user(pid_t pid, bool used, struct ipcfs_traces *traces)
{
    bool room = traces->user_count < IPCFS_TRACES_USERS;
    if (pid && is_told(traces, pid))
        return;
    if (pid && room)
        traces->users[traces->user_count++] = pid;
    else if (pid || used)
        traces->users_told = false;
}
