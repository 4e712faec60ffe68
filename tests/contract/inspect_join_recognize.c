/* SPDX-License-Identifier: MIT */
/* What each kind takes for its own, of what /proc tells. */
#include "inspect_join_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum place { SHM, KERNEL, QUEUES, ELSEWHERE };

static const struct {
    enum place place;
    const char *path;
    const char *kind; /* NULL: no kind's */
    bool other_ipc;
} cases[] = {
    {SHM, "/dev/shm/plain", "shm", false},
    {SHM, "/dev/shm/plain (deleted)", "shm", false},
    {SHM, "/dev/shm/semaphore", "shm", false},
    {SHM, "/elsewhere/it/is/mounted/plain", "shm", true},
    {SHM, "/dev/shm/sem.turn", "sem", false},
    {SHM, "/dev/shm/sem.turn (deleted)", "sem", true},
    {SHM, "/elsewhere/sem.turn", "sem", false},
    {SHM, "/dev/shm/directory/plain", NULL, false},
    {SHM, "/dev/shm/directory/sem.turn", NULL, false},
    {SHM, "/dev/shm/.ipcfs.own", NULL, false},
    {SHM, "/dev/shm/SYSV0000002a (deleted)", "shm", false},
    {SHM, "", NULL, false},
    {ELSEWHERE, "/dev/shm/plain", NULL, false},
    {ELSEWHERE, "/dev/shm/sem.turn", NULL, false},
    {ELSEWHERE, "/SYSV0000002a (deleted)", NULL, false},
    {ELSEWHERE, "/jobs", NULL, false},
    {KERNEL, "/SYSV0000002a (deleted)", "sysv/shm", false},
    {KERNEL, "/SYSV0000002a (deleted)", NULL, true},
    {KERNEL, "/memfd:SYSV0000002a (deleted)", NULL, false},
    {KERNEL, "/dev/zero (deleted)", NULL, false},
    {QUEUES, "/jobs", "mq", false},
    {QUEUES, "/jobs (deleted)", "mq", true},
    {QUEUES, "/dev/mqueue/sem.jobs", "mq", false},
};

static dev_t device_of(int fd)
{
    struct stat stat;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &stat), 0);
    close(fd);
    return stat.st_dev;
}

static const char *kind_that_takes(const struct ipcfs_thing *thing)
{
    const char *taken = NULL;
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        uint64_t number = 0;
        if (!ipcfs_backends[i]->recognize(thing, &number))
            continue;
        assert_null(taken); /* no two of them */
        assert_int_equal(number, thing->ino);
        taken = ipcfs_backends[i]->kind;
    }
    return taken;
}

static void test_recognize(void **state)
{
    (void)state;
    const dev_t devices[] = {
        [SHM] = device_of(open("/dev/shm", O_RDONLY)),
        [KERNEL] = device_of(memfd_create("any", 0)),
        [QUEUES] = device_of(mq_open("/jobs", O_RDONLY | O_CREAT, 0600, NULL)),
        [ELSEWHERE] = device_of(open("/mnt", O_RDONLY)),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct ipcfs_thing thing = {.device = devices[cases[i].place],
                                          .ino = 4711 + i,
                                          .path = cases[i].path,
                                          .same_ipc = !cases[i].other_ipc};
        const char *taken = kind_that_takes(&thing);
        if ((taken == NULL) != (cases[i].kind == NULL) || (taken && strcmp(taken, cases[i].kind) != 0))
            fail_msg("%s is taken for %s", cases[i].path, taken ? taken : "nothing");
    }
    assert_int_equal(mq_unlink("/jobs"), 0);
}

/* The queues of another IPC name space lie on another device. */
static void open_elsewhere(void)
{
    if (unshare(CLONE_NEWIPC) || mq_open("/other", O_RDONLY | O_CREAT, 0600, NULL) < 0)
        _exit(97);
    ready();
}

static void test_queue_elsewhere(void **state)
{
    (void)state;
    pid_t pid = start_child(open_elsewhere);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    assert_true(inspection_process(seen, pid)->readable);
    assert_null(find_object("mq", "other"));
}

/* Segments of huge pages lie on a device of their own, even where there are no such pages. */
static void test_huge_pages(void **state)
{
    (void)state;
    int fd = memfd_create("any", MFD_HUGETLB);
    if (fd < 0 && (errno == ENODEV || errno == ENOSYS || errno == EINVAL))
        return;
    const struct ipcfs_thing thing = {
        .device = device_of(fd), .ino = 3, .path = "/SYSV00000000 (deleted)", .same_ipc = true};
    assert_string_equal(kind_that_takes(&thing), "sysv/shm");
}

const struct CMUnitTest join_recognize_tests[] = {JOIN_TEST(test_recognize), JOIN_TEST(test_queue_elsewhere),
                                                  JOIN_TEST(test_huge_pages)};
const size_t join_recognize_count = sizeof join_recognize_tests / sizeof *join_recognize_tests;
