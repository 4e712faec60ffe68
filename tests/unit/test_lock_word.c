/* SPDX-License-Identifier: MIT */
/* Owners of process-shared mutexes that are really there: somebody has one, somebody else waits for it. */
#include "cmocka_api.h"

#include "creds.h"
#include "inspect/lock_word.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where in the memory. */
enum { PLACE = 0x40, MEMORY = 4096 };

struct shared {
    int fd;
    char *memory;
};

static struct shared make_memory(void)
{
    struct shared shared = {.fd = memfd_create("mutex", MFD_CLOEXEC)};
    assert_true(shared.fd >= 0);
    assert_int_equal(ftruncate(shared.fd, MEMORY), 0);
    shared.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, shared.fd, 0);
    assert_true(shared.memory != MAP_FAILED);
    return shared;
}

static void end_memory(struct shared *shared)
{
    (void)munmap(shared->memory, MEMORY);
    close(shared->fd);
}

static pthread_mutex_t *make_mutex(char *memory, int type, int robust, int protocol, int scope)
{
    pthread_mutex_t *mutex = (pthread_mutex_t *)(void *)memory;
    pthread_mutexattr_t attributes;
    assert_int_equal(pthread_mutexattr_init(&attributes), 0);
    assert_int_equal(pthread_mutexattr_setpshared(&attributes, scope), 0);
    assert_int_equal(pthread_mutexattr_settype(&attributes, type), 0);
    assert_int_equal(pthread_mutexattr_setrobust(&attributes, robust), 0);
    assert_int_equal(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    assert_int_equal(pthread_mutex_init(mutex, &attributes), 0);
    (void)pthread_mutexattr_destroy(&attributes);
    return mutex;
}

/* A child that locks it and stays. */
static pid_t start_locker(pthread_mutex_t *mutex)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)pthread_mutex_lock(mutex);
        for (;;)
            (void)pause();
    }
    assert_true(pid > 0);
    return pid;
}

static void end_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Until it sleeps in the call. */
static void await_call(pid_t pid, long number)
{
    char path[64];
    long found = -2;
    for (int i = 0; i < 5000 && found != number; i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/syscall", pid);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        if (fscanf(file, "%ld", &found) != 1) // NOLINT(cert-err34-c)
            found = -2;
        (void)fclose(file);
        if (found != number)
            (void)usleep(1000);
    }
    assert_int_equal(found, number);
}

/* Of this process, which has it mapped as well. */
static struct lock_word word_of(const struct shared *shared, uint64_t offset)
{
    struct stat stat;
    assert_int_equal(fstat(shared->fd, &stat), 0);
    uint64_t start = (uint64_t)(uintptr_t)shared->memory;
    return (struct lock_word){.pid = getpid(),
                              .start = start,
                              .end = start + MEMORY,
                              .offset = offset,
                              .number = stat.st_ino,
                              .mask = UINT64_MAX,
                              .device = stat.st_dev};
}

static pid_t owner_in(const struct shared *shared)
{
    unsigned char bytes[LOCK_WORD_BYTES];
    memcpy(bytes, shared->memory + PLACE, sizeof bytes);
    return lock_word_owner(bytes);
}

static void check(int type, int robust, int protocol, int scope, bool expected)
{
    struct shared shared = make_memory();
    pthread_mutex_t *mutex = make_mutex(shared.memory + PLACE, type, robust, protocol, scope);
    assert_int_equal(owner_in(&shared), 0);
    pid_t owner = start_locker(mutex);
    await_call(owner, SYS_pause);
    assert_int_equal(owner_in(&shared), 0); /* nobody waits for it */
    pid_t waiter = start_locker(mutex);
    await_call(waiter, SYS_futex);
    assert_int_equal(owner_in(&shared), expected ? owner : 0);
    end_process(waiter);
    end_process(owner);
    end_memory(&shared);
}

