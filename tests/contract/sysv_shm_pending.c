/* SPDX-License-Identifier: MIT */
/* System V shared memory made as a file is: created first, and given its size afterwards. */
#include "sysv_shm_subject.h"

#include "failing.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static int id_of_key(key_t key)
{
    return shmget(key, 0, 0);
}

static struct ipcfs_created promise(int flags, mode_t mode)
{
    struct ipcfs_created object = create_key("0x2a", flags, mode);
    assert_true(object.made);
    return object;
}

static void must_be_unmade(const struct ipcfs_created *object, mode_t mode)
{
    struct ipcfs_ref ref = key_ref(object, true);
    struct ipcfs_found found;
    struct statx stat;
    assert_int_equal(id_of_key(0x2a), -1);
    assert_int_equal(kind->find(BY_KEY, "0x2a", &found, NULL), -ENOENT);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), -ENOENT);
    assert_int_equal(count_objects(), 0);
    assert_int_equal(kind->stat(&ref, &stat), 0);
    assert_int_equal(stat.stx_mode, S_IFREG | mode);
    assert_true(stat.stx_size == 0 && stat.stx_blocks == 0 && stat.stx_nlink == 1);
}

/* ---- while there is no segment ---- */

static void test_promise(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0640);
    struct ipcfs_created other = create_key("0x2a", O_RDWR, 0600);
    assert_false(ipcfs_same_object(object.found.id, other.found.id));
    assert_true(object.found.id.birth == 2 && object.found.id.number >> 40 == 1);
    let_go(&other);
    must_be_unmade(&object, 0640);
    assert_true(object.found.stat.stx_mtime.tv_sec > 1000000000);
    assert_int_equal(read_at(object.file, buffer, 4, 0), 0);
    assert_int_equal(write_at(object.file, "", 0, 100), 0);
    assert_int_equal(set_size(&object, object.file, 0), 0);
    assert_int_equal(set_size(&object, NULL, 0), 0);
    assert_int_equal(set_size(&object, object.file, -1), -EINVAL);
    assert_int_equal(back(&object), -EOPNOTSUPP);
    assert_int_equal(open_error(&object, O_RDWR), -ESTALE);
    kind->uncreate(BY_KEY, "0x2a", &object);
    must_be_unmade(&object, 0640);
    let_go(&object);
    assert_int_equal(id_of_key(0x2a), -1);
}

static void test_attributes_of_a_promise(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0640);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = S_IFREG | 0604};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    change = (struct ipcfs_change){.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID, .uid = 0, .gid = 0};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    change.uid = USER;
    assert_int_equal(kind->change(&ref, NULL, &change), -EPERM);
    change = (struct ipcfs_change){.mask = IPCFS_CHANGE_GID, .gid = USER};
    assert_int_equal(kind->change(&ref, NULL, &change), -EPERM);
    change = (struct ipcfs_change){.mask = IPCFS_CHANGE_TIMES, .times = {{0, UTIME_NOW}, {0, UTIME_NOW}}};
    assert_int_equal(kind->change(&ref, object.file, &change), 0);
    change.times[0] = (struct timespec){1000, 0};
    assert_int_equal(kind->change(&ref, object.file, &change), -EPERM);
    act_as_user(USER);
    int error = set_mode(&object, 0666);
    act_as_user(0);
    assert_int_equal(error, -EPERM);
    must_be_unmade(&object, 0604);
    assert_int_equal(set_size(&object, object.file, SIZE), 0);
    assert_int_equal(segment_state(id_of_key(0x2a)).shm_perm.mode & 0777, 0604);
    let_go(&object);
}

