/* SPDX-License-Identifier: MIT */
/* Processes that wait for each other: the deadlock is found, and who is in it. */
#include "inspect_join_subject.h"

#include "inspect/deadlocks.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(bool done)
{
    if (!done)
        _exit(97);
}

/* ---- what is found ---- */

/* The only deadlock has just these processes, each with one wait, and this reason to doubt it. */
static void must_be_deadlocked(pid_t one, pid_t two, unsigned doubts)
{
    const struct inspection *seen = look(INSPECT_WAITERS);
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(seen, &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    assert_int_equal(deadlocks->count, 1);
    size_t count = deadlocks->all[0].count;
    assert_int_equal(count, one == two ? 1 : 2);
    assert_int_equal(deadlocks->all[0].doubts, doubts);
    assert_int_equal(seen->processes[waits->waits[deadlocks->waits[0]].process].pid, one);
    assert_int_equal(seen->processes[waits->waits[deadlocks->waits[count - 1]].process].pid, two);
    deadlocks_free(deadlocks);
    waits_free(waits);
}

static void must_be_none(void)
{
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(look(INSPECT_WAITERS), &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    assert_int_equal(deadlocks->count, 0);
    deadlocks_free(deadlocks);
    waits_free(waits);
}

/* What that process waits for, and the thread that has it; 0: none is known. */
static void must_have_owner(pid_t waiter, enum wait_purpose purpose, enum wait_evidence evidence, pid_t owner)
{
    const struct inspection *seen = look(INSPECT_WAITERS);
    struct waits *waits = NULL;
    size_t found = 0;
    assert_int_equal(waits_make(seen, &waits), 0);
    for (size_t i = 0; i < waits->count; i++) {
        const struct waited *waited = &waits->waited[waits->waits[i].waited];
        if (seen->processes[waits->waits[i].process].pid != waiter)
            continue;
        found++;
        assert_int_equal(waited->purpose, purpose);
        assert_int_equal(waited->evidence, evidence);
        assert_int_equal(waited->count > 0 ? waits->holders[waited->first].tid : 0, owner);
    }
    assert_int_equal(found, 1);
    waits_free(waits);
}

/* ---- memory that they share ---- */

enum { MUTEXES = 3, MUTEX_ROOM = 64, SEMAPHORE = MUTEXES, GATE, PAGE = 4096 };

static char *memory;
static int robustness;

static void *place(int number)
{
    return memory + (ptrdiff_t)number * MUTEX_ROOM;
}

static pthread_mutex_t *mutex(int number)
{
    return place(number);
}

/* NULL: it has no name, and only children have it. */
static void make_memory(const char *name)
{
    int fd = name ? shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600) : -1;
    assert_true(!name || (fd >= 0 && ftruncate(fd, PAGE) == 0));
    memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | (name ? 0 : MAP_ANONYMOUS), fd, 0);
    assert_true(memory != MAP_FAILED);
    if (name)
        close(fd);
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attributes, robustness);
    for (int i = 0; i < MUTEXES; i++)
        assert_int_equal(pthread_mutex_init(mutex(i), &attributes), 0);
    assert_int_equal(sem_init(place(SEMAPHORE), 1, 0), 0);
}

static void end_memory(void)
{
    (void)munmap(memory, PAGE);
}

/* Has got its first, and wants the second when everybody has. */
static void await_gate(void)
{
    ready();
    while (!*(volatile char *)place(GATE))
        (void)usleep(1000);
}

static void open_gate(void)
{
    *(volatile char *)place(GATE) = 1;
}

/* ---- mutexes ---- */

static void lock_one_then_two(void)
{
    must(pthread_mutex_lock(mutex(0)) == 0);
    await_gate();
    (void)pthread_mutex_lock(mutex(1));
}

static void lock_two_then_one(void)
{
    must(pthread_mutex_lock(mutex(1)) == 0);
    await_gate();
    (void)pthread_mutex_lock(mutex(0));
}

static void lock_two_then_one_in_time(void)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1000;
    must(pthread_mutex_lock(mutex(1)) == 0);
    await_gate();
    (void)pthread_mutex_timedlock(mutex(0), &end);
}

static void lock_one(void)
{
    ready();
    (void)pthread_mutex_lock(mutex(0));
}

static void check_two_mutexes(const char *name, bool removed)
{
    make_memory(name);
    if (removed)
        assert_int_equal(shm_unlink(name), 0);
    pid_t one = start_child(lock_one_then_two);
    pid_t two = start_child(lock_two_then_one);
    must_be_none();
    open_gate();
    await_call(one, SYS_futex);
    await_call(two, SYS_futex);
    pid_t behind = start_child(lock_one);
    await_call(behind, SYS_futex);
    must_be_deadlocked(one, two, 0);
    end_memory();
    if (name && !removed)
        (void)shm_unlink(name);
}

static void test_mutexes_of_shm(void **state)
{
    (void)state;
    check_two_mutexes("/locks", false);
}

static void test_mutexes_of_removed_shm(void **state)
{
    (void)state;
    check_two_mutexes("/locks", true);
}

