/* SPDX-License-Identifier: MIT */
/* System V shared memory beside native users: names, identity, creation with options, walks, and what ctl/ shows. */
#include "sysv_shm_subject.h"

#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* ---- tables ---- */

static void test_tables(void **state)
{
    (void)state;
    check_slots();
    assert_true(kind->fixed_size && !kind->messages && !kind->range_locks);
    assert_string_equal(kind->directories[BY_ID], "sysv/shm/by-id");
    assert_string_equal(kind->directories[BY_KEY], "sysv/shm/by-key");
    assert_true(fields_count(kind->fields) <= IPCFS_FIELDS_MAX);
    assert_true(fields_count(kind->limit_fields) <= IPCFS_FIELDS_MAX);
    assert_false(ipcfs_is_directory(kind));
}

static void test_system(void **state)
{
    (void)state;
    struct statvfs system;
    (void)native_segment(0x2a, 3 * PAGE, 0600);
    assert_int_equal(kind->stat_system(&system), 0);
    assert_int_equal(system.f_blocks, 0); /* no limit */
    long shmmni = set_kernel("shmmni", 7);
    long shmall = set_kernel("shmall", 10);
    int error = kind->stat_system(&system);
    (void)set_kernel("shmmni", shmmni);
    (void)set_kernel("shmall", shmall);
    assert_int_equal(error, 0);
    assert_true(system.f_files == 7 && system.f_ffree == 6 && system.f_bsize == PAGE);
    assert_true(system.f_blocks == 10 && system.f_bfree == 7 && system.f_bavail == 7);
    assert_int_equal(system.f_namemax, 10);
}

/* ---- names ---- */

static void test_names_of_a_native_segment(void **state)
{
    (void)state;
    char name[16];
    int id = native_segment((key_t)0x8abcdef1, SIZE, 0640);
    (void)snprintf(name, sizeof name, "%d", id);
    struct ipcfs_found by_id;
    struct ipcfs_found by_key;
    assert_int_equal(find_in(BY_ID, name), id);
    assert_int_equal(find_in(BY_KEY, "0x8abcdef1"), id);
    assert_int_equal(find_in(BY_KEY, "0x8ABCDEF1"), id);
    assert_int_equal(find_in(BY_KEY, "0x8abcdef2"), -ENOENT);
    assert_int_equal(find_in(BY_KEY, "0x0"), -ENOENT);
    assert_int_equal(find_in(BY_ID, "0x8abcdef1"), -ENOENT);
    assert_int_equal(find_in(BY_ID, "99999"), -ENOENT);
    assert_int_equal(kind->find(BY_ID, name, &by_id, NULL), 0);
    assert_int_equal(kind->find(BY_KEY, "0x8abcdef1", &by_key, NULL), 0);
    assert_true(ipcfs_same_object(by_id.id, by_key.id));
    assert_true(by_id.id.birth == 1 && by_id.stat.stx_nlink == 2);
    assert_int_equal(by_id.stat.stx_mode, S_IFREG | 0640);
    assert_true(by_id.stat.stx_size == SIZE && by_id.stat.stx_blocks == 10);
    assert_int_equal(kind->remove(BY_KEY, "0x8ABCDEF1"), 0);
    assert_int_equal(kind->remove(BY_KEY, "0x8ABCDEF1"), -ENOENT);
    assert_int_equal(kind->remove(BY_ID, name), -ENOENT);
    assert_true(is_gone(id));
}

static void test_private_segment(void **state)
{
    (void)state;
    check_private_object(native_segment(IPC_PRIVATE, 1, 0600));
}

