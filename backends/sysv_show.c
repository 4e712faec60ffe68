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
