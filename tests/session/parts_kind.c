/* SPDX-License-Identifier: MIT */
#include "parts_native.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- directories ---- */

static struct statx attributes(const struct set_object *object)
{
    return (struct statx){.stx_ino = object->number,
                          .stx_mode = (uint16_t)(S_IFDIR | object->mode),
                          .stx_uid = object->uid,
                          .stx_gid = object->gid,
                          .stx_nlink = 2};
}

static int find_set(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    pthread_mutex_lock(&native_lock);
    const struct set_object *object = native_by_name(name);
    int error = object ? 0 : -ENOENT;
    if (object)
        *out = (struct ipcfs_found){.id = {object->number, object->birth}, .stat = attributes(object)};
    if (object && hold)
        error = native_new_hold(object, hold);
    pthread_mutex_unlock(&native_lock);
    return error;
}

/* ---- objects ---- */

static int hold_set(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    pthread_mutex_lock(&native_lock);
    const struct set_object *object = native_meant(ref);
    int error = object ? native_new_hold(object, out) : -ESTALE;
    pthread_mutex_unlock(&native_lock);
    return error;
}

static int stat_set(const struct ipcfs_ref *ref, struct statx *out)
{
    pthread_mutex_lock(&native_lock);
    const struct set_object *object = native_meant(ref);
    if (object)
        *out = attributes(object);
    pthread_mutex_unlock(&native_lock);
    return object ? 0 : -ESTALE;
}

static int members(const struct ipcfs_ref *ref)
{
    pthread_mutex_lock(&native_lock);
    int count = native_meant(ref) ? MEMBERS : -ESTALE;
    pthread_mutex_unlock(&native_lock);
    return count;
}

static int create_set(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    native.maker = geteuid();
    native.mode = wish->mode;
    native.creations++;
    if (native.create_error)
        return native.create_error;
    pthread_mutex_lock(&native_lock);
    const struct set_object *object = NULL;
    int error = native_by_name(wish->name) ? -EEXIST : -ENOSPC;
    if (error == -ENOSPC &&
        (object = native_make(wish->name, wish->mode, wish->caller->uid, wish->caller->gid))) {
        /* One by one: nothing says that who has no file to give must say so. */
        out->found = (struct ipcfs_found){.id = {object->number, object->birth}, .stat = attributes(object)};
        out->made = true;
        error = native_new_hold(object, &out->hold);
        if (error)
            *parts_object(wish->name)->name = '\0';
    }
    pthread_mutex_unlock(&native_lock);
    return error;
}

static void uncreate_set(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    assert_true(created->made && geteuid() == native.maker);
    native.uncreations++;
    (void)parts_remove(name);
}

static int remove_set(unsigned directory, const char *name)
{
    (void)directory;
    native.maker = geteuid();
    return parts_remove(name);
}

static int change_set(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    assert_null(file);
    native.changes++;
    pthread_mutex_lock(&native_lock);
    struct set_object *object = native_meant(ref);
    if (object && change->mask & IPCFS_CHANGE_MODE)
        object->mode = change->mode & 07777;
    pthread_mutex_unlock(&native_lock);
    return !object ? -ESTALE : change->mask & IPCFS_CHANGE_SIZE ? -EISDIR : 0;
}

/* ---- what is waited for ---- */

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    assert_int_equal(file->what, WAITS);
    assert_true(size >= 16);
    int value = native_add_to(file, -1, wait);
    return value < 0 ? value : snprintf(buffer, size, "%d\n", value);
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    (void)data;
    (void)offset;
    (void)flags;
    if (file->what != COMMANDS)
        return -EBADF;
    if (file->error)
        return file->error;
    int value = native_add_to(file, file->change, wait);
    return value < 0 ? value : (ssize_t)size;
}

/* ---- files ---- */

static int read_value(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    pthread_mutex_lock(&native_lock);
    const struct set_object *object = native_meant(ref);
    if (object)
        text_printf(out, "%d\n", object->values[number]);
    pthread_mutex_unlock(&native_lock);
    return object ? 0 : -ESTALE;
}

static int read_words(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)ref;
    text_printf(out, "words of %" PRId64 "\n", number);
    return 0;
}

/* The object for a change: to a file in an object there is always a hold. */
static int write_values(const struct ipcfs_ref *ref, int64_t number, int value, bool add)
{
    native.writer = geteuid();
    if (!ref->hold)
        atomic_fetch_add(&native.wrong, 1);
    pthread_mutex_lock(&native_lock);
    struct set_object *object = native_meant(ref);
    if (object)
        object->values[number] = value + (add ? object->values[number] : 0);
    pthread_mutex_unlock(&native_lock);
    native_wake();
    return object ? 0 : -ESTALE;
}

static int write_value(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    assert_int_equal(strlen(written->data), written->size);
    if (*written->data < '0' || *written->data > '9') {
        text_printf(written->reason, "%s: not a number", written->data);
        return -EINVAL;
    }
    return write_values(ref, number, (int)strtol(written->data, NULL, 10), false);
}

static int write_post(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    if (strcmp(written->data, "full") == 0)
        return -EOVERFLOW;
    return write_values(ref, number, written->size ? (int)strtol(written->data, NULL, 10) : 1, true);
}

