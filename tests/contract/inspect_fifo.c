/* SPDX-License-Identifier: MIT */
/* Who opens a FIFO and waits for the other end: its path, and that nobody waits for the memory where that is. */
#include "inspect_peers.h"
#include "inspect_silent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, SOON_MS = 300 };

static const char directory[] = "/run/fifos";
static const char fifo[] = "/run/fifos/a b";

static int begin(void **state)
{
    return begin_inspect_test(state) || mkdir(directory, 0755) || mkfifo(fifo, 0666) || chmod(fifo, 0666);
}

static int end(void **state)
{
    return unlink(fifo) || rmdir(directory) || end_inspect_test(state);
}
#define FIFO_TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

/* ---- what is told ---- */

static void open_absolute(const void *data)
{
    (void)data;
    peer_ready();
    (void)open(fifo, O_RDONLY);
}

static void open_for_writing(const void *data)
{
    (void)data;
    peer_ready();
    (void)open("//run/./fifos/../fifos//a b", O_WRONLY);
}

static void open_below_cwd(const void *data)
{
    (void)data;
    peer_ready();
    (void)!chdir(directory);
    (void)open("../../../run/fifos/a b", O_RDONLY);
}

static void open_below_descriptor(const void *data)
{
    (void)data;
    int at = open(directory, O_PATH);
    peer_ready();
    (void)openat(at, "a b", O_RDONLY);
}

static void open_by_openat2(const void *data)
{
    (void)data;
    const struct open_how how = {.flags = O_WRONLY, .resolve = RESOLVE_IN_ROOT};
    int at = open(directory, O_PATH);
    peer_ready();
    (void)syscall(SYS_openat2, at, "/a b", &how, sizeof how);
}

static void open_in_other_root(const void *data)
{
    (void)data;
    (void)!chroot("/run");
    (void)!chdir("/");
    peer_ready();
    (void)open("/fifos/a b", O_RDONLY);
}

#ifdef SYS_creat
static void open_by_creat(const void *data)
{
    (void)data;
    peer_ready();
    (void)syscall(SYS_creat, fifo, 0600);
}
#endif

static void must_be_told(uid_t uid, void (*run)(const void *data), long number, bool writes)
{
    pid_t pid = start_peer(uid, run, NULL);
    let_peer_run(pid);
    if (uid)
        act_as(uid);
    struct process process = await_call(pid, number);
    for (int i = 0; i < 1000 && !process.calls[0].fifo; i++) { /* in the call it does not sleep at once */
        process_free(&process);
        (void)usleep(1000);
        process = await_call(pid, number);
    }
    act_as_root();
    assert_non_null(process.calls[0].fifo);
    assert_string_equal(process.calls[0].fifo, fifo);
    assert_int_equal(process.calls[0].writes, writes);
    process_free(&process);
    kill_and_wait(pid);
}

static void test_paths(void **state)
{
    (void)state;
    must_be_told(0, open_absolute, SYS_openat, false);
    must_be_told(USER, open_absolute, SYS_openat, false);
    must_be_told(USER, open_for_writing, SYS_openat, true);
    must_be_told(USER, open_below_cwd, SYS_openat, false);
    must_be_told(USER, open_below_descriptor, SYS_openat, false);
    must_be_told(USER, open_by_openat2, SYS_openat2, true);
    must_be_told(0, open_in_other_root, SYS_openat, false);
#ifdef SYS_creat
    must_be_told(0, open_by_creat, SYS_creat, true);
#endif
}

/* ---- who is told ---- */

/* By whom the thread acts for, and not by the daemon's own rights. */
static void test_rights(void **state)
{
    (void)state;
    const uid_t owners[] = {0, OTHER_USER};
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++) {
        pid_t pid = start_peer(owners[i], open_absolute, NULL);
        let_peer_run(pid);
        struct process seen = await_call(pid, SYS_openat);
        process_free(&seen);
        act_as(USER);
        struct process process = look_at(pid, PROCESS_CALLS);
        act_as_root();
        assert_false(process.calls_known);
        assert_int_equal(process.call_count, 0);
        process_free(&process);
        kill_and_wait(pid);
    }
}