static void test_types(void **state)
{
    (void)state;
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
                                PTHREAD_MUTEX_ADAPTIVE_NP};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int robust = PTHREAD_MUTEX_STALLED; robust <= PTHREAD_MUTEX_ROBUST; robust++)
            for (int protocol = PTHREAD_PRIO_NONE; protocol <= PTHREAD_PRIO_INHERIT; protocol++)
                check(types[i], robust, protocol, PTHREAD_PROCESS_SHARED, true);
}

/* A mutex of one process is not for others, whatever they do with it. */
static void test_private(void **state)
{
    (void)state;
    check(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE, false);
}

static void test_owner_ended(void **state)
{
    (void)state;
    struct shared shared = make_memory();
    pthread_mutex_t *mutex = make_mutex(shared.memory + PLACE, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST,
                                        PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED);
    pid_t owner = start_locker(mutex);
    await_call(owner, SYS_pause);
    end_process(owner);
    assert_int_equal(owner_in(&shared), 0);
    end_memory(&shared);
}

static void test_no_mutex(void **state)
{
    (void)state;
    unsigned char bytes[LOCK_WORD_BYTES];
    for (int byte = 0; byte < 256; byte++) {
        memset(bytes, byte, sizeof bytes);
        assert_int_equal(lock_word_owner(bytes), 0);
    }
}

static void test_read(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* nobody else may follow /proc/PID/map_files */
    struct shared shared = make_memory();
    for (int i = 0; i < LOCK_WORD_BYTES; i++)
        shared.memory[PLACE + i] = (char)(i + 1);
    enum { GOOD, OTHER_INODE, OTHER_DEVICE, OTHER_PLACE, BEHIND, NOBODY, GOOD_TOO, WORDS };
    struct lock_word words[WORDS];
    for (int i = 0; i < WORDS; i++)
        words[i] = word_of(&shared, PLACE);
    words[OTHER_INODE].number++;
    words[OTHER_DEVICE].device++;
    words[OTHER_PLACE].start -= MEMORY;
    words[BEHIND].offset = MEMORY - 4;
    words[NOBODY].pid = 0;
    words[GOOD_TOO].device = 0;
    assert_int_equal(lock_words_read(words, WORDS), 0);
    for (int i = 0; i < WORDS; i++)
        assert_int_equal(words[i].known, i == GOOD || i == GOOD_TOO);
    assert_memory_equal(words[GOOD].bytes, shared.memory + PLACE, LOCK_WORD_BYTES);
    assert_memory_equal(words[GOOD_TOO].bytes, shared.memory + PLACE, LOCK_WORD_BYTES);
    end_memory(&shared);
}

/* What is mapped from elsewhere is not opened: it is not memory. */
static void test_not_memory(void **state)
{
    (void)state;
    char path[] = "lock_word.XXXXXX";
    struct shared shared = {.fd = mkstemp(path)};
    assert_true(shared.fd >= 0);
    (void)unlink(path);
    assert_int_equal(ftruncate(shared.fd, MEMORY), 0);
    shared.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, shared.fd, 0);
    assert_true(shared.memory != MAP_FAILED);
    struct lock_word word = word_of(&shared, PLACE);
    assert_int_equal(lock_words_read(&word, 1), 0);
    assert_false(word.known);
    end_memory(&shared);
}

static void *tell_thread(void *data)
{
    *(pid_t *)data = (pid_t)syscall(SYS_gettid);
    assert_int_equal(lock_word_process(*(pid_t *)data), getpid());
    return NULL;
}

static void test_process(void **state)
{
    (void)state;
    pthread_t thread;
    pid_t tid = 0;
    assert_int_equal(pthread_create(&thread, NULL, tell_thread, &tid), 0);
    (void)pthread_join(thread, NULL);
    assert_int_not_equal(tid, getpid());
    assert_int_equal(lock_word_process(getpid()), getpid());
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(lock_word_process(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),    cmocka_unit_test(test_private), cmocka_unit_test(test_owner_ended),
        cmocka_unit_test(test_no_mutex), cmocka_unit_test(test_read),    cmocka_unit_test(test_not_memory),
        cmocka_unit_test(test_process),
    };
    if (creds_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
