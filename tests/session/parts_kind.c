/* SPDX-License-Identifier: MIT */
#include "parts_kind.h"

#include <inttypes.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct natively native;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t generation; /* the futex: changes with every value */

struct ipcfs_hold {
    uint64_t number, birth;
};

enum what { WAITS, HOLDS, COMMANDS, SLAB };

struct ipcfs_file {
    enum what what;
    uint64_t number, birth;
    int member;
    int change; /* COMMANDS: what is added to the value */
    int error;  /* COMMANDS: what trying it ends with */
    bool locked;
};

struct ipcfs_lister {
    int next;
};

/* ---- the objects; with the lock held ---- */

static struct set_object *by_name(const char *name)
{
    for (int i = 0; i < OBJECTS; i++)
        if (*name && strcmp(native.objects[i].name, name) == 0)
            return &native.objects[i];
    return NULL;
}

static struct set_object *by_identity(uint64_t number, uint64_t birth)
{
    for (int i = 0; i < OBJECTS; i++)
        if (*native.objects[i].name && native.objects[i].number == number && native.objects[i].birth == birth)
            return &native.objects[i];
    return NULL;
}

static struct set_object *make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
    for (int i = 0; i < OBJECTS; i++) {
        struct set_object *object = &native.objects[i];
        if (*object->name)
            continue;
        *object = (struct set_object){
            .number = 1 + (uint64_t)i, .birth = ++native.births, .mode = mode, .uid = uid};
        object->gid = gid;
        (void)snprintf(object->name, sizeof object->name, "%s", name);
        return object;
    }
    return NULL;
}

/* What a reference means: by its hold, otherwise by name. */
static struct set_object *meant(const struct ipcfs_ref *ref)
{
    if (ref->hold)
        return by_identity(ref->hold->number, ref->hold->birth);
    struct set_object *object = by_name(ref->name);
    bool any = !ref->id.number && !ref->id.birth;
    bool same = object && object->number == ref->id.number && object->birth == ref->id.birth;
    return any || same ? object : NULL;
}

static void wake(void)
{
    atomic_fetch_add(&generation, 1);
    (void)syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- for the tests ---- */

void parts_reset(void)
{
    memset(&native, 0, sizeof native);
    native.slab_size = sizeof native.slab;
    (void)make("one", 0640, 1000, 1001);
    (void)make("two", 0777, 0, 0);
}

struct set_object *parts_object(const char *name)
{
    return by_name(name);
}

void parts_remove(const char *name)
{
    pthread_mutex_lock(&lock);
    *by_name(name)->name = '\0';
    pthread_mutex_unlock(&lock);
    wake();
}

int parts_value(const char *name, int member)
{
    pthread_mutex_lock(&lock);
    int value = by_name(name)->values[member];
    pthread_mutex_unlock(&lock);
    return value;
}

void parts_set(const char *name, int member, int value)
{
    pthread_mutex_lock(&lock);
    by_name(name)->values[member] = value;
    pthread_mutex_unlock(&lock);
    wake();
}

/* ---- directories ---- */

static int start(void)
{
    return 0;
}

static void stop(void)
{
}

static int stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    *out = (struct ipcfs_directory){.open_to_all = true};
    return 0;
}

static int stat_system(struct statvfs *out)
{
    *out = (struct statvfs){.f_bsize = 1, .f_namemax = NAME_MAX};
    return 0;
}

static struct statx attributes(const struct set_object *object)
{
    return (struct statx){.stx_mode = (uint16_t)(S_IFDIR | object->mode),
                          .stx_uid = object->uid,
                          .stx_gid = object->gid,
                          .stx_nlink = 2};
}

static int new_hold(const struct set_object *object, struct ipcfs_hold **out)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return -ENOMEM;
    **out = (struct ipcfs_hold){object->number, object->birth};
    atomic_fetch_add(&native.holds, 1);
    return 0;
}

static int find_set(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    pthread_mutex_lock(&lock);
    const struct set_object *object = by_name(name);
    int error = object ? 0 : -ENOENT;
    if (object)
        *out = (struct ipcfs_found){.id = {object->number, object->birth}, .stat = attributes(object)};
    if (object && hold)
        error = new_hold(object, hold);
    pthread_mutex_unlock(&lock);
    return error;
}

static int list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    *out = calloc(1, sizeof **out);
    if (*out)
        atomic_fetch_add(&native.listers, 1);
    return *out ? 0 : -ENOMEM;
}

static int list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    lister->next = (int)position;
    return 0;
}

static int list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    for (; lister->next < OBJECTS; lister->next++) {
        const struct set_object *object = &native.objects[lister->next];
        if (!*object->name)
            continue;
        *out = (struct ipcfs_entry){object->name, object->number, (uint64_t)++lister->next, S_IFDIR};
        return 1;
    }
    return 0;
}

static void list_close(struct ipcfs_lister *lister)
{
    free(lister);
    atomic_fetch_sub(&native.listers, 1);
}

/* ---- objects ---- */