static void test_promise_not_kept(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_RDWR, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_ref without_hold = key_ref(&object, false);
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statx stat;
    struct ipcfs_hold *hold = NULL;
    (void)set_kernel("shm_next_id", (int)object.found.id.number); /* not to be taken for that one */
    int other = native_segment(0x2b, SIZE, 0600);
    assert_int_equal(other, (int)object.found.id.number);
    assert_int_equal(kind->stat(&without_hold, &stat), -ESTALE);
    assert_int_equal(kind->hold(&without_hold, &hold), -ESTALE);
    remove_segment(other);
    assert_int_equal(kind->render(&ref, values), -ESTALE);
    kind->close(object.file);
    assert_int_equal(set_size(&object, NULL, SIZE), -ESTALE);
    assert_int_equal(id_of_key(0x2a), -1);
    kind->release(object.hold);
}

/* ---- the first size ---- */

static void must_be_segment(const struct ipcfs_created *object, size_t size, mode_t mode)
{
    struct ipcfs_ref ref = key_ref(object, true);
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statx stat;
    int id = id_of_key(0x2a);
    assert_true(id >= 0);
    struct shmid_ds native = segment_state(id);
    assert_int_equal(native.shm_segsz, size);
    assert_int_equal(native.shm_perm.mode & 0777, mode);
    assert_int_equal(native.shm_nattch, 1);
    assert_int_equal(kind->stat(&ref, &stat), 0);
    assert_true(stat.stx_size == size && stat.stx_ino == (uint64_t)id && stat.stx_nlink == 2);
    assert_int_equal(kind->render(&ref, values), 0);
    assert_int_equal(number_of(kind->fields, values, "id"), id);
}

static void test_ftruncate_makes_it(void **state)
{
    (void)state;
    for (int by_hold = 0; by_hold < 2; by_hold++) {
        char buffer[8];
        struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0640);
        assert_int_equal(set_size(&object, by_hold ? NULL : object.file, SIZE), 0);
        must_be_segment(&object, SIZE, 0640);
        int id = id_of_key(0x2a);
        char *native = native_attach(id);
        assert_int_equal(write_at(object.file, "new", 3, 4000), 3);
        assert_memory_equal(native + 4000, "new", 3);
        assert_int_equal(read_at(object.file, buffer, 8, SIZE - 1), 1);
        assert_int_equal(write_at(object.file, "x", 1, SIZE), -EFBIG);
        native_detach(native);
        assert_int_equal(set_size(&object, object.file, SIZE), 0);
        assert_int_equal(set_size(&object, object.file, SIZE + 1), -EINVAL);
        assert_int_equal(set_size(&object, object.file, 0), -EINVAL);
        assert_int_equal(open_error(&object, O_RDWR), 0);
        kind->close(object.file);
        assert_int_equal(nattch_of(id), 0);
        assert_int_equal(open_error(&object, O_RDWR), 0); /* the hold is the segment's */
        kind->release(object.hold);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

static void test_write_makes_it(void **state)
{
    (void)state;
    char buffer[32];
    struct ipcfs_created object = promise(O_WRONLY | O_EXCL, 0600);
    assert_int_equal(write_at(object.file, "x", 1, INT64_MAX), -EFBIG);
    assert_int_equal(write_at(object.file, "x", 1, -1), -EINVAL);
    must_be_unmade(&object, 0600);
    assert_int_equal(write_at(object.file, "hello", 5, 10), 5);
    must_be_segment(&object, 15, 0600);
    assert_int_equal(read_at(object.file, buffer, sizeof buffer, 0), -EBADF);
    assert_int_equal(write_at(object.file, "more", 4, 13), 2);
    assert_int_equal(write_at(object.file, "more", 4, 15), -EFBIG);
    char *native = native_attach(id_of_key(0x2a));
    assert_memory_equal(native + 10, "helmo", 5);
    native_detach(native);
    let_go(&object);
}

static void test_append_makes_it(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_WRONLY | O_EXCL, 0600);
    assert_int_equal(append(object.file, "line\n", 5), 5);
    must_be_segment(&object, 5, 0600);
    assert_int_equal(append(object.file, "line\n", 5), -EFBIG);
    let_go(&object);
}