static void test_times(void **state)
{
    (void)state;
    char name[16];
    int id = native_segment(0x2a, 1, 0600);
    (void)snprintf(name, sizeof name, "%d", id);
    struct shmid_ds native = segment_state(id);
    struct statx stat = find_object(name).stat;
    assert_true(stat.stx_atime.tv_sec == native.shm_ctime && stat.stx_mtime.tv_sec == native.shm_ctime);
    sleep(1);
    native_detach(native_attach(id));
    native = segment_state(id);
    assert_true(native.shm_atime > native.shm_ctime);
    stat = find_object(name).stat;
    assert_true(stat.stx_atime.tv_sec == native.shm_atime && stat.stx_mtime.tv_sec == native.shm_dtime);
    assert_int_equal(stat.stx_ctime.tv_sec, native.shm_ctime);
}

/* The first segment of a name space has the id 0, which must not be taken for "whatever bears the name". */
static void test_id_zero(void **state)
{
    (void)state;
    assert_int_equal(unshare(CLONE_NEWIPC), 0);
    struct ipcfs_created object = open_segment(O_RDWR);
    struct ipcfs_ref ref = key_ref(&object, false);
    struct statx stat;
    assert_int_equal(id_of(&object), 0);
    assert_int_equal(write_at(object.file, "zero", 4, 0), 4);
    assert_int_equal(kind->stat(&ref, &stat), 0);
    let_go(&object);
    remove_segment(0);
    (void)native_segment(0x2a, SIZE, 0600);
    assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
}

/* ---- create ---- */

static void test_create_what_is_there(void **state)
{
    (void)state;
    char name[16];
    struct ipcfs_created object = {0};
    int id = native_segment(0x2a, SIZE, 0640);
    (void)snprintf(name, sizeof name, "%d", id);
    assert_int_equal(try_create_key("0x2a", O_RDWR | O_EXCL, 0600, &object), -EEXIST);
    assert_int_equal(try_create(name, O_RDWR | O_EXCL, 0600, &object), -EEXIST);
    object = create_key("0x2a", O_RDWR | O_TRUNC, 0600);
    assert_true(id_of(&object) == id && !object.made);
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_int_equal(write_at(object.file, "x", 1, SIZE - 1), 1);
    assert_int_equal(nattch_of(id), 1);
    let_go(&object);
    object = create_object(name, O_RDONLY, 0600);
    assert_true(id_of(&object) == id && !object.made);
    let_go(&object);
    act_as_user(USER);
    int error = try_create_key("0x2a", O_RDONLY, 0600, &object);
    act_as_user(0);
    assert_int_equal(error, -EACCES);
    assert_int_equal(segment_state(id).shm_perm.mode & 0777, 0640);
}

struct options {
    struct ipcfs_value size;
    struct ipcfs_value hugepage;
    struct ipcfs_value noreserve;
};

static struct options with_size(uint64_t size)
{
    return (struct options){.size = ipcfs_number(size)};
}

static int try_options(unsigned directory, const char *name, const struct options *options,
                       struct text *reason, struct ipcfs_created *out)
{
    const struct ipcfs_wish wish = {.directory = directory,
                                    .name = name,
                                    .flags = O_RDWR | O_CREAT | O_EXCL,
                                    .mode = 0640,
                                    .caller = &self,
                                    .options = options ? &options->size : NULL,
                                    .reason = reason};
    return kind->create(&wish, out);
}

static int try_new(const struct options *options, struct ipcfs_created *out)
{
    return try_options(BY_KEY, "0x2a", options, NULL, out);
}

/* With that errno and that in the reason. */
static void must_refuse(struct options options, int error, const char *expected)
{
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    assert_int_equal(try_options(BY_KEY, "0x2a", &options, &reason, &object), error);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, expected);
    assert_int_equal(try_new(&options, &object), error);
    assert_int_equal(count_objects(), 0);
}

