/* SPDX-License-Identifier: MIT */
/* What is told of one process: its names and mappings, beside what the peer was told by stat(2). */
#include "inspect_peers.h"

#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WHAT = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS, PAGE = 4096 };

/* ---- names ---- */

static void take_name(const void *data)
{
    (void)prctl(PR_SET_NAME, data);
    peer_ready();
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"a) R 1 (b", "two\nlines", "back\\slash", "12345678901234", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        pid_t pid = start_peer(USER, take_name, names[i]);
        struct process process = look_at(pid, 0);
        assert_string_equal(process.command, names[i]);
        assert_int_equal(process.parent, getpid());
        assert_int_equal(process.uid, USER);
        assert_int_equal(process.threads, 1);
        assert_true(process.start > 0);
        assert_true(process.readable && process.same_ipc && !process.stuck);
        assert_int_equal(process.descriptor_count + process.mapping_count + process.call_count, 0);
        process_free(&process);
        kill_and_wait(pid);
    }
}

/* The effective one, of a process that may not be traced. */
static void take_effective_uid(const void *data)
{
    (void)data;
    if (syscall(SYS_setresuid, -1, USER, -1) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        _exit(97);
    peer_ready();
}

static void test_uid(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, take_effective_uid, NULL);
    struct process process = look_at(pid, 0);
    assert_int_equal(process.uid, USER);
    process_free(&process);
    kill_and_wait(pid);
}

/* The start is what tells a process from another one with its pid. */
static void test_start(void **state)
{
    (void)state;
    pid_t first = start_peer(0, take_name, "first");
    (void)usleep(50 * 1000);
    pid_t second = start_peer(0, take_name, "second");
    struct process a = look_at(first, 0);
    struct process b = look_at(second, 0);
    long ticks = sysconf(_SC_CLK_TCK);
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    assert_true(b.start > a.start);
    assert_true(b.start <= (uint64_t)(now.tv_sec * ticks + ticks) &&
                b.start + 60 * (uint64_t)ticks > (uint64_t)(now.tv_sec * ticks));
    process_free(&a);
    process_free(&b);
    kill_and_wait(first);
    kill_and_wait(second);
}

