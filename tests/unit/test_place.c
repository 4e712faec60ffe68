/* SPDX-License-Identifier: MIT */
/* The runtime directory: its name, its modes, its lock, and what others may have planted there. On a private /run. */
#include "cmocka_api.h"
#include "logged.h"
#include "private_shm.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER = 54321 };

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int descriptors_before;

static int set_up(void **state)
{
    (void)state;
    logged_forget();
    (void)umask(0);
    descriptors_before = descriptors();
    return system("rm -rf /run/*"); // NOLINT(cert-env33-c): in a name space of its own
}

static int tear_down(void **state)
{
    (void)state;
    place_end();
    return descriptors() == descriptors_before ? 0 : -1;
}

static void check_directory(const char *path, mode_t mode)
{
    struct stat stat;
    if (lstat(path, &stat) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    if (stat.st_mode != (S_IFDIR | mode))
        fail_msg("%s has mode %o", path, stat.st_mode);
    assert_int_equal(stat.st_uid, geteuid());
}

/* Opens it, and is told that it is there. */
static void must_open(const char *directory)
{
    char path[PATH_MAX];
    struct stat opened = {0};
    struct stat named = {0};
    int fd = place_open(directory);
    if (fd < 0) {
        fail_msg("%s: %s", directory, strerror(-fd));
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", place_path(), directory);
    assert_int_equal(fstat(fd, &opened), 0);
    assert_int_equal(lstat(path, &named), 0);
    assert_true(opened.st_ino == named.st_ino && opened.st_dev == named.st_dev);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

static void must_have_none(int error)
{
    assert_int_equal(place_open("nodes/pipe"), error);
    assert_int_equal(place_open("listen"), error);
    assert_string_equal(place_path(), "");
    place_report();
    assert_true(logged("no runtime directory"));
}

/* ---- names ---- */

static const struct {
    const char *mountpoint;
    const char *name;
} names[] = {
    {"/mnt", "mnt"},
    {"/a/b/c", "a-b-c"},
    {"/a-b/c", "a\\x2db-c"},
    {"/", "-"},
    {"/.hidden", "\\x2ehidden"},
    {"/a/.b", "a-.b"},
    {"/Az09_.:x", "Az09_.:x"},
    {"/a b", "a\\x20b"},
    {"/a\\x2db", "a\\x5cx2db"},
    {"/\xc3\xa4\n", "\\xc3\\xa4\\x0a"},
    {"/..x", "\\x2e.x"},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[PATH_MAX];
        place_init(NULL, names[i].mountpoint);
        (void)snprintf(path, sizeof path, "/run/ipcfs/%s", names[i].name);
        assert_string_equal(place_path(), path);
        check_directory(path, 0711);
        must_open("listen");
    }
}

/* A name that is as long as one can be, and one that is longer; and one that is in no room for it. */
static void test_long_names(void **state)
{
    (void)state;
    static char mountpoint[2 * PATH_MAX];
    memset(mountpoint, 'm', sizeof mountpoint - 1);
    mountpoint[0] = '/';
    mountpoint[1 + NAME_MAX] = '\0';
    place_init(NULL, mountpoint);
    must_open("listen");
    mountpoint[1 + NAME_MAX] = 'm';
    mountpoint[2 + NAME_MAX] = '\0';
    place_init(NULL, mountpoint);
    must_have_none(-ENAMETOOLONG);
    memset(mountpoint + 1, '-', NAME_MAX / 4); /* four bytes each */
    mountpoint[1 + NAME_MAX / 4] = '\0';
    place_init(NULL, mountpoint);
    must_open("listen");
    memset(mountpoint + 1, '-', NAME_MAX / 4 + 1);
    mountpoint[2 + NAME_MAX / 4] = '\0';
    place_init(NULL, mountpoint);
    must_have_none(-ENAMETOOLONG);
    memset(mountpoint + 1, '-', PATH_MAX);
    place_init(NULL, mountpoint);
    must_have_none(-ENAMETOOLONG);
}

static void test_long_base(void **state)
{
    (void)state;
    static char base[PATH_MAX];
    memset(base, '/', sizeof base - 1);
    place_init(base, "/mnt");
    must_have_none(-ENAMETOOLONG);
}

/* ---- where ---- */

static void test_base(void **state)
{
    (void)state;
    place_init("/run/elsewhere", "/mnt");
    assert_string_equal(place_path(), "/run/elsewhere/mnt");
    check_directory("/run/elsewhere", 0711);
    place_init("/run/no/such", "/mnt");
    must_have_none(-ENOENT);
    assert_int_equal(access("/run/no", F_OK), -1);
}

/* What was there before this program's time keeps its mode: it may be anybody's. */
static void test_base_that_is_there(void **state)
{
    (void)state;
    assert_int_equal(mkdir("/run/base", 01777), 0);
    place_init("/run/base", "/mnt");
    must_open("listen");
    check_directory("/run/base", 01777);
    check_directory("/run/base/mnt", 0711);
}

/* An ordinary user has one where his session has. */
static void test_ordinary_user(void **state)
{
    (void)state;
    assert_int_equal(mkdir("/run/session", 0700), 0);
    assert_int_equal(chown("/run/session", USER, (gid_t)-1), 0);
    assert_int_equal(seteuid(USER), 0);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    place_init(NULL, "/mnt");
    must_have_none(-ENOENT);
    assert_int_equal(chdir("/run"), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "session", 1), 0); /* not absolute: there is none */
    place_init(NULL, "/mnt");
    must_have_none(-ENOENT);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/session", 1), 0);
    place_init(NULL, "/mnt");
    assert_string_equal(place_path(), "/run/session/ipcfs/mnt");
    must_open("nodes/pipe");
    check_directory("/run/session/ipcfs/mnt/nodes/pipe", 01777);
    place_end();
    assert_int_equal(seteuid(0), 0);
}

/* ---- directories ---- */

static void test_modes(void **state)
{
    (void)state;
    (void)umask(077); /* whatever the umask is */
    place_init(NULL, "/mnt");
    for (int again = 0; again < 2; again++) {
        must_open("nodes/pipe");
        must_open("nodes/sock");
        must_open("listen");
        check_directory("/run/ipcfs/mnt", 0711);
        check_directory("/run/ipcfs/mnt/listen", 0711);
        check_directory("/run/ipcfs/mnt/nodes", 0700);
        check_directory("/run/ipcfs/mnt/nodes/pipe", 01777);
        check_directory("/run/ipcfs/mnt/nodes/sock", 01777);
        /* Another time, whatever they have become meanwhile. */
        assert_int_equal(chmod("/run/ipcfs/mnt", 0777), 0);
        assert_int_equal(chmod("/run/ipcfs/mnt/nodes", 0755), 0);
        assert_int_equal(chmod("/run/ipcfs/mnt/nodes/pipe", 0700), 0);
        place_init(NULL, "/mnt");
    }
}

static void test_what_is_there_stays(void **state)
{
    (void)state;
    place_init(NULL, "/mnt");
    must_open("nodes/pipe");
    assert_int_equal(mkfifo("/run/ipcfs/mnt/nodes/pipe/a", 0600), 0);
    place_end();
    assert_int_equal(place_open("nodes/pipe"), -ENOENT);
    assert_string_equal(place_path(), "");
    place_init(NULL, "/mnt");
    must_open("nodes/pipe");
    assert_int_equal(access("/run/ipcfs/mnt/nodes/pipe/a", F_OK), 0);
}

/* ---- planted ---- */

/* Something of that path is not what this daemon made. */
static void must_refuse(const char *path, const char *directory, int error)
{
    place_init(NULL, "/mnt");
    int answer = place_open(directory);
    if (answer >= 0)
        close(answer);
    if (answer != error)
        fail_msg("%s: %s", path, answer < 0 ? strerror(-answer) : "taken");
    place_end();
}

/* Each directory on the way in turn is a link, a file, and somebody else's. */
static void test_planted(void **state)
{
    (void)state;
    static const char *const paths[] = {"/run/ipcfs", "/run/ipcfs/mnt", "/run/ipcfs/mnt/nodes",
                                        "/run/ipcfs/mnt/nodes/sock"};
    assert_int_equal(mkdir("/run/target", 0755), 0);
    assert_int_equal(mkdir("/run/target/mnt", 0755), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        assert_int_equal(symlink("/run/target", paths[i]), 0);
        must_refuse(paths[i], "nodes/sock", -ENOTDIR);
        assert_int_equal(unlink(paths[i]), 0);
        assert_int_equal(mkfifo(paths[i], 0666), 0);
        must_refuse(paths[i], "nodes/sock", -ENOTDIR);
        assert_int_equal(unlink(paths[i]), 0);
        assert_int_equal(mkdir(paths[i], 0755), 0);
        assert_int_equal(chown(paths[i], USER, (gid_t)-1), 0);
        must_refuse(paths[i], "nodes/sock", -EPERM);
        assert_int_equal(chown(paths[i], 0, (gid_t)-1), 0);
    }
    check_directory("/run/target", 0755);
    check_directory("/run/target/mnt", 0755);
    place_init(NULL, "/mnt");
    must_open("nodes/sock");
}

/* ---- the lock ---- */

/* A process that has the runtime directory until it is killed, or for so long. */
static pid_t start_holder(unsigned milliseconds)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        place_init(NULL, "/mnt");
        (void)!write(ready[1], place_open("listen") >= 0 ? "y" : "n", 1);
        (void)usleep(milliseconds * 1000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void test_lock(void **state)
{
    (void)state;
    pid_t holder = start_holder(60 * 1000);
    place_init(NULL, "/mnt");
    must_have_none(-EBUSY);
    assert_true(logged("/run/ipcfs/mnt"));
    place_init(NULL, "/other"); /* another mount point has its own */
    must_open("listen");
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    place_init(NULL, "/mnt");
    must_open("listen");
}

/* Who is about to end is waited for, for a moment. */
static void test_one_after_another(void **state)
{
    (void)state;
    pid_t holder = start_holder(200);
    place_init(NULL, "/mnt");
    must_open("listen");
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

/* ---- the device ---- */

static void test_device(void **state)
{
    (void)state;
    assert_int_equal(place_device(), 0);
    place_set_device(makedev(0, 53));
    assert_int_equal(place_device(), makedev(0, 53));
    place_end();
    assert_int_equal(place_device(), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    private_shm_enter("mode=755");
    const struct CMUnitTest tests[] = {
        TEST(test_names), TEST(test_long_names),          TEST(test_long_base),
        TEST(test_base),  TEST(test_base_that_is_there),  TEST(test_ordinary_user),
        TEST(test_modes), TEST(test_what_is_there_stays), TEST(test_planted),
        TEST(test_lock),  TEST(test_one_after_another),   TEST(test_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
