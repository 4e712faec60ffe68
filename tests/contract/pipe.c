/* SPDX-License-Identifier: MIT */
/* What the contract cannot say of named pipes: what keeps them, and that it is never opened. */
#include "subject.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *native(const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", traits->path, name);
    return path;
}

static void test_only_pipes_are_made(void **state)
{
    (void)state;
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFLNK, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_created object = {0};
        const struct ipcfs_wish wish = {
            .name = "a", .type = types[i], .flags = O_CREAT | O_EXCL, .mode = 0600, .caller = &self};
        assert_int_equal(kind->create(&wish, &object), -EPERM);
    }
    assert_int_equal(access(native("a"), F_OK), -1);
}

static void test_the_node_keeps_it(void **state)
{
    (void)state;
    struct stat node;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_TIMES,
                                        .mode = 0624,
                                        .uid = 77,
                                        .times = {{1000, 1}, {2000, 2}}};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_int_equal(lstat(native("a"), &node), 0);
    assert_int_equal(node.st_mode, S_IFIFO | 0624);
    assert_int_equal(node.st_uid, 77);
    assert_true(node.st_atim.tv_sec == 1000 && node.st_mtim.tv_nsec == 2);
    assert_int_equal(node.st_ino, found.id.number);
}

static void test_it_is_the_callers(void **state)
{
    (void)state;
    struct ipcfs_created object = {0};
    assert_int_equal(setegid(4321), 0);
    assert_int_equal(seteuid(1234), 0);
    int error = try_create("a", O_RDWR, 0600, &object);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(error, 0);
    assert_true(object.found.stat.stx_uid == 1234 && object.found.stat.stx_gid == 4321);
    let_go(&object);
}

static void test_it_has_no_size(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref refs[] = {ref_by_name(&object.found, "a"), ref_by_hold(&object, "a")};
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE | IPCFS_CHANGE_MODE, .mode = 0777};
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++)
        assert_int_equal(kind->change(&refs[i], NULL, &change), -EINVAL);
    assert_int_equal(stat_object(&refs[0]).stx_mode & 07777, 0600);
    let_go(&object);
}

/* ---- nobody opens it ---- */

/* A process that opens the node, and says so when it is let in. */
static pid_t start_opener(int flags, int ready)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)!write(ready, "", 1);
    (void)!open(native("a"), flags | O_CLOEXEC);
    (void)!write(ready, "!", 1);
    _exit(0);
}

static void use_in_all_ways(void)
{
    struct ipcfs_created object = {0};
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_file *file = NULL;
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_TIMES, .mode = 0640};
    const struct ipcfs_change size = {.mask = IPCFS_CHANGE_SIZE};
    assert_int_equal(kind->find(0, "a", &object.found, &object.hold), 0);
    struct ipcfs_ref refs[] = {ref_by_name(&object.found, "a"), ref_by_hold(&object, "a")};
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
        (void)stat_object(&refs[i]);
        assert_int_equal(kind->change(&refs[i], NULL, &change), 0);
        assert_true(kind->change(&refs[i], NULL, &size) < 0);
        assert_int_equal(kind->render(&refs[i], values), 0);
        ipcfs_values_release(kind->fields, values);
        assert_int_equal(kind->link(&refs[i], 0, "b"), 0);
        assert_int_equal(kind->rename(0, "b", 0, "c", 0), 0);
        remove_object("c");
    }
    assert_true(kind->open(&refs[1], O_RDWR, &file) < 0 && kind->backing(&refs[1]) < 0);
    assert_true(kind->lock_owner(&refs[1], &file) < 0 && kind->may_execute(&refs[1]) < 0);
    kind->release(object.hold);
    struct ipcfs_created again = create_object("a", O_RDWR | O_TRUNC, 0600);
    let_go(&again);
    assert_int_equal(count_objects(), 1);
}

