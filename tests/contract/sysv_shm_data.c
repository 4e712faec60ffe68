/* SPDX-License-Identifier: MIT */
/* System V shared memory: attachments, data, and the segment that lives no longer or has another size. */
#include "sysv_shm_subject.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- data, with the descriptor and by the attachment alone ---- */

/* A file of a segment of SIZE bytes; the second without the right to the descriptor. */
static struct ipcfs_created open_way(bool descriptor)
{
    int before = count_descriptors();
    if (!descriptor)
        give_up_descriptors();
    struct ipcfs_created object = open_segment(O_RDWR);
    take_descriptors_back();
    assert_int_equal(count_descriptors(), before + descriptor);
    return object;
}

static void check_coherence(struct ipcfs_file *file, char *native)
{
    char buffer[64];
    memcpy(native + 1000, "from native", sizeof "from native");
    assert_int_equal(read_at(file, buffer, 11, 1000), 11);
    assert_memory_equal(buffer, "from native", 11);
    assert_int_equal(write_at(file, "from file", 9, 4090), 9); /* over two pages */
    assert_memory_equal(native + 4090, "from file", 9);
}

static void check_ends(struct ipcfs_file *file, const char *native)
{
    char buffer[2 * SIZE];
    memset(buffer, 'x', sizeof buffer);
    assert_int_equal(read_at(file, buffer, sizeof buffer, 0), SIZE);
    assert_int_equal(buffer[SIZE], 'x');
    assert_int_equal(read_at(file, buffer, 100, SIZE - 10), 10);
    assert_int_equal(read_at(file, buffer, 100, SIZE), 0);
    assert_int_equal(read_at(file, buffer, 100, SIZE + 1), 0);
    assert_int_equal(read_at(file, buffer, 100, INT64_MAX), 0);
    assert_int_equal(read_at(file, buffer, 0, 0), 0);
    assert_int_equal(read_at(file, buffer, 1, -1), -EINVAL);
    assert_int_equal(write_at(file, buffer, sizeof buffer, SIZE - 10), 10);
    assert_int_equal(native[SIZE - 1], buffer[9]);
    assert_int_equal(write_at(file, buffer, 1, SIZE), -EFBIG);
    assert_int_equal(write_at(file, buffer, 1, 8191), -EFBIG); /* the rest of the last page */
    assert_int_equal(write_at(file, buffer, 1, INT64_MAX), -EFBIG);
    assert_int_equal(write_at(file, buffer, 0, SIZE), 0);
    assert_int_equal(write_at(file, buffer, 1, -1), -EINVAL);
    assert_int_equal(append(file, buffer, 1), -EFBIG);
    assert_int_equal(append(file, buffer, 0), 0);
    for (size_t i = SIZE; i < 8192; i++)
        assert_int_equal(native[i], 0);
}

static void test_data(void **state)
{
    (void)state;
    for (int descriptor = 0; descriptor < 2; descriptor++) {
        struct ipcfs_created object = open_way(descriptor);
        char *native = native_attach(id_of(&object));
        check_coherence(object.file, native);
        check_ends(object.file, native);
        assert_int_equal(segment_state(id_of(&object)).shm_segsz, SIZE);
        native_detach(native);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    }
}

/* What a write(2) of the kernel on that descriptor could do: the memory must stay as large as the segment. */
static void test_writes_never_grow_it(void **state)
{
    (void)state;
    struct ipcfs_created object = open_way(true);
    struct stat stat;
    char *large = calloc(1, 100000);
    assert_non_null(large);
    int fd = back(&object);
    assert_true(fd >= 0);
    assert_int_equal(write_at(object.file, large, 100000, 0), SIZE);
    assert_int_equal(write_at(object.file, large, 100000, 4999), 1);
    assert_int_equal(write_at(object.file, large, 100000, 5000), -EFBIG);
    assert_int_equal(write_at(object.file, large, 1, 20000), -EFBIG);
    assert_int_equal(append(object.file, large, 5), -EFBIG);
    assert_int_equal(fstat(fd, &stat), 0);
    assert_int_equal(stat.st_size, SIZE);
    free(large);
    close(fd);
    let_go(&object);
}

