/* SPDX-License-Identifier: MIT */
/* The walk over all processes. */
#include "inspect_peers.h"

#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WHAT = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS };

/* ---- many ---- */

enum { MANY = 700 }; /* more than are handed over at once */

static void start_many(pid_t *pids)
{
    for (int i = 0; i < MANY; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            sleep_for_ever();
    }
}

static void end_many(const pid_t *pids)
{
    for (int i = 0; i < MANY; i++)
        kill_and_wait(pids[i]);
}

struct seen {
    size_t count, mine;
    pid_t last;
    size_t end_at;     /* 0: never */
    unsigned delay_us; /* at each 100th */
    const pid_t *pids;
};

static int see(void *data, struct process *process)
{
    struct seen *seen = data;
    assert_true(process->pid > seen->last);
    seen->last = process->pid;
    for (int i = 0; i < MANY; i++)
        seen->mine += seen->pids[i] == process->pid;
    seen->count++;
    if (seen->delay_us && seen->count % 100 == 0)
        (void)usleep(seen->delay_us);
    return seen->count == seen->end_at ? -EXDEV : 0;
}

static void test_many(void **state)
{
    (void)state;
    pid_t pids[MANY];
    start_many(pids);
    struct seen seen = {.pids = pids};
    assert_int_equal(processes_read(0, WHAT, see, &seen), 0);
    assert_int_equal(seen.mine, MANY);
    /* Who visits slowly is waited for, however long it takes. */
    seen = (struct seen){.pids = pids, .delay_us = 300 * 1000};
    assert_int_equal(processes_read(0, WHAT, see, &seen), 0);
    assert_int_equal(seen.mine, MANY);
    end_many(pids);
}

static void test_end_early(void **state)
{
    (void)state;
    pid_t pids[MANY];
    long live = failing_live();
    start_many(pids);
    static const size_t places[] = {1, 2, 255, 256, 257, 600};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        struct seen seen = {.pids = pids, .end_at = places[i]};
        assert_int_equal(processes_read(0, WHAT, see, &seen), -EXDEV);
        assert_int_equal(seen.count, places[i]);
        assert_int_equal(failing_live(), live);
    }
    end_many(pids);
}

/* ---- one ---- */

static int keep(void *data, struct process *process)
{
    struct process *kept = data;
    assert_int_equal(kept->pid, 0);
    *kept = *process;
    *process = (struct process){0};
    return 0;
}

static void test_one(void **state)
{
    (void)state;
    struct process process = {0};
    pid_t pid = fork();
    if (pid == 0)
        sleep_for_ever();
    assert_int_equal(processes_read(pid, WHAT, keep, &process), 0);
    assert_int_equal(process.pid, pid);
    assert_true(process.readable && process.mapping_count > 0);
    process_free(&process);
    kill_and_wait(pid);
    assert_int_equal(processes_read(pid, WHAT, keep, &process), -ESRCH);
    assert_int_equal(processes_read(getpid(), WHAT, keep, &process), -ESRCH);
}

/* ---- processes that come and go ---- */

static void breed(const void *data)
{
    (void)data;
    peer_ready();
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            _exit(1);
    }
}

static void test_coming_and_going(void **state)
{
    (void)state;
    pid_t breeders[] = {start_peer(0, breed, NULL), start_peer(USER, breed, NULL)};
    for (size_t i = 0; i < ARRAY_LENGTH(breeders); i++)
        let_peer_run(breeders[i]);
    for (int i = 0; i < 300; i++) {
        struct process process = find_in_walk(breeders[0], WHAT);
        assert_true(process.readable && process.calls_known && !process.stuck);
        process_free(&process);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(breeders); i++)
        kill_and_wait(breeders[i]);
}

/* ---- a process that has too much ---- */

enum { DESCRIPTORS = 18000, PATH_PIECES = 15 };

/* Paths that are long and never twice the same after one another: more than the limit of memory. Of what it made, nothing is
 * left at its end. */
static void open_too_much(const void *data)
{
    char name[251] = {0};
    (void)data;
    const struct rlimit limit = {.rlim_cur = 20000, .rlim_max = 20000};
    (void)memset(name, 'n', sizeof name - 1);
    if (setrlimit(RLIMIT_NOFILE, &limit) || chdir("/dev/shm"))
        _exit(97);
    for (int i = 0; i < PATH_PIECES; i++)
        if (mkdir(name, 0700) || chdir(name))
            _exit(97);
    int files[] = {open("a", O_RDWR | O_CREAT, 0600), open("b", O_RDWR | O_CREAT, 0600)};
    for (int i = 0; i < DESCRIPTORS; i++)
        if (dup(files[i % 2]) < 0)
            _exit(97);
    peer_ready();
    if (unlink("a") || unlink("b"))
        _exit(97);
    for (int i = 0; i < PATH_PIECES; i++)
        if (chdir("..") || rmdir(name))
            _exit(97);
}

static void test_too_much(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, open_too_much, NULL);
    struct process process = find_in_walk(pid, PROCESS_DESCRIPTORS);
    assert_int_equal(process.pid, pid);
    assert_false(process.readable || process.stuck);
    assert_int_equal(process.descriptor_count, 0);
    process_free(&process);
    process = find_in_walk(pid, PROCESS_MAPPINGS);
    assert_true(process.readable && process.mapping_count > 0);
    process_free(&process);
    int status = 0;
    let_peer_run(pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

const struct CMUnitTest inspect_walk_tests[] = {
    INSPECT_TEST(test_many),     INSPECT_TEST(test_end_early),
    INSPECT_TEST(test_one),      INSPECT_TEST(test_coming_and_going),
    INSPECT_TEST(test_too_much),
};
const size_t inspect_walk_count = ARRAY_LENGTH(inspect_walk_tests);