/* Who waits in open(2) of the node, natively, is not let in by anything that is done here. */
static void test_it_is_never_opened(void **state)
{
    (void)state;
    static const int flags[] = {O_RDONLY, O_WRONLY};
    make_object("a");
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        int ends[2];
        char byte = 0;
        assert_int_equal(pipe(ends), 0);
        pid_t child = start_opener(flags[i], ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        (void)usleep(50 * 1000);
        use_in_all_ways();
        struct pollfd let_in = {.fd = ends[0], .events = POLLIN};
        assert_int_equal(poll(&let_in, 1, 50), 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(ends[0]);
        close(ends[1]);
    }
}

/* ---- where it is kept ---- */

static void test_it_outlives_the_daemon(void **state)
{
    (void)state;
    make_object("a");
    struct ipcfs_found before = make_object("b");
    kind->stop();
    assert_int_equal(kind->start(), 0);
    struct ipcfs_found now = find_object("b");
    assert_true(ipcfs_same_object(now.id, before.id));
    assert_true(now.stat.stx_mode == before.stat.stx_mode && now.stat.stx_ino == before.stat.stx_ino);
    assert_int_equal(count_objects(), 2);
}

/* Without a runtime directory of its own, it is left out. */
static void test_no_place(void **state)
{
    (void)state;
    kind->stop();
    place_end();
    assert_int_equal(kind->start(), -ENOENT);
    place_init(NULL, "/mnt");
    assert_int_equal(kind->start(), 0);
    assert_int_equal(count_objects(), 0);
}

/* What is mounted on a name is not the object that had it. */
static void test_mounted_on(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct statx stat;
    assert_int_equal(mkfifo("/dev/shm/other", 0666), 0);
    assert_int_equal(mount("/dev/shm/other", native("a"), "none", MS_BIND, NULL), 0);
    int error = find_error("a");
    int stat_error = kind->stat(&ref, &stat);
    assert_int_equal(umount(native("a")), 0);
    assert_int_equal(unlink("/dev/shm/other"), 0);
    assert_int_equal(error, -ENOENT);
    assert_int_equal(stat_error, -ESTALE);
    assert_true(exists("a"));
}

/* An overlay of two file systems: files in it have another device than their directory. */
static bool mount_overlay(void)
{
    static const char *const layers[] = {"/dev/shm/lower", "/dev/shm/upper", "/dev/shm/over"};
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++)
        assert_int_equal(mkdir(layers[i], 0755), 0);
    assert_int_equal(mount("none", layers[0], "tmpfs", 0, NULL), 0);
    assert_int_equal(mount("none", layers[1], "tmpfs", 0, NULL), 0);
    assert_int_equal(mkdir("/dev/shm/upper/files", 0755), 0);
    assert_int_equal(mkdir("/dev/shm/upper/work", 0755), 0);
    return mount("none", layers[2], "overlay", 0,
                 "lowerdir=/dev/shm/lower,upperdir=/dev/shm/upper/files,workdir=/dev/shm/upper/work") == 0;
}

static void unmount_overlay(void)
{
    static const char *const layers[] = {"/dev/shm/over", "/dev/shm/upper", "/dev/shm/lower"};
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++) {
        (void)umount(layers[i]);
        assert_int_equal(rmdir(layers[i]), 0);
    }
}

static void test_in_an_overlay(void **state)
{
    (void)state;
    if (mount_overlay()) {
        kind->stop();
        place_init("/dev/shm/over/runtime", "/mnt");
        assert_int_equal(kind->start(), 0);
        struct ipcfs_found made = make_object("a");
        assert_true(ipcfs_same_object(find_object("a").id, made.id));
        assert_int_equal(find_error("a"), 0);
        remove_object("a");
        kind->stop();
        place_init(NULL, "/mnt");
        assert_int_equal(kind->start(), 0);
    }
    unmount_overlay();
}

static const struct CMUnitTest tests[] = {
    TEST(test_only_pipes_are_made),
    TEST(test_the_node_keeps_it),
    TEST(test_it_is_the_callers),
    TEST(test_it_has_no_size),
    TEST(test_it_is_never_opened),
    TEST(test_it_outlives_the_daemon),
    TEST(test_no_place),
    TEST(test_mounted_on),
    TEST(test_in_an_overlay),
};

const struct suite pipe_suite = {
    .name = "nodes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