static void test_access_modes(void **state)
{
    (void)state;
    char buffer[4];
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY | O_TRUNC);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY | O_TRUNC | O_APPEND);
    assert_int_equal(read_at(reader, buffer, 4, 0), 4);
    assert_int_equal(write_at(reader, "x", 1, 0), -EBADF);
    assert_int_equal(read_at(writer, buffer, 4, 0), -EBADF);
    assert_int_equal(write_at(writer, "x", 1, 0), 1);
    assert_int_equal(segment_state(id_of(&object)).shm_segsz, SIZE);
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_POLL};
    assert_int_equal(kind->poll(reader, &wait), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    kind->close(reader);
    kind->close(writer);
    kind->release(object.hold);
}

/* ---- the backing descriptor ---- */

static void test_backing(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    char *native = native_attach(id_of(&object));
    int fd = back(&object);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    char *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(mapped != MAP_FAILED);
    mapped[0] = 'm';
    assert_int_equal(native[0], 'm');
    native[1] = 'n';
    assert_int_equal(mapped[1], 'n');
    assert_int_equal(munmap(mapped, SIZE), 0);
    int again = back(&object); /* as long as there has been no open() */
    assert_true(again >= 0 && again != fd);
    close(again);
    close(fd);
    assert_int_equal(nattch_of(id_of(&object)), 2);
    native_detach(native);
    kind->release(object.hold);
}

/* A caller without the right to open it uses the descriptor that backing() got. */
static void test_open_after_backing(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0604));
    struct ipcfs_ref ref = key_ref(&object, true);
    int before = count_descriptors();
    int fd = back(&object);
    act_as_user(USER);
    int write_error = open_error(&object, O_RDWR);
    struct ipcfs_file *file = NULL;
    int error = kind->open(&ref, O_RDONLY, &file);
    act_as_user(0);
    assert_true(fd >= 0);
    assert_int_equal(write_error, -EACCES);
    assert_int_equal(error, 0);
    close(fd);
    fd = back(&object);
    act_as_user(USER);
    struct ipcfs_file *other = NULL;
    error = kind->open(&ref, O_RDONLY, &other);
    act_as_user(0);
    assert_int_equal(error, 0);
    close(fd);
    assert_int_equal(count_descriptors(), before + 1);
    assert_int_equal(nattch_of(id_of(&object)), 1);
    kind->close(file);
    kind->close(other);
    assert_int_equal(nattch_of(id_of(&object)), 0);
    assert_int_equal(count_descriptors(), before);
    kind->release(object.hold);
}

static void test_backing_without_privilege(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, true);
    char buffer[8];
    give_up_descriptors();
    int fd = back(&object);
    take_descriptors_back();
    assert_int_equal(fd, -EOPNOTSUPP);
    give_up_descriptors();
    struct ipcfs_file *file = NULL;
    int error = kind->open(&ref, O_RDWR, &file);
    take_descriptors_back();
    assert_int_equal(error, 0);
    assert_int_equal(nattch_of(id_of(&object)), 1);
    assert_int_equal(write_at(file, "plain", 5, 0), 5);
    assert_int_equal(read_at(file, buffer, 5, 0), 5);
    assert_memory_equal(buffer, "plain", 5);
    kind->close(file);
    assert_int_equal(nattch_of(id_of(&object)), 0);
    /* An unprivileged daemon is refused what it may not attach either. */
    act_as_user(USER);
    fd = back(&object);
    act_as_user(0);
    assert_int_equal(fd, -EOPNOTSUPP);
    kind->release(object.hold);
}

/* ---- attachments ---- */

static void look_at(const struct ipcfs_ref *ref, const char *name)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statx stat;
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    AUTO_TEXT text = {0};
    assert_int_equal(kind->find(BY_ID, name, &found, &hold), 0);
    assert_int_equal(kind->stat(ref, &stat), 0);
    assert_int_equal(kind->render(ref, values), 0);
    assert_int_equal(find_verb("lock")->read(ref, 0, &text), 0);
    assert_int_equal(kind->list_open(BY_ID, &lister), 0);
    assert_int_equal(kind->list_next(lister, &entry), 1);
    assert_int_equal(kind->list_render(lister, &entry, values), 0);
    kind->list_close(lister);
    kind->release(hold);
}