static int hold_set(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    pthread_mutex_lock(&lock);
    const struct set_object *object = meant(ref);
    int error = object ? new_hold(object, out) : -ESTALE;
    pthread_mutex_unlock(&lock);
    return error;
}

static void release(struct ipcfs_hold *hold)
{
    free(hold);
    atomic_fetch_sub(&native.holds, 1);
}

static int stat_set(const struct ipcfs_ref *ref, struct statx *out)
{
    pthread_mutex_lock(&lock);
    const struct set_object *object = meant(ref);
    if (object)
        *out = attributes(object);
    pthread_mutex_unlock(&lock);
    return object ? 0 : -ESTALE;
}

static int members(const struct ipcfs_ref *ref)
{
    pthread_mutex_lock(&lock);
    int count = meant(ref) ? MEMBERS : -ESTALE;
    pthread_mutex_unlock(&lock);
    return count;
}

static int create_set(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    native.maker = geteuid();
    native.mode = wish->mode;
    native.creations++;
    if (native.create_error)
        return native.create_error;
    pthread_mutex_lock(&lock);
    const struct set_object *object = NULL;
    int error = by_name(wish->name) ? -EEXIST : -ENOSPC;
    if (error == -ENOSPC && (object = make(wish->name, wish->mode, wish->caller->uid, wish->caller->gid))) {
        *out = (struct ipcfs_created){
            .found = {.id = {object->number, object->birth}, .stat = attributes(object)}, .made = true};
        error = new_hold(object, &out->hold);
        if (error)
            *parts_object(wish->name)->name = '\0';
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static void uncreate_set(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    assert_true(created->made && geteuid() == native.maker);
    native.uncreations++;
    parts_remove(name);
}

static int remove_set(unsigned directory, const char *name)
{
    (void)directory;
    if (!by_name(name))
        return -ENOENT;
    native.maker = geteuid();
    parts_remove(name);
    return 0;
}

static int refuse_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                         unsigned flags)
{
    (void)directory;
    (void)name;
    (void)to_directory;
    (void)to_name;
    (void)flags;
    return -EPERM;
}

static int change_set(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    assert_null(file);
    native.changes++;
    pthread_mutex_lock(&lock);
    struct set_object *object = meant(ref);
    if (object && change->mask & IPCFS_CHANGE_MODE)
        object->mode = change->mode & 07777;
    pthread_mutex_unlock(&lock);
    return !object ? -ESTALE : change->mask & IPCFS_CHANGE_SIZE ? -EISDIR : 0;
}

/* ---- what is waited for ---- */

static int new_file(enum what what, const struct ipcfs_ref *ref, int64_t member, struct ipcfs_file **out)
{
    assert_non_null(ref->hold);
    pthread_mutex_lock(&lock);
    bool there = meant(ref);
    pthread_mutex_unlock(&lock);
    if (!there)
        return -EIDRM;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return -ENOMEM;
    **out = (struct ipcfs_file){
        .what = what, .number = ref->hold->number, .birth = ref->hold->birth, .member = (int)member};
    atomic_fetch_add(&native.files, 1);
    return 0;
}

static void close_file(struct ipcfs_file *file)
{
    if (file->locked) {
        pthread_mutex_lock(&lock);
        struct set_object *object = by_identity(file->number, file->birth);
        if (object)
            object->values[file->member]++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_sub(&native.taken, 1);
        wake();
    }
    free(file);
    atomic_fetch_sub(&native.files, 1);
}

/* Adds `change`, unless the value would be negative. The new value, or −errno. */
static int add_now(const struct ipcfs_file *file, int change)
{
    int result = -EIDRM;
    pthread_mutex_lock(&lock);
    struct set_object *object = by_identity(file->number, file->birth);
    if (object) {
        int *value = &object->values[file->member];
        result = *value + change < 0 ? -EAGAIN : (*value += change);
    }
    pthread_mutex_unlock(&lock);
    if (result >= 0 && change > 0)
        wake();
    return result;
}

/* The native call: with `block` it waits, until a signal comes. */
static int add_to(const struct ipcfs_file *file, int change, struct ipcfs_wait *wait)
{
    for (;;) {
        uint32_t before = atomic_load(&generation);
        int result = add_now(file, change);
        if (result != -EAGAIN)
            return result;
        wait->source = IPCFS_WAIT_KEEPER;
        if (!wait->block)
            return -EAGAIN;
        atomic_fetch_add(&native.blocking, 1);
        long error = syscall(SYS_futex, &generation, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
        bool interrupted = error < 0 && errno == EINTR;
        atomic_fetch_sub(&native.blocking, 1);
        if (interrupted)
            return -EINTR;
    }
}

static int try_lock(struct ipcfs_file *file, const struct ipcfs_lock *wanted, struct ipcfs_wait *wait)
{
    if (file->what != HOLDS || file->locked || !wanted->whole || wanted->range.l_type != F_WRLCK)
        atomic_fetch_add(&native.wrong, 1);
    if (file->what != HOLDS || file->locked)
        return -EBADF;
    int result = add_to(file, -1, wait);
    if (result < 0)
        return result;
    file->locked = true;
    atomic_fetch_add(&native.taken, 1);
    return 0;
}

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)flags;
    if (file->what == SLAB) {
        size_t left = offset < native.slab_size ? (size_t)(native.slab_size - offset) : 0;
        size_t count = left < size ? left : size;
        memcpy(buffer, native.slab + (left ? offset : 0), count);
        return (ssize_t)count;
    }
    assert_int_equal(file->what, WAITS);
    assert_true(size >= 16);
    int value = add_to(file, -1, wait);
    return value < 0 ? value : snprintf(buffer, size, "%d\n", value);
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    (void)flags;
    if (file->what == SLAB) {
        if (offset + (off_t)size > native.slab_size)
            return -EFBIG;
        memcpy(native.slab + offset, data, size);
        return (ssize_t)size;
    }
    if (file->what != COMMANDS)
        return -EBADF;
    if (file->error)
        return file->error;
    int value = add_to(file, file->change, wait);
    return value < 0 ? value : (ssize_t)size;
}