static void test_reader(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created object = promise(O_RDONLY, 0600);
    assert_int_equal(write_at(object.file, "x", 1, 0), -EBADF);
    assert_int_equal(set_size(&object, object.file, SIZE), -EINVAL);
    must_be_unmade(&object, 0600);
    assert_int_equal(set_size(&object, NULL, SIZE), 0);
    assert_int_equal(read_at(object.file, buffer, 4, 0), 4);
    let_go(&object);
}

/* Once it is made, the kernel may carry what comes. */
static void test_backing_of_a_promise(void **state)
{
    (void)state;
    char byte = 0;
    struct ipcfs_created object = promise(O_RDWR, 0600);
    assert_int_equal(back(&object), -EOPNOTSUPP);
    assert_int_equal(set_size(&object, object.file, SIZE), 0);
    int fd = back(&object);
    assert_true(fd >= 0);
    assert_int_equal(write_at(object.file, "b", 1, 77), 1);
    assert_int_equal(pread(fd, &byte, 1, 77), 1);
    assert_int_equal(byte, 'b');
    close(fd);
    assert_int_equal(nattch_of(id_of_key(0x2a)), 1);
    let_go(&object);
    assert_int_equal(nattch_of(id_of_key(0x2a)), 0);
}

static void test_removed_after_it_was_made(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created object = promise(O_RDWR, 0600);
    assert_int_equal(write_at(object.file, "data", 4, 0), 4);
    int id = id_of_key(0x2a);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    assert_int_equal(read_at(object.file, buffer, 4, 0), 4);
    assert_memory_equal(buffer, "data", 4);
    kind->close(object.file);
    assert_true(is_gone(id));
    assert_int_equal(set_size(&object, NULL, 4), -ESTALE);
    assert_int_equal(back(&object), -ESTALE);
    kind->release(object.hold);
}

/* Whoever gives it its size is its creator; its file has the rights it was created with, whatever the mode. */
static void test_every_mode_of_a_user(void **state)
{
    (void)state;
    static const mode_t modes[] = {0, 0200, 0400, 0444, 0600, 0777};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        char buffer[4];
        struct ipcfs_created object = {0};
        act_as_user(USER);
        int error = try_create_key("0x2a", O_RDWR | O_EXCL, modes[i], &object);
        int size_error = error ? 0 : set_size(&object, object.file, SIZE);
        act_as_user(0);
        assert_int_equal(error, 0);
        assert_int_equal(size_error, 0);
        must_be_segment(&object, SIZE, modes[i]);
        struct shmid_ds native = segment_state(id_of_key(0x2a));
        assert_true(native.shm_perm.cuid == USER && native.shm_perm.uid == USER);
        assert_true(native.shm_perm.cgid == USER && native.shm_perm.gid == USER);
        assert_true(object.found.stat.stx_uid == USER && object.found.stat.stx_gid == USER);
        act_as_user(USER);
        ssize_t written = write_at(object.file, "mine", 4, 0);
        ssize_t read = read_at(object.file, buffer, 4, 0);
        act_as_user(0);
        assert_true(written == 4 && read == 4);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

/* ---- others are quicker ---- */

static void test_existing_is_taken(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_RDWR, 0600);
    int id = native_segment(0x2a, SIZE, 0640);
    assert_int_equal(set_size(&object, object.file, SIZE - 1), -EINVAL);
    assert_int_equal(nattch_of(id), 0);
    assert_int_equal(set_size(&object, object.file, SIZE), 0);
    must_be_segment(&object, SIZE, 0640);
    assert_int_equal(write_at(object.file, "x", 1, SIZE - 1), 1);
    let_go(&object);
    remove_segment(id);
    object = promise(O_RDWR, 0600);
    id = native_segment(0x2a, SIZE, 0640);
    assert_int_equal(write_at(object.file, "abc", 3, SIZE - 2), 2);
    must_be_segment(&object, SIZE, 0640);
    let_go(&object);
    remove_segment(id);
    object = promise(O_RDWR, 0600);
    id = native_segment(0x2a, SIZE, 0640);
    assert_int_equal(append(object.file, "abc", 3), -EFBIG);
    char *native = native_attach(id);
    assert_int_equal(native[0], 0);
    native_detach(native);
    let_go(&object);
}