static void test_mutexes_without_name(void **state)
{
    (void)state;
    check_two_mutexes(NULL, false);
}

static void test_robust_mutexes(void **state)
{
    (void)state;
    robustness = PTHREAD_MUTEX_ROBUST;
    check_two_mutexes("/locks", false);
    robustness = PTHREAD_MUTEX_STALLED;
}

static void test_mutexes_of_segment(void **state)
{
    (void)state;
    int id = shmget(IPC_PRIVATE, PAGE, 0600);
    make_memory(NULL);
    char *attached = shmat(id, NULL, 0);
    assert_true(attached != (char *)-1);
    memcpy(attached, memory, PAGE); /* mutexes that nobody has yet */
    end_memory();
    memory = attached;
    pid_t one = start_child(lock_one_then_two);
    pid_t two = start_child(lock_two_then_one);
    open_gate();
    await_call(one, SYS_futex);
    await_call(two, SYS_futex);
    must_be_deadlocked(one, two, 0);
    (void)shmdt(attached);
    (void)shmctl(id, IPC_RMID, NULL);
}

/* It ends by itself. */
static void test_timeout(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t one = start_child(lock_one_then_two);
    pid_t two = start_child(lock_two_then_one_in_time);
    open_gate();
    await_call(one, SYS_futex);
    await_call(two, SYS_futex);
    must_have_owner(two, WAITS_FOR_MUTEX, EVIDENCE_LOCK_WORD, one);
    must_be_none();
    end_memory();
}

static void lock_twice(void)
{
    must(pthread_mutex_lock(mutex(0)) == 0);
    ready();
    (void)pthread_mutex_lock(mutex(0));
}

static void test_same_mutex_twice(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t pid = start_child(lock_twice);
    await_call(pid, SYS_futex);
    must_be_deadlocked(pid, pid, 0);
    end_memory();
}

/* A thread that could do anything but unlock what another one has locked. */
static void *wait_a_while(void *unused)
{
    struct timespec end;
    (void)unused;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1000;
    (void)sem_timedwait(place(SEMAPHORE), &end);
    return NULL;
}

static void lock_beside_a_thread(void)
{
    pthread_t thread;
    must(pthread_mutex_lock(mutex(0)) == 0);
    await_gate();
    must(pthread_create(&thread, NULL, wait_a_while, NULL) == 0);
    (void)pthread_mutex_lock(mutex(1));
}

static void test_other_threads(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t one = start_child(lock_beside_a_thread);
    pid_t two = start_child(lock_two_then_one);
    open_gate();
    await_call(two, SYS_futex);
    (void)look(INSPECT_WAITERS);
    for (int i = 0; i < 1000 && count_waits(one) < 2; i++)
        (void)look(INSPECT_WAITERS);
    assert_int_equal(count_waits(one), 2);
    must_be_deadlocked(one, two, 0);
    end_memory();
}

static void *lock_and_stay(void *unused)
{
    (void)unused;
    must(pthread_mutex_lock(mutex(0)) == 0);
    open_gate();
    stay();
    return NULL;
}

static void lock_in_a_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, lock_and_stay, NULL) == 0);
    await_gate();
    (void)pthread_join(thread, NULL);
}

static void test_owner_is_a_thread(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t owner = start_child(lock_in_a_thread);
    await_call(owner, SYS_pause);
    pid_t waiter = start_child(lock_one);
    await_call(waiter, SYS_futex);
    assert_int_not_equal(thread_in(owner, SYS_pause), owner);
    must_have_owner(waiter, WAITS_FOR_MUTEX, EVIDENCE_LOCK_WORD, thread_in(owner, SYS_pause));
    must_be_none();
    end_memory();
}

static void lock_and_wait(void)
{
    must(pthread_mutex_lock(mutex(0)) == 0);
    ready();
}

static void test_owner_has_ended(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t owner = start_child(lock_and_wait);
    pid_t waiter = start_child(lock_one);
    await_call(waiter, SYS_futex);
    must_have_owner(waiter, WAITS_FOR_MUTEX, EVIDENCE_LOCK_WORD, owner);
    (void)kill(owner, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)owner, NULL, WEXITED | WNOWAIT), 0);
    must_have_owner(waiter, WAITS_FOR_MUTEX, EVIDENCE_OWNER_LOST, 0);
    end_memory();
}

/* Nobody says who has it: all who have it mapped could. */
static void wait_for_semaphore(void)
{
    ready();
    (void)sem_wait(place(SEMAPHORE));
}

static void test_futex(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t waiter = start_child(wait_for_semaphore);
    await_call(waiter, SYS_futex);
    must_have_owner(waiter, WAITS_FOR_FUTEX, EVIDENCE_MAPPED, 0);
    end_memory();
}

/* ---- a semaphore and a queue ---- */

static sem_t *unit;
static char message[64];

static mqd_t queue(int access)
{
    mqd_t fd = mq_open("/jobs", access);
    must(fd >= 0);
    return fd;
}

