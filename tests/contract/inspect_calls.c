/* SPDX-License-Identifier: MIT */
/* What threads wait in, and since when. */
#include "inspect_peers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a peer has; it inherits them. */
struct things {
    int pipe[2];
    mqd_t queue;
    int semaphores, messages;
    int *word; /* in shared memory */
};

static struct things make_things(void)
{
    struct things things = {.semaphores = semget(IPC_PRIVATE, 2, 0666),
                            .messages = msgget(IPC_PRIVATE, 0666)};
    assert_true(things.semaphores >= 0 && things.messages >= 0);
    assert_int_equal(pipe(things.pipe), 0);
    things.queue = mq_open("/inspected", O_RDWR | O_CREAT, 0600, NULL);
    assert_true(things.queue >= 0);
    things.word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(things.word != MAP_FAILED);
    return things;
}

static void remove_things(const struct things *things)
{
    close(things->pipe[0]);
    close(things->pipe[1]);
    (void)mq_close(things->queue);
    (void)mq_unlink("/inspected");
    (void)semctl(things->semaphores, 0, IPC_RMID);
    (void)msgctl(things->messages, IPC_RMID, NULL);
    (void)munmap(things->word, 4096);
}

/* ---- waits ---- */

static void wait_for_futex(const void *data)
{
    const struct things *things = data;
    peer_ready();
    (void)syscall(SYS_futex, things->word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void wait_to_read(const void *data)
{
    char byte;
    const struct things *things = data;
    peer_ready();
    (void)!read(things->pipe[0], &byte, 1);
}

static void wait_for_message(const void *data)
{
    static char message[65536];
    const struct things *things = data;
    peer_ready();
    (void)mq_receive(things->queue, message, sizeof message, NULL);
}

static void wait_for_semaphore(const void *data)
{
    struct sembuf operation = {.sem_num = 1, .sem_op = -1};
    const struct things *things = data;
    peer_ready();
    (void)semop(things->semaphores, &operation, 1);
}

static void wait_for_sysv_message(const void *data)
{
    struct {
        long type;
        char text[8];
    } message;
    const struct things *things = data;
    peer_ready();
    (void)msgrcv(things->messages, &message, sizeof message.text, 7, 0);
}

static void must_wait(const struct things *things, void (*run)(const void *data), long number, uint64_t first)
{
    pid_t pid = start_peer(USER, run, things);
    let_peer_run(pid);
    struct process process = await_call(pid, number);
    assert_true(process.readable && process.calls_known);
    assert_int_equal(process.calls[0].tid, pid);
    assert_int_equal(process.calls[0].arguments[0], first);
    process_free(&process);
    kill_and_wait(pid);
}

static void test_waits(void **state)
{
    (void)state;
    struct things things = make_things();
    must_wait(&things, wait_for_futex, SYS_futex, (uintptr_t)things.word);
    must_wait(&things, wait_to_read, SYS_read, (uint64_t)things.pipe[0]);
    must_wait(&things, wait_for_message, SYS_mq_timedreceive, (uint64_t)things.queue);
    must_wait(&things, wait_for_sysv_message, SYS_msgrcv, (uint64_t)things.messages);
    /* Of semop(3), the C library makes one or the other. */
    pid_t pid = start_peer(USER, wait_for_semaphore, &things);
    let_peer_run(pid);
#ifdef SYS_semtimedop
    struct process process = await_call(pid, SYS_semtimedop);
#else
    struct process process = await_call(pid, SYS_semop);
#endif
    assert_int_equal(process.calls[0].arguments[0], things.semaphores);
    process_free(&process);
    kill_and_wait(pid);
    remove_things(&things);
}

/* ---- since when ---- */

static double seconds_since(const struct timespec *time)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec - time->tv_sec) + (double)(now.tv_nsec - time->tv_nsec) / 1e9;
}

static void must_wait_since(struct things *things, int processor)
{
    cpu_set_t there;
    CPU_ZERO(&there);
    CPU_SET(processor, &there);
    pid_t pid = start_peer(0, wait_to_read, things);
    assert_int_equal(sched_setaffinity(pid, sizeof there, &there), 0);
    (void)usleep(100 * 1000); /* stopped: it does not wait yet */
    let_peer_run(pid);
    struct timespec before;
    (void)clock_gettime(CLOCK_REALTIME, &before);
    struct process process = await_call(pid, SYS_read);
    process_free(&process);
    double latest = seconds_since(&before);
    (void)usleep(200 * 1000);
    process = look_at(pid, PROCESS_CALLS);
    assert_int_equal(process.call_count, 1);
    assert_true(process.calls[0].since_known);
    double waited = seconds_since(&process.calls[0].since);
    double most = seconds_since(&before);
    if (waited > most + 0.005 || waited < most - latest - 0.005)
        fail_msg("it waits for %.6f s, and not for %.6f to %.6f", waited, most - latest, most);
    process_free(&process);
    kill_and_wait(pid);
}

