/* SPDX-License-Identifier: MIT */
#include "parts_native.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct natively native;

pthread_mutex_t native_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t generation; /* the futex: changes with every value */

struct ipcfs_lister {
    int next;
    char name[NAME_MAX + 1];
};

/* ---- the objects ---- */

struct set_object *native_by_name(const char *name)
{
    for (int i = 0; i < OBJECTS; i++)
        if (*name && strcmp(native.objects[i].name, name) == 0)
            return &native.objects[i];
    return NULL;
}

struct set_object *native_by_identity(uint64_t number, uint64_t birth)
{
    for (int i = 0; i < OBJECTS; i++)
        if (*native.objects[i].name && native.objects[i].number == number && native.objects[i].birth == birth)
            return &native.objects[i];
    return NULL;
}

struct set_object *native_make(const char *name, mode_t mode, uid_t uid, gid_t gid)
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

struct set_object *native_meant(const struct ipcfs_ref *ref)
{
    if (ref->hold)
        return native_by_identity(ref->hold->number, ref->hold->birth);
    struct set_object *object = native_by_name(ref->name);
    bool any = !ref->id.number && !ref->id.birth;
    bool same = object && object->number == ref->id.number && object->birth == ref->id.birth;
    return any || same ? object : NULL;
}

void native_wake(void)
{
    atomic_fetch_add(&generation, 1);
    (void)syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- for the tests ---- */

void parts_reset(void)
{
    memset(&native, 0, sizeof native);
    native.slab_size = sizeof native.slab;
    (void)native_make("one", 0640, 1000, 1001);
    (void)native_make("two", 0777, 0, 0);
}

struct set_object *parts_object(const char *name)
{
    return native_by_name(name);
}

int parts_remove(const char *name)
{
    pthread_mutex_lock(&native_lock);
    struct set_object *object = native_by_name(name);
    if (object)
        *object->name = '\0';
    pthread_mutex_unlock(&native_lock);
    native_wake();
    return object ? 0 : -ENOENT;
}

int parts_value(const char *name, int member)
{
    pthread_mutex_lock(&native_lock);
    int value = native_by_name(name)->values[member];
    pthread_mutex_unlock(&native_lock);
    return value;
}

void parts_set(const char *name, int member, int value)
{
    pthread_mutex_lock(&native_lock);
    struct set_object *object = native_by_name(name);
    if (object)
        object->values[member] = value;
    pthread_mutex_unlock(&native_lock);
    native_wake();
}

/* ---- holds and files ---- */

int native_new_hold(const struct set_object *object, struct ipcfs_hold **out)
{
    *out = malloc(sizeof **out);
    if (!*out)
        return -ENOMEM;
    **out = (struct ipcfs_hold){object->number, object->birth};
    atomic_fetch_add(&native.holds, 1);
    return 0;
}

void native_release(struct ipcfs_hold *hold)
{
    free(hold);
    atomic_fetch_sub(&native.holds, 1);
}

int native_new_file(enum what what, const struct ipcfs_ref *ref, int64_t member, struct ipcfs_file **out)
{
    assert_non_null(ref->hold);
    pthread_mutex_lock(&native_lock);
    bool there = native_meant(ref);
    pthread_mutex_unlock(&native_lock);
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

void native_close_file(struct ipcfs_file *file)
{
    if (file->locked) {
        pthread_mutex_lock(&native_lock);
        struct set_object *object = native_by_identity(file->number, file->birth);
        if (object)
            object->values[file->member]++;
        pthread_mutex_unlock(&native_lock);
        atomic_fetch_sub(&native.taken, 1);
        native_wake();
    }
    free(file);
    atomic_fetch_sub(&native.files, 1);
}

/* Adds `change`, unless the value would be negative. The new value, or −errno. */
static int add_now(const struct ipcfs_file *file, int change)
{
    int result = -EIDRM;
    pthread_mutex_lock(&native_lock);
    struct set_object *object = native_by_identity(file->number, file->birth);
    if (object) {
        int *value = &object->values[file->member];
        result = *value + change < 0 ? -EAGAIN : (*value += change);
    }
    pthread_mutex_unlock(&native_lock);
    if (result >= 0 && change > 0)
        native_wake();
    return result;
}

int native_add_to(const struct ipcfs_file *file, int change, struct ipcfs_wait *wait)
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

int native_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *wanted, struct ipcfs_wait *wait)
{
    if (file->what != HOLDS || file->locked || !wanted->whole || wanted->range.l_type != F_WRLCK)
        atomic_fetch_add(&native.wrong, 1);
    if (file->what != HOLDS || file->locked)
        return -EBADF;
    int result = native_add_to(file, -1, wait);
    if (result < 0)
        return result;
    file->locked = true;
    atomic_fetch_add(&native.taken, 1);
    return 0;
}

/* Who waits to take from a member, and each sort of command, for themselves. */
uint64_t native_lane(struct ipcfs_file *file, bool writing)
{
    (void)writing;
    uint64_t sort = file->what == COMMANDS ? 100U + (uint64_t)(1000 - file->change) : (uint64_t)file->what;
    return sort * MEMBERS + (uint64_t)file->member;
}

/* ---- what both kinds do alike ---- */

int native_start(void)
{
    return 0;
}

void native_stop(void)
{
}

int native_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    *out = (struct ipcfs_directory){.open_to_all = true};
    return 0;
}

int native_stat_system(struct statvfs *out)
{
    *out = (struct statvfs){.f_bsize = 1, .f_namemax = NAME_MAX};
    return 0;
}

int native_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    *out = calloc(1, sizeof **out);
    if (*out)
        atomic_fetch_add(&native.listers, 1);
    return *out ? 0 : -ENOMEM;
}

int native_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    lister->next = (int)position;
    return 0;
}

int native_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    int found = 0;
    pthread_mutex_lock(&native_lock);
    for (; !found && lister->next < OBJECTS; lister->next++) {
        const struct set_object *object = &native.objects[lister->next];
        if (!*object->name)
            continue;
        (void)memcpy(lister->name, object->name, sizeof lister->name);
        *out = (struct ipcfs_entry){lister->name, object->number, (uint64_t)lister->next + 1, S_IFDIR};
        found = 1;
    }
    pthread_mutex_unlock(&native_lock);
    return found;
}

void native_list_close(struct ipcfs_lister *lister)
{
    free(lister);
    atomic_fetch_sub(&native.listers, 1);
}

int native_refuse_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                         unsigned flags)
{
    (void)directory;
    (void)name;
    (void)to_directory;
    (void)to_name;
    (void)flags;
    return -EPERM;
}

off_t native_refuse_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return -ESPIPE;
}

int native_refuse_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    (void)file;
    (void)mode;
    (void)offset;
    (void)length;
    return -EOPNOTSUPP;
}

int native_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    values[0] = ipcfs_string(ref->name);
    return 0;
}

int native_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values)
{
    (void)lister;
    values[0] = ipcfs_string(entry->name);
    return 0;
}

size_t native_message_room(struct ipcfs_file *file)
{
    (void)file;
    return 16;
}

int native_poll_file(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    (void)wait;
    return 0;
}