static void test_create_with_options(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created object = {0};
    struct options options = with_size(SIZE);
    assert_string_equal(kind->options[0].name, "size");
    assert_string_equal(kind->options[1].name, "hugepage");
    assert_string_equal(kind->options[2].name, "noreserve");
    assert_int_equal(try_new(&options, &object), 0);
    int id = shmget(0x2a, 0, 0);
    assert_true(object.made && id_of(&object) == id && object.found.id.birth == 1);
    struct shmid_ds native = segment_state(id);
    assert_true(native.shm_segsz == SIZE && (native.shm_perm.mode & 0777) == 0640);
    assert_true(native.shm_nattch == 0 && native.shm_atime == 0); /* as new as any */
    assert_int_equal(write_at(object.file, "used", 4, SIZE - 4), 4);
    assert_int_equal(read_at(object.file, buffer, 4, SIZE - 4), 4);
    assert_int_equal(append(object.file, "x", 1), -EFBIG);
    assert_int_equal(nattch_of(id), 1);
    assert_int_equal(try_new(&options, &object), -EEXIST);
    let_go(&object);
    assert_int_equal(nattch_of(id), 0);
    remove_segment(id);
    options.noreserve = ipcfs_number(1);
    assert_int_equal(try_new(&options, &object), 0);
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_true(is_gone(id_of(&object)));
    assert_int_equal(write_at(object.file, "x", 1, 0), -EIDRM);
    let_go(&object);
}

static void test_create_refused(void **state)
{
    (void)state;
    struct options options = with_size(SIZE);
    must_refuse((struct options){0}, -EINVAL, "size= is missing");
    must_refuse(with_size(0), -EINVAL, "size=0: must be at least 1");
    options.noreserve = ipcfs_number(2);
    must_refuse(options, -EINVAL, "noreserve: 0 or 1 is wanted");
    options = with_size(SIZE);
    for (uint64_t wrong = 0; wrong < 4; wrong += 3) {
        options.hugepage = ipcfs_number(wrong);
        must_refuse(options, -EINVAL, "hugepage: a power of two is wanted, such as 2M");
    }
    options.hugepage = ipcfs_number(1);
    must_refuse(options, -EINVAL, "hugepage: a power of two is wanted, such as 2M");
    options.hugepage = ipcfs_number(8192);
    must_refuse(options, -EINVAL, "hugepage=8192: there are no huge pages of that size");
    options.hugepage = ipcfs_number(UINT64_C(1) << 63);
    must_refuse(options, -EINVAL, "hugepage=9223372036854775808: there are no huge pages of that size");
    must_refuse(with_size(UINT64_C(1) << 62), -ENOMEM,
                "size=4611686018427387904: more than memory and swap can be promised for");
}

static void test_create_over_limits(void **state)
{
    (void)state;
    long shmmax = set_kernel("shmmax", 8192);
    must_refuse(with_size(8193), -EINVAL, "size=8193: over kernel.shmmax (8192)");
    (void)set_kernel("shmmax", shmmax);
    long shmall = set_kernel("shmall", 1);
    must_refuse(with_size(4097), -ENOSPC, "size=4097: over kernel.shmall (1 pages, 0 in use)");
    (void)set_kernel("shmall", shmall);
    long shmmni = set_kernel("shmmni", 0);
    must_refuse(with_size(1), -ENOSPC, "kernel.shmmni (0) segments exist");
    (void)set_kernel("shmmni", shmmni);
}

static void test_create_of_huge_pages(void **state)
{
    (void)state;
    struct options options = with_size(UINT64_C(1) << 40); /* more than there can be */
    struct ipcfs_created object = {0};
    AUTO_TEXT reason = {0};
    options.hugepage = ipcfs_number(2 << 20);
    int error = try_options(BY_KEY, "0x2a", &options, &reason, &object);
    if (error == -EINVAL)
        skip(); /* a machine without */
    text_bytes(&reason, "", 1);
    assert_int_equal(error, -ENOMEM);
    assert_string_equal(reason.data, "size=1099511627776: not so many huge pages of 2097152 bytes are free");
    options = with_size(2 << 20);
    options.hugepage = ipcfs_number(2 << 20);
    options.noreserve = ipcfs_number(1);
    assert_int_equal(try_new(&options, &object), 0);
    assert_int_equal(back(&object), -EOPNOTSUPP);
    let_go(&object);
}