static void test_looking_leaves_no_trace(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, true);
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id_of(&object));
    look_at(&ref, name);
    struct shmid_ds native = segment_state(id_of(&object));
    assert_true(native.shm_nattch == 0 && native.shm_atime == 0 && native.shm_dtime == 0);
    assert_int_equal(native.shm_lpid, 0);
    /* Nor does an open that is refused. */
    act_as_user(USER);
    int error = open_error(&object, O_RDONLY);
    act_as_user(0);
    assert_int_equal(error, -EACCES);
    native = segment_state(id_of(&object));
    assert_true(native.shm_nattch == 0 && native.shm_atime == 0 && native.shm_lpid == 0);
    kind->release(object.hold);
}

static void test_one_attachment_for_all_files(void **state)
{
    (void)state;
    struct ipcfs_file *files[20];
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_created other = hold_segment(id_of(&object));
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct ipcfs_ref ref = key_ref(i % 2 ? &object : &other, true);
        files[i] = open_object(&ref, i % 3 ? O_RDONLY : O_RDWR);
        assert_int_equal(nattch_of(id_of(&object)), 1);
    }
    kind->release(other.hold);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        assert_int_equal(nattch_of(id_of(&object)), 1);
        kind->close(files[i]);
    }
    assert_int_equal(nattch_of(id_of(&object)), 0);
    kind->release(object.hold);
}

/* A child process of the daemon counts as attached no more than it does. */
static void test_children_do_not_inherit_it(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(nattch_of(id_of(&object)), 1);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(segment_state(id_of(&object)).shm_dtime, 0);
    let_go(&object);
}

/* ---- a descriptor that comes later ---- */

enum { AT = 1 << 20 }; /* in what is cut off then */

static void *read_again_and_again(void *data)
{
    struct ipcfs_file *file = data;
    char buffer[SIZE];
    for (int i = 0; i < 20000; i++)
        if (read_at(file, buffer, SIZE, AT) != SIZE)
            return data;
    return NULL;
}

/* It serves those who had none, in the midst of what they do, and the mapping they did it by is given up. */
static void test_descriptor_comes_while_reading(void **state)
{
    (void)state;
    struct ipcfs_created object =
        hold_segment(native_segment(0x2a, ((size_t)1 << 30) + 1, 0600 | SHM_NORESERVE));
    struct ipcfs_ref ref = key_ref(&object, true);
    pthread_t reader;
    void *result = NULL;
    give_up_descriptors();
    int error = kind->open(&ref, O_RDWR, &object.file);
    take_descriptors_back();
    assert_int_equal(error, 0);
    assert_int_equal(segment_state(id_of(&object)).shm_dtime, 0);
    assert_int_equal(pthread_create(&reader, NULL, read_again_and_again, object.file), 0);
    usleep(2000);
    int fd = back(&object);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(pthread_join(reader, &result), 0);
    assert_null(result);
    assert_int_not_equal(segment_state(id_of(&object)).shm_dtime,
                         0); /* as the kernel says of what was cut off */
    assert_int_equal(nattch_of(id_of(&object)), 1);
    let_go(&object);
}

/* A reader's attachment is replaced when one comes who may write, also after the removal. */
static void test_writer_after_reader(void **state)
{
    (void)state;
    for (int removed = 0; removed < 2; removed++) {
        struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0644));
        struct ipcfs_ref ref = key_ref(&object, true);
        struct ipcfs_file *reader = NULL;
        struct ipcfs_file *writer = NULL;
        char buffer[8];
        act_as_user(USER);
        int error = kind->open(&ref, O_RDONLY, &reader);
        act_as_user(0);
        assert_int_equal(error, 0);
        if (removed)
            remove_segment(id_of(&object));
        give_up_descriptors();
        error = kind->open(&ref, O_RDWR, &writer);
        take_descriptors_back();
        assert_int_equal(error, 0);
        assert_int_equal(nattch_of(id_of(&object)), 1);
        assert_int_equal(write_at(writer, "shared", 6, 100), 6);
        assert_int_equal(read_at(reader, buffer, 6, 100), 6);
        assert_memory_equal(buffer, "shared", 6);
        kind->close(writer);
        assert_int_equal(read_at(reader, buffer, 6, 100), 6);
        kind->close(reader);
        kind->release(object.hold);
        if (!removed)
            remove_segment(id_of(&object));
        assert_true(is_gone(id_of(&object)));
    }
}

