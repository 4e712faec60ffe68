/* SPDX-License-Identifier: MIT */
/* What has its size for good: one object, "x". */
#include "parts_native.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct statx slab_attributes(void)
{
    return (struct statx){
        .stx_ino = 77, .stx_mode = S_IFREG | 0600, .stx_nlink = 1, .stx_size = (uint64_t)native.slab_size};
}

static int find_slab(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    static const struct set_object object = {.number = 77, .birth = 1};
    (void)directory;
    if (strcmp(name, "x") != 0)
        return -ENOENT;
    *out = (struct ipcfs_found){.id = {object.number, object.birth}, .stat = slab_attributes()};
    return hold ? native_new_hold(&object, hold) : 0;
}

static int hold_slab(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    const struct set_object object = {.number = ref->id.number, .birth = ref->id.birth};
    return native_new_hold(&object, out);
}

static int stat_slab(const struct ipcfs_ref *ref, struct statx *out)
{
    (void)ref;
    *out = slab_attributes();
    return 0;
}

/* A size is refused, whatever it is. */
static int change_slab(const struct ipcfs_ref *ref, struct ipcfs_file *file,
                       const struct ipcfs_change *change)
{
    (void)ref;
    if (file && file->what != SLAB)
        atomic_fetch_add(&native.wrong, 1);
    native.changes++;
    return change->mask & IPCFS_CHANGE_SIZE ? -EINVAL : 0;
}

static int open_slab(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    assert_non_null(ref->hold);
    (void)flags;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return -ENOMEM;
    (*out)->what = SLAB;
    atomic_fetch_add(&native.files, 1);
    return 0;
}

static int no_backing(const struct ipcfs_ref *ref)
{
    (void)ref;
    return -EOPNOTSUPP;
}

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)file;
    (void)flags;
    (void)wait;
    size_t left = offset < native.slab_size ? (size_t)(native.slab_size - offset) : 0;
    size_t count = left < size ? left : size;
    memcpy(buffer, native.slab + (left ? offset : 0), count);
    return (ssize_t)count;
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    (void)file;
    (void)flags;
    (void)wait;
    if (offset + (off_t)size > native.slab_size)
        return -EFBIG;
    memcpy(native.slab + offset, data, size);
    return (ssize_t)size;
}

static const struct ipcfs_verb no_files[] = {{0}};
static const struct ipcfs_field fields[] = {{"name", IPCFS_NAME, "", "its name"}, {0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const char *const slab_directories[] = {"slab", NULL};

const struct ipcfs_backend slab_kind = {
    .kind = "slab",
    .help = "slabs",
    .directories = slab_directories,
    .fields = fields,
    .limit_fields = no_fields,
    .options = no_fields,
    .verbs = no_files,
    .files = no_files,
    .member_files = no_files,
    .survey_fields = no_fields,
    .start = native_start,
    .stop = native_stop,
    .stat_directory = native_stat_directory,
    .stat_system = native_stat_system,
    .find = find_slab,
    .list_open = native_list_open,
    .list_seek = native_list_seek,
    .list_next = native_list_next,
    .list_close = native_list_close,
    .list_render = native_list_render,
    .rename = native_refuse_rename,
    .hold = hold_slab,
    .release = native_release,
    .stat = stat_slab,
    .change = change_slab,
    .render = native_render,
    .open = open_slab,
    .backing = no_backing,
    .close = native_close_file,
    .try_read = try_read,
    .try_write = try_write,
    .message_room = native_message_room,
    .lane = native_lane,
    .poll = native_poll_file,
    .try_lock = native_try_lock,
    .allocate = native_refuse_allocate,
    .seek = native_refuse_seek,
    .fixed_size = true,
    .makes = IPCFS_MAKES_FILES,
};