static void test_existing_is_not_taken(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0600);
    int id = native_segment(0x2a, SIZE, 0600);
    assert_int_equal(set_size(&object, object.file, SIZE), -EEXIST);
    assert_int_equal(write_at(object.file, "x", 1, 0), -EEXIST);
    let_go(&object);
    remove_segment(id);
    static const int modes[] = {0600, 0604, 0602};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        act_as_user(USER);
        int error = try_create_key("0x2a", O_RDWR, 0600, &object);
        act_as_user(0);
        assert_int_equal(error, 0);
        id = native_segment(0x2a, SIZE, modes[i]);
        act_as_user(USER);
        int size_error = set_size(&object, object.file, SIZE);
        int wrong_size_error = set_size(&object, object.file, 1);
        ssize_t written = write_at(object.file, "x", 1, 0);
        act_as_user(0);
        assert_true(size_error == -EACCES && wrong_size_error == -EACCES && written == -EACCES);
        assert_int_equal(segment_state(id).shm_lpid, 0);
        remove_segment(id);
        act_as_user(USER);
        size_error = set_size(&object, object.file, SIZE); /* not there any more: his own */
        act_as_user(0);
        assert_int_equal(size_error, 0);
        assert_int_equal(segment_state(id_of_key(0x2a)).shm_perm.cuid, USER);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

static void test_two_promises(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created first = promise(O_RDWR, 0600);
    struct ipcfs_created second = promise(O_RDWR, 0640);
    struct ipcfs_created exclusive = promise(O_RDWR | O_EXCL, 0600);
    assert_int_equal(set_size(&second, second.file, SIZE), 0);
    assert_int_equal(set_size(&first, first.file, 1), -EINVAL);
    assert_int_equal(set_size(&first, first.file, SIZE), 0);
    assert_int_equal(set_size(&exclusive, exclusive.file, SIZE), -EEXIST);
    assert_int_equal(write_at(first.file, "both", 4, 0), 4);
    assert_int_equal(read_at(second.file, buffer, 4, 0), 4);
    assert_memory_equal(buffer, "both", 4);
    assert_int_equal(read_at(exclusive.file, buffer, 4, 0), 0);
    assert_int_equal(nattch_of(id_of_key(0x2a)), 1);
    let_go(&second);
    must_be_segment(&first, SIZE, 0640);
    let_go(&first);
    let_go(&exclusive);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 300 };

struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    struct ipcfs_created *object;
    unsigned number;
    ssize_t result;
};

static void *write_a_byte(void *data)
{
    struct worker *worker = data;
    struct ipcfs_wait wait = {0};
    (void)pthread_barrier_wait(worker->start);
    worker->result = kind->try_write(worker->object->file, "x", 1, worker->number, 0, &wait);
    return NULL;
}

static void *truncate_to_size(void *data)
{
    struct worker *worker = data;
    (void)pthread_barrier_wait(worker->start);
    worker->result = set_size(worker->object, worker->object->file, SIZE);
    return NULL;
}

static void run_workers(struct worker *workers, void *(*run)(void *))
{
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].start = &start;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    (void)pthread_barrier_destroy(&start);
}

/* One makes it as large as its own write is far; those beyond are refused. */
static void test_threads_on_one_promise(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0600);
        struct worker workers[THREADS] = {
            {.object = &object}, {.object = &object}, {.object = &object}, {.object = &object}};
        run_workers(workers, write_a_byte);
        size_t size = segment_state(id_of_key(0x2a)).shm_segsz;
        assert_true(size >= 1 && size <= THREADS);
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(workers[i].result, i < size ? 1 : -EFBIG);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

