/* SPDX-License-Identifier: MIT */
#include "sysv.h"

#include "ipcfs/capability.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---- */

bool sysv_parse_id(const char *name, int *id)
{
    int64_t number = 0;
    if (!parse_canonical(name, &number) || number < 0 || number > INT_MAX)
        return false;
    *id = (int)number;
    return true;
}

bool sysv_parse_key(const char *name, key_t *key)
{
    if (name[0] != '0' || name[1] != 'x')
        return false;
    const char *digits = name + 2;
    size_t length = strspn(digits, "0123456789abcdefABCDEF");
    if (length < 1 || length > 8 || digits[length])
        return false;
    *key = (key_t)strtoul(digits, NULL, 16);
    return true;
}

struct ipcfs_objid sysv_object_id(int id)
{
    return (struct ipcfs_objid){.number = (uint64_t)id, .birth = 1};
}

/* ---- permission ---- */

static int is_in_some_group(const struct ipc_perm *perm, const gid_t *groups, int count)
{
    for (int i = 0; i < count; i++)
        if (groups[i] == perm->gid || groups[i] == perm->cgid)
            return true;
    return false;
}

struct sysv_opener {
    uid_t uid;
    bool privileged;
    int count;
    gid_t groups[]; /* the effective one first */
};

struct sysv_opener *sysv_opener_new(void)
{
    int count = getgroups(0, NULL);
    if (count < 0)
        return NULL;
    struct sysv_opener *opener = malloc(sizeof *opener + (1 + (size_t)count) * sizeof opener->groups[0]);
    if (!opener)
        return NULL;
    *opener = (struct sysv_opener){.uid = geteuid(), .privileged = has_capability(CAP_IPC_OWNER)};
    opener->groups[0] = getegid();
    count = getgroups(count, opener->groups + 1);
    opener->count = 1 + (count > 0 ? count : 0);
    return opener;
}

void sysv_opener_free(struct sysv_opener *opener)
{
    free(opener);
}

int sysv_opener_check(const struct sysv_opener *opener, const struct ipc_perm *perm, unsigned wanted)
{
    unsigned granted = perm->mode;
    if (opener->uid == perm->uid || opener->uid == perm->cuid)
        granted >>= 6;
    else if (is_in_some_group(perm, opener->groups, opener->count))
        granted >>= 3;
    return (wanted & ~granted) == 0 || opener->privileged ? 0 : -EACCES;
}

int sysv_check_access(const struct ipc_perm *perm, unsigned wanted)
{
    struct sysv_opener *self = sysv_opener_new();
    if (!self)
        return -ENOMEM;
    int error = sysv_opener_check(self, perm, wanted);
    sysv_opener_free(self);
    return error;
}

int sysv_opener_check_same(const struct sysv_opener *opener, const struct ipc_perm *then,
                           const struct ipc_perm *now, unsigned wanted)
{
    if (then->__key != now->__key || then->cuid != now->cuid || then->cgid != now->cgid)
        return -EIDRM;
    if (then->uid == now->uid && then->gid == now->gid && then->mode == now->mode)
        return 0;
    return sysv_opener_check(opener, now, wanted);
}

unsigned sysv_wanted(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return SYSV_READ;
    case O_WRONLY:
        return SYSV_WRITE;
    default:
        return SYSV_READ | SYSV_WRITE;
    }
}

/* ---- attributes ---- */

void sysv_stat(int id, const struct ipc_perm *perm, struct statx *out)
{
    *out = (struct statx){
        .stx_mask = STATX_BASIC_STATS,
        .stx_ino = (uint64_t)id,
        .stx_mode = (uint16_t)(S_IFREG | (perm->mode & 0777)),
        .stx_uid = perm->uid,
        .stx_gid = perm->gid,
        .stx_nlink = perm->__key == IPC_PRIVATE ? 1 : 2,
        .stx_blksize = 4096,
    };
}

void sysv_stat_system(uint64_t limit, uint64_t used, struct statvfs *out)
{
    fsfilcnt_t left = limit > used ? limit - used : 0;
    *out = (struct statvfs){
        .f_bsize = 4096,
        .f_frsize = 4096,
        .f_files = limit,
        .f_ffree = left,
        .f_favail = left,
        .f_namemax = SYSV_NAME_ROOM - 1,
    };
}

int sysv_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    /* Everybody may create; who may remove is the object's own matter, so that no sticky bit must be in
     * the way. */
    *out = (struct ipcfs_directory){.open_to_all = true};
    return 0;
}