static void test_wrong_names(void **state)
{
    (void)state;
    struct options options = with_size(SIZE);
    check_create_refused(&options.size);
    check_wrong_names(native_segment(0x2a, SIZE, 0600));
}

static void test_directories(void **state)
{
    (void)state;
    check_naming_directories();
}

/* ---- what ctl/ shows ---- */

static uint64_t shown(const struct ipcfs_value *values, const char *name)
{
    return number_of(kind->fields, values, name);
}

static void check_shown(const struct ipcfs_value *values, int id)
{
    struct shmid_ds native = segment_state(id);
    assert_int_equal(shown(values, "id"), id);
    assert_int_equal(shown(values, "key"), 0x8000002aU);
    assert_int_equal(shown(values, "mode"), 0640);
    assert_true(shown(values, "uid") == 12 && shown(values, "gid") == 34);
    assert_true(shown(values, "cuid") == 0 && shown(values, "cgid") == 0);
    assert_true(shown(values, "size") == 5 * PAGE - 1 && shown(values, "nattch") == 1);
    assert_true(shown(values, "cpid") == (uint64_t)getpid() && shown(values, "lpid") == (uint64_t)getpid());
    assert_true(shown(values, "rss") == 3 * PAGE && shown(values, "swap") == 0);
    assert_string_equal(find_value(kind->fields, values, "flags")->string, "none");
    assert_int_equal(find_value(kind->fields, values, "atime")->time.tv_sec, native.shm_atime);
    assert_int_equal(find_value(kind->fields, values, "ctime")->time.tv_sec, native.shm_ctime);
    assert_false(find_value(kind->fields, values, "dtime")->known);
}

static void test_render(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    (void)native_segment(1, PAGE, 0600);
    int id = native_segment((key_t)0x8000002a, 5 * PAGE - 1, 0);
    (void)native_segment(2, PAGE, 0600);
    struct shmid_ds native = segment_state(id);
    native.shm_perm.uid = 12;
    native.shm_perm.gid = 34;
    native.shm_perm.mode = 0640;
    assert_int_equal(shmctl(id, IPC_SET, &native), 0);
    char *address = native_attach(id);
    memset(address, 1, 3 * PAGE);
    memset(values, 0x7F, sizeof values); /* every value is set */
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x8000002A"};
    act_as_user(USER); /* everybody sees it, as in /proc/sysvipc/shm */
    int error = kind->render(&ref, values);
    act_as_user(0);
    assert_int_equal(error, 0);
    check_shown(values, id);
    native_detach(address);
}

/* A daemon without a number free for it shows the rest. */
static void test_render_without_proc(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    (void)native_segment(0x2a, PAGE, 0600);
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x2a"};
    int root = open("/proc/self/root", O_PATH | O_CLOEXEC);
    assert_int_equal(chroot("/dev/shm"), 0);
    int error = kind->render(&ref, values);
    assert_int_equal(fchdir(root), 0);
    assert_int_equal(chroot("."), 0);
    close(root);
    assert_int_equal(error, 0);
    assert_int_equal(shown(values, "size"), PAGE);
    assert_false(find_value(kind->fields, values, "rss")->known);
    assert_false(find_value(kind->fields, values, "swap")->known);
}

static uint64_t limit(const struct ipcfs_value *values, const char *name)
{
    return number_of(kind->limit_fields, values, name);
}

