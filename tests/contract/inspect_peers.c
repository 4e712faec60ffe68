/* SPDX-License-Identifier: MIT */
#include "inspect_peers.h"

#include "descriptors.h"
#include "failing.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    int descriptors;
    long allocations;
} before;

int begin_inspect_test(void **state)
{
    (void)state;
    before.descriptors = count_descriptors();
    before.allocations = failing_live();
    return 0;
}

int end_inspect_test(void **state)
{
    (void)state;
    int descriptors = count_descriptors() - before.descriptors;
    long allocations = failing_live() - before.allocations;
    bool children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
    if (descriptors == 0 && allocations == 0 && !children)
        return 0;
    (void)fprintf(stderr, "left behind: %d descriptors, %ld allocations%s\n", descriptors, allocations,
                  children ? ", a child" : "");
    return -1;
}

/* ---- what peers tell ---- */

struct told *told;
const char unlinked[] = "/dev/shm/two\nlines \\012 \\ end";

int begin_told_test(void **state)
{
    int failed = begin_inspect_test(state);
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return failed || told == MAP_FAILED ? -1 : 0;
}

int end_told_test(void **state)
{
    (void)munmap(told, sizeof *told);
    return end_inspect_test(state);
}

/* ---- peers ---- */

void peer_ready(void)
{
    (void)raise(SIGSTOP);
}

_Noreturn void sleep_for_ever(void)
{
    for (;;)
        (void)pause();
}

/* Dumpable again, which a change of the uid takes off: so that he may look at it himself. */
static int take_identity(uid_t uid)
{
    if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ||
                prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
        return -1;
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

pid_t start_peer(uid_t uid, void (*run)(const void *data), const void *data)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (take_identity(uid))
            _exit(98);
        run(data);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status))
        fail_msg("a peer ended: %#x", (unsigned)status);
    return pid;
}

void let_peer_run(pid_t pid)
{
    assert_int_equal(kill(pid, SIGCONT), 0);
}

void kill_and_wait(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

struct process await_call(pid_t pid, long number)
{
    for (int i = 0; i < 5000; i++) {
        struct process process = look_at(pid, PROCESS_CALLS | PROCESS_DESCRIPTORS | PROCESS_MAPPINGS);
        if (process.call_count == 1 && process.calls[0].number == number)
            return process;
        process_free(&process);
        (void)usleep(1000);
    }
    fail_msg("%d is not in call %ld", pid, number);
    return (struct process){0};
}

/* ---- who looks ---- */

void act_as(uid_t uid)
{
    assert_int_equal(syscall(SYS_setgroups, 0, NULL), 0);
    assert_int_equal(syscall(SYS_setresgid, -1, uid, -1), 0);
    assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

void act_as_root(void)
{
    assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
    assert_int_equal(syscall(SYS_setresgid, -1, 0, -1), 0);
}

int64_t now_in_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- what is told ---- */

struct process look_at(pid_t pid, unsigned what)
{
    struct process process;
    int error = process_read(pid, what, &process);
    if (error)
        fail_msg("process_read: %s", strerror(-error));
    assert_int_equal(process.pid, pid);
    return process;
}

const struct process_descriptor *descriptor_of(const struct process *process, int fd)
{
    const struct process_descriptor *found = NULL;
    for (size_t i = 0; i < process->descriptor_count; i++) {
        if (process->descriptors[i].fd != fd)
            continue;
        assert_null(found);
        found = &process->descriptors[i];
    }
    return found;
}

const struct process_mapping *mapping_at(const struct process *process, const void *start)
{
    const struct process_mapping *found = NULL;
    for (size_t i = 0; i < process->mapping_count; i++) {
        if (process->mappings[i].start != (uintptr_t)start)
            continue;
        assert_null(found);
        found = &process->mappings[i];
    }
    return found;
}

const struct process_call *call_of(const struct process *process, pid_t tid)
{
    const struct process_call *found = NULL;
    for (size_t i = 0; i < process->call_count; i++) {
        if (process->calls[i].tid != tid)
            continue;
        assert_null(found);
        found = &process->calls[i];
    }
    return found;
}

struct search {
    pid_t pid, last;
    struct process found;
};

static int search(void *data, struct process *process)
{
    struct search *search = data;
    assert_true(process->pid > search->last); /* in their order, each once */
    assert_int_not_equal(process->pid, getpid());
    search->last = process->pid;
    if (process->pid == search->pid) {
        search->found = *process;
        *process = (struct process){0};
    }
    return 0;
}

struct process find_in_walk(pid_t pid, unsigned what)
{
    struct search searching = {.pid = pid};
    int error = processes_read(0, what, search, &searching);
    if (error)
        fail_msg("processes_read: %s", strerror(-error));
    return searching.found;
}
