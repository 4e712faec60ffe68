/* SPDX-License-Identifier: MIT */
#include "refuse.h"

#include <errno.h>
#include <poll.h>

const struct ipcfs_verb refuse_files[] = {{0}};

const struct ipcfs_field refuse_fields[] = {{0}};

int refuse_survey(ipcfs_survey_row *row, void *data)
{
    (void)row;
    (void)data;
    return 0;
}

bool refuse_recognize(const struct ipcfs_thing *thing, uint64_t *number)
{
    (void)thing;
    (void)number;
    return false;
}

int refuse_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}

int refuse_watched(void)
{
    return -EOPNOTSUPP;
}

const char *refuse_watched_name(const char *file, bool *passing)
{
    (void)file;
    (void)passing;
    return NULL;
}

int refuse_look(ipcfs_seen_row *row, void *data)
{
    (void)row;
    (void)data;
    return -EOPNOTSUPP;
}

int refuse_connect(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    (void)wait;
    return -EOPNOTSUPP;
}

void refuse_shutdown(struct ipcfs_file *file, int how)
{
    (void)file;
    (void)how;
}

int refuse_members(const struct ipcfs_ref *ref)
{
    (void)ref;
    return 0;
}

int refuse_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                  unsigned flags)
{
    (void)directory;
    (void)name;
    (void)to_directory;
    (void)to_name;
    (void)flags;
    return -EPERM;
}

int refuse_link(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)ref;
    (void)directory;
    (void)name;
    return -EPERM;
}

int refuse_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    (void)ref;
    (void)flags;
    (void)out;
    return -EISDIR;
}

int refuse_open_node(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    (void)ref;
    (void)flags;
    (void)out;
    return -ENXIO;
}

void refuse_close(struct ipcfs_file *file)
{
    (void)file;
}

ssize_t refuse_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                    struct ipcfs_wait *wait)
{
    (void)file;
    (void)buffer;
    (void)size;
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    return -EBADF;
}

ssize_t refuse_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                     struct ipcfs_wait *wait)
{
    (void)file;
    (void)data;
    (void)size;
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    return -EBADF;
}

int refuse_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    wait->source = IPCFS_WAIT_NONE;
    return POLLERR;
}

size_t refuse_message_room(struct ipcfs_file *file)
{
    (void)file;
    return 0;
}

uint64_t refuse_lane(struct ipcfs_file *file, bool writing)
{
    (void)file;
    return writing;
}

int refuse_execute(const struct ipcfs_ref *ref)
{
    (void)ref;
    return -EACCES;
}

int refuse_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out)
{
    (void)ref;
    (void)out;
    return -EOPNOTSUPP;
}

int refuse_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    (void)file;
    (void)lock;
    (void)wait;
    return -EOPNOTSUPP;
}

int refuse_get_lock(struct ipcfs_file *file, struct flock *range)
{
    (void)file;
    (void)range;
    return -EOPNOTSUPP;
}

int refuse_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    (void)file;
    (void)mode;
    (void)offset;
    (void)length;
    return -EOPNOTSUPP;
}

off_t refuse_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return -ESPIPE;
}

int refuse_backing(const struct ipcfs_ref *ref)
{
    (void)ref;
    return -EOPNOTSUPP;
}