/* ---- removal ---- */

static void must_show_flags(const struct ipcfs_ref *ref, const char *expected)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->render(ref, values), 0);
    assert_string_equal(find_value(kind->fields, values, "flags")->string, expected);
}

static void test_removed_while_open(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_found found;
    struct statx stat;
    char buffer[4];
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id_of(&object));
    must_show_flags(&ref, "none");
    assert_int_equal(write_at(object.file, "kept", 4, 0), 4);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    assert_int_equal(kind->find(BY_KEY, "0x2a", &found, NULL), -ENOENT);
    assert_int_equal(kind->find(BY_ID, name, &found, NULL), 0);
    assert_int_equal(found.stat.stx_nlink, 1);
    must_show_flags(&ref, "dest");
    assert_int_equal(kind->stat(&ref, &stat), 0);
    assert_int_equal(stat.stx_size, SIZE);
    assert_int_equal(read_at(object.file, buffer, 4, 0), 4);
    assert_memory_equal(buffer, "kept", 4);
    assert_int_equal(open_error(&object, O_RDWR), 0);
    assert_int_equal(nattch_of(id_of(&object)), 1);
    kind->close(object.file);
    assert_true(is_gone(id_of(&object)));
    assert_int_equal(kind->find(BY_ID, name, &found, NULL), -ENOENT);
    assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
    assert_int_equal(open_error(&object, O_RDONLY), -ESTALE);
    assert_int_equal(back(&object), -ESTALE);
    kind->release(object.hold);
}

/* ---- an id that was given to another segment ---- */

static void must_not_reach(const struct ipcfs_created *object)
{
    struct ipcfs_ref ref = key_ref(object, true);
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statx stat;
    int id = id_of(object);
    assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
    assert_int_equal(kind->render(&ref, values), -ESTALE);
    assert_int_equal(open_error(object, O_RDONLY), -ESTALE);
    assert_int_equal(back(object), -ESTALE);
    assert_int_equal(set_mode(object, 0777), -ESTALE);
    struct shmid_ds native = segment_state(id);
    assert_true((native.shm_perm.mode & 0777) == 0600 && native.shm_atime == 0);
}

static void test_id_of_another(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    int id = id_of(&object);
    give_id_to_another_segment(id, 0x2b, SIZE, 0600);
    must_not_reach(&object);
    kind->release(object.hold);
}

/* The same key again, made by another user. */
static void test_id_of_another_creator(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    int id = id_of(&object);
    remove_segment(id);
    (void)set_kernel("shm_next_id", id);
    act_as_user(USER);
    int again = shmget(0x2a, SIZE, IPC_CREAT | IPC_EXCL | 0600);
    act_as_user(0);
    assert_int_equal(again, id);
    must_not_reach(&object);
    kind->release(object.hold);
}

/* While it is open the id cannot be given away. */
static void test_open_id_is_kept(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    int id = id_of(&object);
    remove_segment(id);
    (void)set_kernel("shm_next_id", id);
    int other = shmget(0x2a, SIZE, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(other != id);
    assert_int_equal(write_at(object.file, "mine", 4, 0), 4);
    assert_int_equal(segment_state(id).shm_perm.mode & SHM_DEST, SHM_DEST);
    let_go(&object);
}

/* ---- size ---- */

static void test_size_is_for_life(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    struct ipcfs_ref by_name = key_ref(&object, false);
    static const off_t wrong[] = {0, 1, SIZE - 1, SIZE + 1, 8192, INT64_MAX, -1};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        const struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = wrong[i]};
        assert_int_equal(set_size(&object, object.file, wrong[i]), -EINVAL);
        assert_int_equal(set_size(&object, NULL, wrong[i]), -EINVAL);
        assert_int_equal(kind->change(&by_name, NULL, &change), -EINVAL);
    }
    assert_int_equal(set_size(&object, object.file, SIZE), 0);
    assert_int_equal(set_size(&object, NULL, SIZE), 0);
    act_as_user(USER);
    int error = set_size(&object, NULL, SIZE);
    act_as_user(0);
    assert_int_equal(error, -EACCES);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    assert_int_equal(set_size(&object, reader, SIZE), -EINVAL);
    kind->close(reader);
    const struct ipcfs_change both = {.mask = IPCFS_CHANGE_SIZE | IPCFS_CHANGE_MODE, .size = 1, .mode = 0777};
    assert_int_equal(kind->change(&ref, object.file, &both), -EINVAL);
    assert_int_equal(segment_state(id_of(&object)).shm_perm.mode & 0777, 0600);
    let_go(&object);
}

