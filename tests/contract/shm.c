/* SPDX-License-Identifier: MIT */
/* What the contract cannot say: the objects are those of shm_open(3). */
#include "subject.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- the same object ---- */

static void test_native_object(void **state)
{
    (void)state;
    int fd = shm_open("/native", O_RDWR | O_CREAT | O_EXCL, 0640);
    struct stat native;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 5000), 0);
    assert_int_equal(fstat(fd, &native), 0);
    struct ipcfs_found found = find_object("native");
    assert_int_equal(found.stat.stx_ino, native.st_ino);
    assert_int_equal(found.stat.stx_size, 5000);
    assert_int_equal(found.stat.stx_mode, S_IFREG | 0640);
    struct ipcfs_created object = create_object("native", O_RDWR, 0600);
    struct ipcfs_wait wait = {0};
    char buffer[8] = {0};
    assert_int_equal(kind->try_write(object.file, "hello", 5, 0, 0, &wait), 5);
    assert_int_equal(pread(fd, buffer, 5, 0), 5);
    assert_string_equal(buffer, "hello");
    assert_int_equal(shm_unlink("/native"), 0);
    assert_false(exists("native"));
    let_go(&object);
    close(fd);
}

static void test_made_object_is_native(void **state)
{
    (void)state;
    struct stat native;
    struct ipcfs_found found = make_object("made");
    int fd = shm_open("/made", O_RDWR, 0);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &native), 0);
    assert_int_equal(native.st_ino, found.stat.stx_ino);
    close(fd);
}

static struct ipcfs_directory shown_directory(uid_t uid, gid_t gid, mode_t mode)
{
    struct ipcfs_directory shown;
    assert_int_equal(chown("/dev/shm", uid, gid), 0);
    assert_int_equal(chmod("/dev/shm", mode), 0);
    assert_int_equal(kind->stat_directory(0, &shown), 0);
    assert_true(shown.uid == uid && shown.gid == gid);
    return shown;
}

/* An access control list that keeps user 1234 out of what is open to everybody else (acl(5); posix_acl_xattr.h). */
static int add_access_list(void)
{
    static const struct {
        uint32_t version;
        struct {
            uint16_t tag, permissions;
            uint32_t id;
        } entries[5];
    } list = {
        2, {{1, 7, UINT32_MAX}, {2, 0, 1234}, {4, 7, UINT32_MAX}, {16, 7, UINT32_MAX}, {32, 7, UINT32_MAX}}};
    return setxattr("/dev/shm", "system.posix_acl_access", &list, sizeof list, 0);
}

static void test_native_directory(void **state)
{
    (void)state;
    struct ipcfs_directory shown = shown_directory(0, 0, 01777);
    assert_true(shown.sticky && shown.open_to_all);
    shown = shown_directory(5, 6, 0771);
    assert_true(!shown.sticky && shown.open_to_all);
    shown = shown_directory(0, 0, 01776);
    assert_true(shown.sticky && !shown.open_to_all);
    (void)shown_directory(0, 0, 01777);
    if (add_access_list() == 0) {
        assert_int_equal(kind->stat_directory(0, &shown), 0);
        assert_false(shown.open_to_all);
        assert_int_equal(removexattr("/dev/shm", "system.posix_acl_access"), 0);
    }
    (void)shown_directory(0, 0, 01777);
}

static void test_native_system(void **state)
{
    (void)state;
    struct statvfs system;
    struct statvfs native_system;
    assert_int_equal(kind->stat_system(&system), 0);
    assert_int_equal(statvfs("/dev/shm", &native_system), 0);
    assert_true(system.f_blocks == native_system.f_blocks && system.f_files == native_system.f_files);
}

static uint64_t limit(const char *name)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->limits(&self, values), 0);
    for (size_t i = 0; kind->limit_fields[i].name; i++)
        if (strcmp(kind->limit_fields[i].name, name) == 0)
            return values[i].number;
    fail_msg("no limit %s", name);
    return 0;
}