static void test_limits(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 0x7F, sizeof values);
    int id = native_segment(1, 2 * PAGE - 1, 0600);
    (void)native_segment(2, 1, 0600);
    char *address = native_attach(id);
    address[0] = 1;
    native_detach(address);
    long shmmni = set_kernel("shmmni", 10);
    long shmmax = set_kernel("shmmax", 1111);
    long shmall = set_kernel("shmall", 100);
    int error = kind->limits(&self, values);
    (void)set_kernel("shmall", 8);
    struct ipcfs_value tight[IPCFS_FIELDS_MAX] = {0};
    int tight_error = kind->limits(&self, tight);
    (void)set_kernel("shmmni", shmmni);
    (void)set_kernel("shmmax", shmmax);
    (void)set_kernel("shmall", shmall);
    assert_true(error == 0 && tight_error == 0);
    assert_true(limit(values, "shmmni") == 10 && limit(values, "segments") == 2);
    assert_int_equal(limit(values, "segments_left"), 8);
    assert_true(limit(values, "shmmax") == 1111 && limit(values, "shmmin") == 1);
    assert_true(limit(values, "shmall") == 100 * PAGE && limit(values, "bytes") == 3 * PAGE);
    assert_int_equal(limit(values, "bytes_left"), 97 * PAGE);
    assert_true(limit(values, "rss") == PAGE && limit(values, "swap") == 0);
    assert_string_equal(find_value(kind->limit_fields, values, "create_limit")->string, "kernel.shmmni");
    assert_string_equal(find_value(kind->limit_fields, tight, "create_limit")->string, "kernel.shmall");
    assert_int_equal(kind->limits(&self, values), 0); /* pages that are too many bytes to count */
    assert_int_equal(limit(values, "shmall"), UINT64_MAX);
}

/* ---- walks ---- */

static int key_of_row(struct ipcfs_lister *lister, const struct ipcfs_entry *entry)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct shmid_ds native = segment_state((int)entry->number);
    assert_int_equal(kind->list_render(lister, entry, values), 0);
    assert_int_equal(shown(values, "id"), entry->number);
    assert_int_equal(shown(values, "key"), native.shm_perm.__key);
    assert_int_equal(shown(values, "rss"), native.shm_perm.__key % 100 ? 0 : PAGE);
    return native.shm_perm.__key;
}

static void test_many(void **state)
{
    (void)state;
    static int ids[MANY];
    for (int i = 0; i < MANY; i++) {
        ids[i] = native_segment(i + 1, PAGE, 0600);
        if ((i + 1) % 100)
            continue;
        char *address = native_attach(ids[i]);
        address[0] = 1;
        native_detach(address);
    }
    check_walk(BY_ID, ids, -1, key_of_row);
    remove_segment(ids[MANY / 2]);
    check_walk(BY_ID, ids, MANY / 2, key_of_row);
    check_walk(BY_KEY, ids, MANY / 2, key_of_row);
    for (int i = 0; i < MANY; i++)
        if (i != MANY / 2)
            remove_segment(ids[i]);
    assert_int_equal(count_objects(), 0);
}

static void walk_to(struct ipcfs_lister *lister, int id, struct ipcfs_entry *entry)
{
    do
        assert_int_equal(kind->list_next(lister, entry), 1);
    while (entry->number != (uint64_t)id);
}

/* What was made or removed since the walk looked at memory. */
static void test_walk_and_changes(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int first = native_segment(1, PAGE, 0600);
    (void)native_segment(2, PAGE, 0600);
    assert_int_equal(kind->list_open(BY_ID, &lister), 0);
    assert_int_equal(kind->list_next(lister, &entry), 1);
    assert_int_equal(kind->list_render(lister, &entry, values), 0);
    int later = native_segment(3, PAGE, 0600);
    remove_segment(first);
    assert_int_equal(kind->list_render(lister, &entry, values), 0); /* as it was */
    assert_int_equal(shown(values, "key"), 1);
    assert_int_equal(kind->list_seek(lister, entry.next), 0);
    walk_to(lister, later, &entry);
    assert_int_equal(kind->list_render(lister, &entry, values), 0);
    assert_int_equal(shown(values, "key"), 3);
    assert_false(find_value(kind->fields, values, "rss")->known);
    assert_int_equal(kind->list_seek(lister, 0), 0);
    walk_to(lister, later, &entry);
    assert_int_equal(kind->list_render(lister, &entry, values), 0);
    assert_int_equal(shown(values, "rss"), 0);
    kind->list_close(lister);
}