/* ---- huge pages ---- */

/* None is reserved for it, and none may be there: to touch it natively is SIGBUS. */
static void test_huge_pages(void **state)
{
    (void)state;
    char buffer[8];
    int id = shmget(0x2a, 2 << 20, IPC_CREAT | IPC_EXCL | SHM_HUGETLB | SHM_NORESERVE | 0600);
    if (id < 0) {
        print_message("no huge pages at all here: %s\n", strerror(errno));
        skip();
    }
    struct ipcfs_created object = hold_segment(id);
    struct ipcfs_ref ref = key_ref(&object, true);
    int before = count_descriptors();
    assert_int_equal(back(&object), -EOPNOTSUPP);
    object.file = open_object(&ref, O_RDWR);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(nattch_of(id), 1);
    ssize_t count = write_at(object.file, "huge", 4, 0);
    if (count == -ENOMEM) {
        print_message("no huge page is free here: only the refusal is tested\n");
        assert_int_equal(read_at(object.file, buffer, 4, 0), -ENOMEM);
    } else {
        assert_int_equal(count, 4);
        assert_int_equal(read_at(object.file, buffer, 4, 0), 4);
        assert_memory_equal(buffer, "huge", 4);
    }
    assert_int_equal(write_at(object.file, "x", 1, 2 << 20), -EFBIG);
    let_go(&object);
}

/* ---- many threads ---- */

enum { ROUNDS = 3000, THREADS = 4 };

struct worker {
    pthread_t thread;
    struct ipcfs_created *object;
    unsigned number;
    int wrong;
};

/* Opens, backs, writes and closes; each thread writes to its own place. */
static void *work(void *data)
{
    struct worker *worker = data;
    struct ipcfs_ref ref = key_ref(worker->object, true);
    for (int i = 0; i < ROUNDS && !worker->wrong; i++) {
        struct ipcfs_file *file = NULL;
        struct ipcfs_wait wait = {0};
        char byte = (char)i;
        char found = 0;
        int fd = i % 3 == 0 ? kind->backing(&ref) : -1;
        if (fd >= 0)
            close(fd);
        worker->wrong = kind->open(&ref, i % 2 ? O_RDWR : O_RDONLY, &file);
        if (worker->wrong)
            break;
        if (i % 2)
            worker->wrong = kind->try_write(file, &byte, 1, worker->number, 0, &wait) != 1 ||
                            kind->try_read(file, &found, 1, worker->number, 0, &wait) != 1 || found != byte;
        kind->close(file);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct worker workers[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].object = &object;
        workers[i].number = i * 1000;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    kind->release(object.hold);
    assert_int_equal(nattch_of(id_of(&object)), 0);
}

static const struct CMUnitTest tests[] = {
    TEST(test_data),
    TEST(test_writes_never_grow_it),
    TEST(test_access_modes),
    TEST(test_backing),
    TEST(test_open_after_backing),
    TEST(test_backing_without_privilege),
    TEST(test_looking_leaves_no_trace),
    TEST(test_one_attachment_for_all_files),
    TEST(test_children_do_not_inherit_it),
    TEST(test_descriptor_comes_while_reading),
    TEST(test_writer_after_reader),
    TEST(test_removed_while_open),
    TEST(test_id_of_another),
    TEST(test_id_of_another_creator),
    TEST(test_open_id_is_kept),
    TEST(test_size_is_for_life),
    TEST(test_huge_pages),
    TEST(test_many_threads),
};

const struct suite sysv_shm_data_suite = {
    .name = "data", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/shm"};