static void test_nobody(void **state)
{
    (void)state;
    struct process process;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_true(pid > 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    process = look_at(pid, WHAT);
    assert_true(process.readable && process.calls_known);
    assert_int_equal(process.descriptor_count + process.mapping_count + process.call_count, 0);
    process_free(&process);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
    assert_int_equal(process_read(pid, WHAT, &process), -ESRCH);
}

/* ---- mappings ---- */

enum {
    MAP_OBJECT,
    MAP_READ_ONLY,
    MAP_PRIVATE_COPY,
    MAP_MEMFD,
    MAP_SHARED_ANON,
    MAP_PRIVATE_ANON,
    MAP_SEGMENT
};

static void *map(int which, size_t pages, int protection, int flags, int fd, off_t offset)
{
    told->addresses[which] = mmap(NULL, pages * PAGE, protection, flags, fd, offset);
    return told->addresses[which];
}

static void map_things(void)
{
    int fd = open(unlinked, O_RDWR | O_CREAT, 0600);
    int memfd = memfd_create("na me", 0);
    if (ftruncate(fd, 8 * PAGE) || ftruncate(memfd, PAGE) || fstat(fd, &told->stats[MAP_OBJECT]) ||
        fstat(memfd, &told->stats[MAP_MEMFD]))
        _exit(97);
    (void)map(MAP_OBJECT, 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 3 * PAGE);
    (void)map(MAP_READ_ONLY, 1, PROT_READ, MAP_SHARED, fd, 0);
    (void)map(MAP_PRIVATE_COPY, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    (void)map(MAP_MEMFD, 1, PROT_NONE, MAP_SHARED, memfd, 0);
    (void)map(MAP_SHARED_ANON, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)map(MAP_PRIVATE_ANON, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    told->id = shmget(IPC_PRIVATE, PAGE, 0600);
    told->addresses[MAP_SEGMENT] = shmat(told->id, NULL, SHM_RDONLY);
    (void)shmctl(told->id, IPC_RMID, NULL);
    (void)unlink(unlinked);
    close(fd);
}

static void show_mappings(const void *data)
{
    (void)data;
    map_things();
    peer_ready();
}

static const struct process_mapping *must_be_mapping(const struct process *process, int which, size_t pages,
                                                     const char *access, const char *path)
{
    const struct process_mapping *found = mapping_at(process, told->addresses[which]);
    assert_non_null(found);
    assert_int_equal(found->end - found->start, pages * PAGE);
    assert_int_equal(found->reads, strchr(access, 'r') != NULL);
    assert_int_equal(found->writes, strchr(access, 'w') != NULL);
    assert_int_equal(found->shared, strchr(access, 's') != NULL);
    assert_string_equal(found->path, path);
    return found;
}

static void must_be_of(const struct process_mapping *mapping, const struct stat *stat)
{
    assert_int_equal(mapping->device, stat->st_dev);
    assert_int_equal(mapping->ino, stat->st_ino);
}

/* A newline comes back; the rest of the name, "\012" too, can not be told from it: so does the kernel write it. */
static void test_mappings(void **state)
{
    (void)state;
    static const char path[] = "/dev/shm/two\nlines \n \\ end (deleted)";
    pid_t pid = start_peer(0, show_mappings, NULL);
    struct process process = look_at(pid, PROCESS_MAPPINGS);
    assert_true(process.readable);
    assert_int_equal(process.descriptor_count + process.call_count, 0);
    const struct process_mapping *object = must_be_mapping(&process, MAP_OBJECT, 2, "rws", path);
    assert_int_equal(object->offset, 3 * PAGE);
    must_be_of(object, &told->stats[MAP_OBJECT]);
    must_be_of(must_be_mapping(&process, MAP_READ_ONLY, 1, "rs", path), &told->stats[MAP_OBJECT]);
    must_be_of(must_be_mapping(&process, MAP_PRIVATE_COPY, 1, "rw", path), &told->stats[MAP_OBJECT]);
    must_be_of(must_be_mapping(&process, MAP_MEMFD, 1, "s", "/memfd:na me (deleted)"),
               &told->stats[MAP_MEMFD]);
    assert_true(must_be_mapping(&process, MAP_SHARED_ANON, 1, "rws", "/dev/zero (deleted)")->ino > 0);
    const struct process_mapping *segment =
        must_be_mapping(&process, MAP_SEGMENT, 1, "rs", "/SYSV00000000 (deleted)");
    assert_int_equal(segment->ino, told->id);
    assert_null(mapping_at(&process, told->addresses[MAP_PRIVATE_ANON]));
    process_free(&process);
    kill_and_wait(pid);
}

/* More than is read at once, with long names. */
enum { MANY = 3000 };

static void map_many(const void *data)
{
    char path[256];
    (void)data;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "/dev/shm/%0150d", i % 2);
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        char *start = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
        if (start == MAP_FAILED)
            _exit(97);
        close(fd);
    }
    peer_ready();
}

static void test_many_mappings(void **state)
{
    (void)state;
    char path[256];
    size_t counts[2] = {0};
    pid_t pid = start_peer(0, map_many, NULL);
    struct process process = look_at(pid, PROCESS_MAPPINGS);
    for (size_t i = 0; i < process.mapping_count; i++)
        for (int j = 0; j < 2; j++) {
            (void)snprintf(path, sizeof path, "/dev/shm/%0150d", j);
            counts[j] += strcmp(process.mappings[i].path, path) == 0;
        }
    assert_int_equal(counts[0], MANY / 2);
    assert_int_equal(counts[1], MANY / 2);
    process_free(&process);
    kill_and_wait(pid);
    for (int j = 0; j < 2; j++) {
        (void)snprintf(path, sizeof path, "/dev/shm/%0150d", j);
        assert_int_equal(unlink(path), 0);
    }
}

/* ---- the first thread has ended ---- */

static void *go_on(void *data)
{
    (void)data;
    (void)usleep(20 * 1000); /* by then the first is a zombie */
    peer_ready();
    sleep_for_ever();
}

static void end_first_thread(const void *data)
{
    (void)data;
    pthread_t thread;
    map_things();
    if (pthread_create(&thread, NULL, go_on, NULL))
        _exit(97);
    pthread_exit(NULL);
}

static void test_first_thread_ended(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, end_first_thread, NULL);
    struct process process = look_at(pid, WHAT);
    assert_true(process.readable && process.calls_known && process.same_ipc);
    assert_non_null(mapping_at(&process, told->addresses[MAP_SEGMENT]));
    assert_true(process.descriptor_count > 0);
    process_free(&process);
    kill_and_wait(pid);
}

/* ---- out of memory ---- */

static void test_out_of_memory(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, show_mappings, NULL);
    long live = failing_live();
    unsigned number = 1;
    for (bool failed = true; failed; number++) {
        struct process process = {0};
        failing_arm(number);
        int error = process_read(pid, WHAT, &process);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        if (!error)
            process_free(&process);
        assert_int_equal(failing_live(), live);
    }
    assert_true(number > 4);
    kill_and_wait(pid);
}

const struct CMUnitTest inspect_process_tests[] = {
    TOLD_TEST(test_names),
    TOLD_TEST(test_uid),
    TOLD_TEST(test_start),
    TOLD_TEST(test_nobody),
    TOLD_TEST(test_mappings),
    TOLD_TEST(test_many_mappings),
    TOLD_TEST(test_first_thread_ended),
    TOLD_TEST(test_out_of_memory),
};
const size_t inspect_process_count = ARRAY_LENGTH(inspect_process_tests);