/* ---- what cannot be ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *owner = NULL;
    assert_int_equal(kind->rename(BY_KEY, "0x2a", BY_KEY, "0x2b", 0), -EPERM);
    assert_int_equal(kind->link(&ref, BY_KEY, "0x2b"), -EPERM);
    assert_int_equal(kind->allocate(object.file, 0, 0, 10), -EOPNOTSUPP);
    assert_int_equal(kind->seek(object.file, 0, SEEK_DATA), 0);
    assert_int_equal(kind->seek(object.file, 9, SEEK_HOLE), (off_t)segment_state(id_of(&object)).shm_segsz);
    assert_int_equal(kind->seek(object.file, (off_t)segment_state(id_of(&object)).shm_segsz, SEEK_DATA),
                     -ENXIO);
    assert_int_equal(kind->seek(object.file, -1, SEEK_HOLE), -ENXIO);
    assert_int_equal(kind->seek(object.file, 0, SEEK_SET), -EINVAL);
    assert_int_equal(kind->may_execute(&ref), -EACCES);
    assert_int_equal(kind->lock_owner(&ref, &owner), -EOPNOTSUPP);
    assert_int_equal(kind->try_lock(object.file, NULL, NULL), -EOPNOTSUPP);
    assert_int_equal(kind->get_lock(object.file, NULL), -EOPNOTSUPP);
    let_go(&object);
}

/* ---- out of memory ---- */

static int find_back_and_open(void)
{
    struct ipcfs_created object = {0};
    int error = kind->find(BY_KEY, "0x1", &object.found, &object.hold);
    if (error)
        return error;
    struct ipcfs_ref ref = ref_by_hold(&object, "0x1");
    int fd = kind->backing(&ref);
    error = fd < 0 ? fd : kind->open(&ref, O_RDWR, &object.file);
    if (fd >= 0)
        close(fd);
    if (!error)
        kind->close(object.file);
    kind->release(object.hold);
    return error;
}

static int create_existing(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x1", O_RDWR, 0600, &object);
    if (!error)
        let_go(&object);
    return error;
}

static int create_with_size(void)
{
    struct ipcfs_created object = {0};
    struct options options = with_size(SIZE);
    int error = try_new(&options, &object);
    if (error)
        return error;
    ssize_t count = write_at(object.file, "x", 1, 0);
    let_go(&object);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    return count < 0 ? (int)count : 0;
}

static int walk(void)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int error = kind->list_open(BY_ID, &lister);
    if (error)
        return error;
    while (!error && kind->list_next(lister, &entry) == 1)
        error = kind->list_render(lister, &entry, values);
    kind->list_close(lister);
    return error;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    int (*const operations[])(void) = {find_back_and_open, create_existing, create_with_size, walk};
    unsigned failures = 0;
    (void)native_segment(1, 1, 0600);
    for (int i = 1; i < 100; i++)
        (void)native_segment(IPC_PRIVATE, 1, 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++)
        failures += fail_each_allocation(operations[i], 100, NULL);
    assert_true(failures >= 15);
    assert_int_equal(nattch_of(shmget(1, 0, 0)), 0);
}

static const struct CMUnitTest tests[] = {
    TEST(test_tables),
    TEST(test_directories),
    TEST(test_system),
    TEST(test_names_of_a_native_segment),
    TEST(test_private_segment),
    TEST(test_times),
    TEST(test_create_what_is_there),
    TEST(test_create_with_options),
    TEST(test_create_refused),
    TEST(test_create_over_limits),
    TEST(test_create_of_huge_pages),
    TEST(test_wrong_names),
    TEST(test_render),
    TEST(test_render_without_proc),
    TEST(test_limits),
    TEST(test_many),
    TEST(test_walk_and_changes),
    TEST(test_refusals),
    TEST(test_out_of_memory),
    TEST(test_id_zero),
};

const struct suite sysv_shm_suite = {
    .name = "names and state", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/shm"};