/* Each processor has a clock of its own. The thread that asks is where it was afterwards. */
static void test_since(void **state)
{
    (void)state;
    cpu_set_t allowed;
    cpu_set_t after;
    struct things things = make_things();
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int i = 0, tried = 0; i < CPU_SETSIZE && tried < 4; i++) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        must_wait_since(&things, i);
        tried++;
    }
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&allowed, &after));
    remove_things(&things);
}

/* ---- threads ---- */

static void *spin(void *data)
{
    const volatile bool *end = data;
    while (!*end)
        ;
    return NULL;
}

static void *wait_here(void *data)
{
    wait_to_read(data);
    return NULL;
}

/* Two wait, and one runs. */
static void run_threads(const void *data)
{
    static bool never;
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, spin, &never) ||
        pthread_create(&threads[1], NULL, wait_here, (void *)data))
        _exit(97);
    sleep_for_ever();
}

static void test_threads(void **state)
{
    (void)state;
    struct things things = make_things();
    pid_t pid = start_peer(USER, run_threads, &things);
    let_peer_run(pid);
    struct process process = {0};
    const struct process_call *reading = NULL;
    for (int i = 0; i < 5000 && (!reading || process.call_count < 2); i++) {
        process_free(&process);
        (void)usleep(1000);
        process = look_at(pid, PROCESS_CALLS);
        for (size_t j = 0; j < process.call_count; j++)
            if (process.calls[j].number == SYS_read)
                reading = &process.calls[j];
    }
    assert_non_null(reading);
    assert_int_not_equal(reading->tid, pid);
    assert_int_equal(process.threads, 3);
    assert_int_equal(process.call_count, 2);
    assert_non_null(call_of(&process, pid));
    process_free(&process);
    kill_and_wait(pid);
    remove_things(&things);
}

/* ---- not a wait of this architecture ---- */

static void test_running(void **state)
{
    (void)state;
    static bool never;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)spin(&never);
        _exit(0);
    }
    for (int i = 0; i < 50; i++) {
        struct process process = look_at(pid, PROCESS_CALLS);
        assert_true(process.readable && process.calls_known);
        assert_true(process.call_count == 0 || process.calls[0].number >= 0);
        process_free(&process);
    }
    (void)usleep(100 * 1000);
    struct process process = look_at(pid, PROCESS_CALLS);
    assert_int_equal(process.call_count, 0);
    process_free(&process);
    kill_and_wait(pid);
}

#if defined(__x86_64__)
/* pause(2) by the number of a 32-bit program (29; of others it is shmget(2)), with code and stack where those have theirs. */
static void pause_as_32_bit(const void *data)
{
    static const unsigned char code[] = {0xb8, 29, 0, 0, 0, 0xcd, 0x80}; /* mov $29, %eax; int $0x80 */
    (void)data;
    unsigned char *low =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED)
        _exit(97);
    memcpy(low, code, sizeof code);
    peer_ready();
    __asm__ volatile("mov %0, %%rsp; jmp *%1" : : "r"(low + 8192), "r"(low) : "memory");
}

static void test_32_bit(void **state)
{
    (void)state;
    char text[128] = "";
    char path[64];
    pid_t pid = start_peer(0, pause_as_32_bit, NULL);
    (void)snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    let_peer_run(pid);
    for (int i = 0; i < 5000 && strncmp(text, "29 ", 3) != 0; i++) {
        (void)usleep(1000);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        if (!fgets(text, sizeof text, file))
            text[0] = '\0';
        (void)fclose(file);
    }
    assert_int_equal(strncmp(text, "29 ", 3), 0);
    struct process process = look_at(pid, PROCESS_CALLS);
    assert_true(process.calls_known);
    assert_int_equal(process.call_count, 0);
    process_free(&process);
    kill_and_wait(pid);
}
#endif

const struct CMUnitTest inspect_calls_tests[] = {
    INSPECT_TEST(test_waits),   INSPECT_TEST(test_since),
    INSPECT_TEST(test_threads), INSPECT_TEST(test_running),
#if defined(__x86_64__)
    INSPECT_TEST(test_32_bit),
#endif
};
const size_t inspect_calls_count = ARRAY_LENGTH(inspect_calls_tests);