/* ---- memory that can not be read ---- */

/* What becomes of the page of the path once a thread waits at the FIFO. */
struct trap {
    const struct silent
        *silent;       /* it is the file's, which does not answer; NULL: nobody fills it (userfaultfd(2)) */
    size_t offset;     /* of the path before it: so much of it is still there */
    _Atomic bool *set; /* shared: the page is like that now */
};

static char *pages;

static void *open_there(void *path)
{
    (void)open(path, O_RDONLY);
    return path;
}

static bool register_page(char *page)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register missing = {.range = {(uintptr_t)page, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    return fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &missing) &&
           !madvise(page, PAGE, MADV_DONTNEED);
}

static bool take_file(char *page, const struct silent *silent)
{
    struct stat stat; /* asked for, so that the kernel knows how long it is */
    int fd = open(silent->path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && !fstat(fd, &stat) && stat.st_size == PAGE &&
           mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == page;
}

static void fall_into(const void *data)
{
    const struct trap *trap = data;
    pthread_t thread;
    pages = mmap(NULL, (size_t)2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *path = memcpy(pages + PAGE - trap->offset, fifo, sizeof fifo);
    peer_ready(); /* not later: a stop would make the call begin again */
    if (pages == MAP_FAILED || pthread_create(&thread, NULL, open_there, path))
        _exit(97);
    (void)usleep(200 * 1000);
    if (!(trap->silent ? take_file(pages + PAGE, trap->silent) : register_page(pages + PAGE)))
        _exit(96);
    *trap->set = true;
    sleep_for_ever();
}

/* By one of its threads, still. */
static bool is_at_fifo(pid_t pid)
{
    char command[96];
    (void)snprintf(command, sizeof command,
                   "cat /proc/%d/task/*/wchan | grep -Eq 'wait_for_partner|fifo_open'", pid);
    return system(command) == 0; // NOLINT(cert-env33-c,concurrency-mt-unsafe): no input of others
}

static const struct process_call *opening(const struct process *process)
{
    for (size_t i = 0; i < process->call_count; i++)
        if (process->calls[i].number == SYS_openat)
            return &process->calls[i];
    fail_msg("it does not open anything");
    return NULL;
}

/* The peer is root: what userfaultfd(2) gives others, the kernel does not wait for. It is the caller's to be killed: when the
 * file answers, which it closes then. */
static pid_t must_not_wait(struct trap trap)
{
    trap.set = mmap(NULL, sizeof *trap.set, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)trap.set != MAP_FAILED);
    pid_t pid = start_peer(0, fall_into, &trap);
    let_peer_run(pid);
    for (int i = 0; i < 5000 && !*trap.set; i++)
        (void)usleep(1000);
    assert_true(*trap.set && is_at_fifo(pid));
    int64_t start = now_in_ms();
    struct process process = find_in_walk(pid, PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS);
    assert_true(now_in_ms() - start < SOON_MS);
    assert_true(process.readable && process.calls_known && !process.stuck);
    assert_null(opening(&process)->fifo);
    process_free(&process);
    assert_true(is_at_fifo(pid));
    (void)munmap((void *)trap.set, sizeof *trap.set);
    return pid;
}

static void test_page_of_nobody(void **state)
{
    (void)state;
    kill_and_wait(must_not_wait((struct trap){0}));
    kill_and_wait(must_not_wait((struct trap){.offset = 5}));
}

static void test_page_of_silent_file(void **state)
{
    (void)state;
    struct silent silent = start_silent();
    pid_t one = must_not_wait((struct trap){.silent = &silent});
    pid_t other = must_not_wait((struct trap){.silent = &silent, .offset = 5});
    end_silent(&silent);
    kill_and_wait(one);
    kill_and_wait(other);
}

const struct CMUnitTest inspect_fifo_tests[] = {
    FIFO_TEST(test_paths),
    FIFO_TEST(test_rights),
    FIFO_TEST(test_page_of_nobody),
    FIFO_TEST(test_page_of_silent_file),
};
const size_t inspect_fifo_count = ARRAY_LENGTH(inspect_fifo_tests);