static void take_and_receive(void)
{
    mqd_t fd = queue(O_RDONLY);
    must(sem_wait(unit) == 0);
    ready();
    (void)mq_receive(fd, message, sizeof message, NULL);
}

static void take_and_send(void)
{
    mqd_t fd = queue(O_WRONLY);
    ready();
    must(sem_wait(unit) == 0);
    (void)mq_send(fd, message, 1, 0);
}

static void test_semaphore_and_queue(void **state)
{
    (void)state;
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = sizeof message};
    mqd_t made = mq_open("/jobs", O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    unit = sem_open("/unit", O_CREAT | O_EXCL, 0600, 1);
    assert_true(made >= 0 && unit != SEM_FAILED);
    (void)mq_close(made);
    pid_t receiver = start_child(take_and_receive);
    await_call(receiver, SYS_mq_timedreceive);
    must_be_none();
    pid_t sender = start_child(take_and_send);
    await_call(sender, SYS_futex);
    (void)munmap(unit, sizeof *unit);
    must_be_deadlocked(receiver, sender, DOUBT_OPEN);
    (void)sem_unlink("/unit");
    (void)mq_unlink("/jobs");
}

/* ---- the same, of System V ---- */

static int set, messages;

static void step(short by)
{
    struct sembuf one = {.sem_op = by};
    must(semop(set, &one, 1) == 0);
}

static void take_and_msgrcv(void)
{
    struct {
        long type;
        char text[8];
    } got;
    step(-1);
    ready();
    for (;;)
        (void)msgrcv(messages, &got, sizeof got.text, 0, 0);
}

static void msgsnd_and_take(void)
{
    const struct {
        long type;
        char text[8];
    } sent = {.type = 1};
    must(msgsnd(messages, &sent, sizeof sent.text, 0) == 0);
    ready();
    step(-1);
    (void)msgsnd(messages, &sent, sizeof sent.text, 0);
}

static void test_sysv(void **state)
{
    (void)state;
    set = semget(IPC_PRIVATE, 1, 0600);
    messages = msgget(IPC_PRIVATE, 0600);
    assert_true(set >= 0 && messages >= 0);
    step(1);
    pid_t receiver = start_child(take_and_msgrcv);
    pid_t sender = start_child(msgsnd_and_take);
    await_call(sender, SYS_semtimedop);
    await_call(receiver, SYS_msgrcv);
    must_be_deadlocked(receiver, sender, DOUBT_OPEN | DOUBT_PRESUMED);
    (void)semctl(set, 0, IPC_RMID);
    (void)msgctl(messages, IPC_RMID, NULL);
}

/* ---- locks of files ---- */

static int open_file(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0);
    return fd;
}

static void flock_one_then_two(void)
{
    int one = open_file("/dev/shm/one");
    int two = open_file("/dev/shm/two");
    must(flock(one, LOCK_EX) == 0);
    await_gate();
    (void)flock(two, LOCK_EX);
}

static void flock_two_then_one(void)
{
    int one = open_file("/dev/shm/one");
    int two = open_file("/dev/shm/two");
    must(flock(two, LOCK_EX) == 0);
    await_gate();
    (void)flock(one, LOCK_EX);
}

static void flock_twice(void)
{
    int one = open_file("/dev/shm/one");
    int again = open_file("/dev/shm/one");
    must(flock(one, LOCK_EX) == 0);
    ready();
    (void)flock(again, LOCK_EX);
}

static void test_file_locks(void **state)
{
    (void)state;
    make_memory(NULL);
    pid_t one = start_child(flock_one_then_two);
    pid_t two = start_child(flock_two_then_one);
    open_gate();
    await_call(one, SYS_flock);
    await_call(two, SYS_flock);
    must_be_deadlocked(one, two, 0);
    end_memory();
    (void)unlink("/dev/shm/one");
    (void)unlink("/dev/shm/two");
}

static void test_same_file_twice(void **state)
{
    (void)state;
    pid_t pid = start_child(flock_twice);
    await_call(pid, SYS_flock);
    must_be_deadlocked(pid, pid, 0);
    (void)unlink("/dev/shm/one");
}

const struct CMUnitTest join_deadlock_tests[] = {
    JOIN_TEST(test_mutexes_of_shm),
    JOIN_TEST(test_mutexes_of_removed_shm),
    JOIN_TEST(test_mutexes_without_name),
    JOIN_TEST(test_robust_mutexes),
    JOIN_TEST(test_mutexes_of_segment),
    JOIN_TEST(test_timeout),
    JOIN_TEST(test_same_mutex_twice),
    JOIN_TEST(test_other_threads),
    JOIN_TEST(test_owner_is_a_thread),
    JOIN_TEST(test_owner_has_ended),
    JOIN_TEST(test_futex),
    JOIN_TEST(test_semaphore_and_queue),
    JOIN_TEST(test_sysv),
    JOIN_TEST(test_file_locks),
    JOIN_TEST(test_same_file_twice),
};
const size_t join_deadlock_count = sizeof join_deadlock_tests / sizeof *join_deadlock_tests;