static size_t message_room(struct ipcfs_file *file)
{
    (void)file;
    return 16;
}

/* Who waits to take from a member, and each sort of command, for themselves. */
static uint64_t lane(struct ipcfs_file *file, bool writing)
{
    (void)writing;
    uint64_t sort = file->what == COMMANDS ? 100U + (uint64_t)(1000 - file->change) : (uint64_t)file->what;
    return sort * MEMBERS + (uint64_t)file->member;
}

static int poll_file(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    (void)wait;
    return 0;
}

static off_t refuse_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return -ESPIPE;
}

static int refuse_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    (void)file;
    (void)mode;
    (void)offset;
    (void)length;
    return -EOPNOTSUPP;
}

/* ---- files ---- */

static int read_value(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    pthread_mutex_lock(&lock);
    const struct set_object *object = meant(ref);
    if (object)
        text_printf(out, "%d\n", object->values[number]);
    pthread_mutex_unlock(&lock);
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
    pthread_mutex_lock(&lock);
    struct set_object *object = meant(ref);
    if (object)
        object->values[number] = value + (add ? object->values[number] : 0);
    pthread_mutex_unlock(&lock);
    wake();
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
    return flags & O_EXCL ? -EINVAL : new_file(WAITS, ref, number, out);
}

static int open_hold(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    native.opener = geteuid();
    return flags & O_EXCL ? -EINVAL : new_file(HOLDS, ref, number, out);
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
    int error = new_file(COMMANDS, ref, number, out);
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
static const struct ipcfs_verb no_files[] = {{0}};
static const struct ipcfs_field fields[] = {{"name", IPCFS_NAME, "", "its name"}, {0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const char *const set_directories[] = {"set", NULL};
static const char *const slab_directories[] = {"slab", NULL};

static int render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    values[0] = ipcfs_string(ref->name);
    return 0;
}

static int list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values)
{
    (void)lister;
    values[0] = ipcfs_string(entry->name);
    return 0;
}

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
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .stat_system = stat_system,
    .find = find_set,
    .list_open = list_open,
    .list_seek = list_seek,
    .list_next = list_next,
    .list_close = list_close,
    .list_render = list_render,
    .create = create_set,
    .uncreate = uncreate_set,
    .remove = remove_set,
    .rename = refuse_rename,
    .hold = hold_set,
    .release = release,
    .stat = stat_set,
    .change = change_set,
    .members = members,
    .render = render,
    .close = close_file,
    .try_read = try_read,
    .try_write = try_write,
    .message_room = message_room,
    .lane = lane,
    .poll = poll_file,
    .try_lock = try_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
};

/* ---- what has its size for good: one object, "x" ---- */

static struct statx slab_attributes(void)
{
    return (struct statx){.stx_mode = S_IFREG | 0600, .stx_nlink = 1, .stx_size = (uint64_t)native.slab_size};
}

static int find_slab(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    static const struct set_object object = {.number = 77, .birth = 1};
    (void)directory;
    if (strcmp(name, "x") != 0)
        return -ENOENT;
    *out = (struct ipcfs_found){.id = {object.number, object.birth}, .stat = slab_attributes()};
    return hold ? new_hold(&object, hold) : 0;
}

static int hold_slab(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    const struct set_object object = {.number = ref->id.number, .birth = ref->id.birth};
    return new_hold(&object, out);
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
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .stat_system = stat_system,
    .find = find_slab,
    .list_open = list_open,
    .list_seek = list_seek,
    .list_next = list_next,
    .list_close = list_close,
    .list_render = list_render,
    .rename = refuse_rename,
    .hold = hold_slab,
    .release = release,
    .stat = stat_slab,
    .change = change_slab,
    .render = render,
    .open = open_slab,
    .backing = no_backing,
    .close = close_file,
    .try_read = try_read,
    .try_write = try_write,
    .message_room = message_room,
    .lane = lane,
    .poll = poll_file,
    .try_lock = try_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .fixed_size = true,
};

const struct ipcfs_backend *const ipcfs_backends[] = {&set_kind, &slab_kind, NULL};