static void test_threads_on_promises_of_one_key(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct ipcfs_created objects[THREADS];
        struct worker workers[THREADS] = {0};
        int made = 0;
        int flags = round % 2 ? O_RDWR | O_EXCL : O_RDWR;
        for (unsigned i = 0; i < THREADS; i++) {
            objects[i] = promise(flags, 0600);
            workers[i].object = &objects[i];
        }
        run_workers(workers, truncate_to_size);
        for (unsigned i = 0; i < THREADS; i++) {
            made += workers[i].result == 0;
            assert_true(workers[i].result == 0 || (flags & O_EXCL && workers[i].result == -EEXIST));
        }
        assert_int_equal(made, flags & O_EXCL ? 1 : THREADS);
        assert_int_equal(nattch_of(id_of_key(0x2a)), 1);
        for (unsigned i = 0; i < THREADS; i++)
            let_go(&objects[i]);
        assert_int_equal(nattch_of(id_of_key(0x2a)), 0);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

/* ---- limits ---- */

static void test_limits_refuse(void **state)
{
    (void)state;
    struct ipcfs_created object = promise(O_RDWR | O_EXCL, 0600);
    long shmmax = set_kernel("shmmax", 8192);
    int max_error = set_size(&object, object.file, 8193);
    ssize_t written = write_at(object.file, "x", 1, 8192);
    (void)set_kernel("shmmax", shmmax);
    long shmall = set_kernel("shmall", 1);
    int all_error = set_size(&object, object.file, SIZE);
    (void)set_kernel("shmall", shmall);
    long shmmni = set_kernel("shmmni", 0);
    int mni_error = set_size(&object, object.file, SIZE);
    (void)set_kernel("shmmni", shmmni);
    assert_true(max_error == -EINVAL && written == -EINVAL);
    assert_true(all_error == -ENOSPC && mni_error == -ENOSPC);
    must_be_unmade(&object, 0600);
    assert_int_equal(set_size(&object, object.file, SIZE), 0);
    must_be_segment(&object, SIZE, 0600);
    let_go(&object);
}

/* ---- out of memory ---- */

static int create_and_size(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x2a", O_RDWR | O_EXCL, 0, &object);
    if (error)
        return error;
    error = set_size(&object, object.file, SIZE);
    let_go(&object);
    int removed = kind->remove(BY_KEY, "0x2a");
    assert_int_equal(removed, error ? -ENOENT : 0);
    return error;
}

static int create_and_take(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x2a", O_RDWR, 0600, &object);
    if (error)
        return error;
    int id = native_segment(0x2a, SIZE, 0600);
    ssize_t count = write_at(object.file, "x", 1, 0);
    let_go(&object);
    remove_segment(id);
    return count == 1 ? 0 : (int)count;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    int (*const operations[])(void) = {create_and_size, create_and_take};
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        bool failed = true;
        unsigned number = 1;
        for (; failed; number++) {
            long live = failing_live();
            failing_arm(number);
            int error = operations[i]();
            failed = failing_disarm();
            assert_int_equal(error, failed ? -ENOMEM : 0);
            assert_int_equal(failing_live(), live);
            assert_int_equal(count_objects(), 0);
        }
        assert_true(number > 5); /* promise, file, hold, attachment, table */
    }
}

static const struct CMUnitTest tests[] = {
    TEST(test_promise),
    TEST(test_attributes_of_a_promise),
    TEST(test_promise_not_kept),
    TEST(test_ftruncate_makes_it),
    TEST(test_write_makes_it),
    TEST(test_append_makes_it),
    TEST(test_reader),
    TEST(test_backing_of_a_promise),
    TEST(test_removed_after_it_was_made),
    TEST(test_every_mode_of_a_user),
    TEST(test_existing_is_taken),
    TEST(test_existing_is_not_taken),
    TEST(test_two_promises),
    TEST(test_threads_on_one_promise),
    TEST(test_threads_on_promises_of_one_key),
    TEST(test_limits_refuse),
    TEST(test_out_of_memory),
};

const struct suite sysv_shm_pending_suite = {
    .name = "pending", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/shm"};