static int open_wait(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    native.opener = geteuid();
    return flags & O_EXCL ? -EINVAL : native_new_file(WAITS, ref, number, out);
}

static int open_hold(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    native.opener = geteuid();
    return flags & O_EXCL ? -EINVAL : native_new_file(HOLDS, ref, number, out);
}

/* "+N" and "-N" change the member's value; "full" is refused only when it is tried, "stale" and others at once. */
static int prepare(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written,
                   struct ipcfs_file **out)
{
    native.commander = geteuid();
    native.command_held = ref->hold != NULL;
    bool full = strncmp(written->data, "full", 4) == 0;
    if (strlen(written->data) != written->size || !ref->hold) {
        atomic_fetch_add(&native.wrong, 1);
        return -EBADF;
    }
    if (strcmp(written->data, "stale") == 0)
        return -ESTALE;
    if (!full && *written->data != '+' && *written->data != '-') {
        text_printf(written->reason, "%.*s: not +N or -N", (int)strcspn(written->data, "\n"), written->data);
        return -EINVAL;
    }
    int error = native_new_file(COMMANDS, ref, number, out);
    if (!error) {
        (*out)->change = (int)strtol(written->data, NULL, 10);
        (*out)->error = full ? -ERANGE : 0;
    }
    return error;
}

#define OF_MEMBERS                                                                                           \
    {.name = "value",                                                                                        \
     .mode = 0666,                                                                                           \
     .read_needs = IPCFS_NEEDS_READ,                                                                         \
     .write_needs = IPCFS_NEEDS_WRITE,                                                                       \
     .help = "the value",                                                                                    \
     .read = read_value,                                                                                     \
     .write = write_value},                                                                                  \
        {.name = "post",                                                                                     \
         .mode = 0222,                                                                                       \
         .write_needs = IPCFS_NEEDS_WRITE,                                                                   \
         .help = "adds to it",                                                                               \
         .blank = true,                                                                                      \
         .write = write_post},                                                                               \
        {.name = "wait",                                                                                     \
         .type = IPCFS_VERB_FILE,                                                                            \
         .mode = 0444,                                                                                       \
         .read_needs = IPCFS_NEEDS_WRITE,                                                                    \
         .help = "takes one",                                                                                \
         .unlisted = true,                                                                                   \
         .open = open_wait},                                                                                 \
        {.name = "hold",                                                                                     \
         .type = IPCFS_VERB_HOLD,                                                                            \
         .mode = 0666,                                                                                       \
         .read_needs = IPCFS_NEEDS_WRITE,                                                                    \
         .write_needs = IPCFS_NEEDS_WRITE,                                                                   \
         .help = "has one",                                                                                  \
         .open = open_hold},                                                                                 \
    {                                                                                                        \
        .name = "op", .type = IPCFS_VERB_COMMAND, .mode = 0666, .read_needs = IPCFS_NEEDS_READ,              \
        .write_needs = IPCFS_NEEDS_READ | IPCFS_NEEDS_WRITE, .help = "+N or -N", .read = read_words,         \
        .prepare = prepare                                                                                   \
    }

static const struct ipcfs_verb files[] = {
    OF_MEMBERS,
    {.name = "words", .mode = 0444, .help = "for all", .read = read_words},
    {0},
};
static const struct ipcfs_verb member_files[] = {OF_MEMBERS, {0}};
static const struct ipcfs_verb verbs[] = {
    {.name = "op", .type = IPCFS_VERB_COMMAND, .mode = 0666, .help = "+N or -N", .prepare = prepare},
    {0},
};
static const struct ipcfs_field fields[] = {{"name", IPCFS_NAME, "", "its name"}, {0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const char *const set_directories[] = {"set", NULL};

const struct ipcfs_backend set_kind = {
    .kind = "set",
    .help = "sets",
    .directories = set_directories,
    .fields = fields,
    .limit_fields = no_fields,
    .options = no_fields,
    .verbs = verbs,
    .files = files,
    .member_files = member_files,
    .survey_fields = no_fields,
    .start = native_start,
    .stop = native_stop,
    .stat_directory = native_stat_directory,
    .stat_system = native_stat_system,
    .find = find_set,
    .list_open = native_list_open,
    .list_seek = native_list_seek,
    .list_next = native_list_next,
    .list_close = native_list_close,
    .list_render = native_list_render,
    .create = create_set,
    .uncreate = uncreate_set,
    .remove = remove_set,
    .rename = native_refuse_rename,
    .hold = hold_set,
    .release = native_release,
    .stat = stat_set,
    .change = change_set,
    .members = members,
    .render = native_render,
    .close = native_close_file,
    .try_read = try_read,
    .try_write = try_write,
    .message_room = native_message_room,
    .lane = native_lane,
    .poll = native_poll_file,
    .try_lock = native_try_lock,
    .allocate = native_refuse_allocate,
    .seek = native_refuse_seek,
    .makes = IPCFS_MAKES_DIRECTORIES,
};

const struct ipcfs_backend *const ipcfs_backends[] = {&set_kind, &slab_kind, NULL};