static void test_limits_are_those_of_the_tmpfs(void **state)
{
    (void)state;
    assert_int_equal(limit("size"), 64 << 20);
    assert_int_equal(limit("inodes"), 20000);
    assert_int_equal(limit("name_max"), NAME_MAX);
    uint64_t used = limit("used");
    uint64_t inodes_used = limit("inodes_used");
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    assert_int_equal(kind->allocate(object.file, 0, 0, 1 << 20), 0);
    assert_int_equal(limit("used"), used + (1 << 20));
    assert_int_equal(limit("available"), limit("size") - limit("used"));
    assert_int_equal(limit("inodes_used"), inodes_used + 1);
    assert_int_equal(limit("inodes_available"), limit("inodes") - limit("inodes_used"));
    assert_int_equal(kind->allocate(object.file, 0, 0, 100 << 20), -ENOSPC);
    let_go(&object);
}

static void test_native_link(void **state)
{
    (void)state;
    char target[PATH_MAX];
    struct ipcfs_ref ref = {.name = "a b"};
    assert_string_equal(kind->verbs[0].name, "native");
    assert_int_equal(kind->verbs[0].link(&ref, target, sizeof target), 0);
    assert_string_equal(target, "/dev/shm/a b");
}

/* ---- leases ---- */

/* A process that opens /dev/shm/leased and does not give its lease (fcntl(2), F_SETLEASE) up, whoever asks. */
static pid_t start_leaseholder(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGIO, SIG_IGN);
        int fd = open("/dev/shm/leased", O_RDWR | O_CLOEXEC);
        if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 || write(ready[1], "", 1) != 1)
            _exit(EXIT_FAILURE);
        for (;;)
            (void)pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static struct ipcfs_created leased;

static int open_leased(void)
{
    struct ipcfs_ref ref = ref_by_hold(&leased, "leased");
    struct ipcfs_file *file = NULL;
    return kind->open(&ref, O_RDONLY, &file);
}

static int create_leased(void)
{
    struct ipcfs_created object = {0};
    return try_create("leased", O_RDWR, 0600, &object);
}

static int back_leased(void)
{
    struct ipcfs_ref ref = ref_by_hold(&leased, "leased");
    return kind->backing(&ref);
}

static int truncate_leased(void)
{
    struct ipcfs_ref ref = ref_by_name(&leased.found, "leased");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = 7};
    return kind->change(&ref, NULL, &change);
}

static int show_leased(void)
{
    struct ipcfs_ref ref = ref_by_name(&leased.found, "leased");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_TIMES, .mode = 0644};
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->render(&ref, values);
    return error ? error : kind->change(&ref, NULL, &change);
}

/* Runs it in a process of its own; false where it takes longer than two seconds. */
static bool returns(int (*operation)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(2);
        (void)operation();
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status);
}

/*
 * Nobody makes the daemon wait with a lease, which the kernel gives its holder 45 seconds to return: what conflicts
 * with it is refused, or done.
 */
static void test_leases_do_not_block(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*run)(void);
    } operations[] = {{"open", open_leased},
                      {"create", create_leased},
                      {"backing", back_leased},
                      {"show", show_leased},
                      {"change of size", truncate_leased}};
    leased = create_object("leased", O_RDONLY, 0600);
    kind->close(leased.file);
    pid_t holder = start_leaseholder();
    const char *blocked = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++)
        if (!returns(operations[i].run))
            blocked = operations[i].name;
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    kind->release(leased.hold);
    if (blocked)
        fail_msg("%s waits for the holder of a lease", blocked);
}

static const struct CMUnitTest tests[] = {
    TEST(test_native_object),       TEST(test_made_object_is_native),         TEST(test_native_directory),
    TEST(test_native_system),       TEST(test_limits_are_those_of_the_tmpfs), TEST(test_native_link),
    TEST(test_leases_do_not_block),
};

const struct suite shm_suite = {
    .name = "native", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "shm"};
