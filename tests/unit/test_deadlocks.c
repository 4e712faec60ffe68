/* SPDX-License-Identifier: MIT */
/* Deadlocks in inspections made by hand: those that there are, told in words, and none where there is none. */
#include "cmocka_api.h"
#include "failing.h"
#include "fake_inspection.h"

#include "wait_words.h"

#include "mq.h"
#include "pipe.h"
#include "posix_sem.h"
#include "sysv_sem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_inspection fake;

static int begin(void **state)
{
    (void)state;
    fake_begin(&fake);
    return 0;
}

static void must_be(const char *expected)
{
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    AUTO_TEXT text = {0};
    assert_int_equal(waits_make(fake_end(&fake), &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    for (size_t i = 0; i < deadlocks->count; i++)
        deadlock_words(&text, waits, deadlocks, &deadlocks->all[i]);
    text_bytes(&text, "", 1);
    assert_string_equal(text.data, expected);
    deadlocks_free(deadlocks);
    waits_free(waits);
}

#define OPEN_DOUBT "; somebody else could still come and end it"

/* ---- what they use ---- */

static size_t process(const char *command)
{
    return fake_process(&fake, command, 1);
}

static size_t file(const char *name)
{
    return fake_thing(&fake, INSPECTED_FILE, name);
}

/* Has the file open, and waits for a lock that `holder` has. */
static void wants_lock(size_t waiter, size_t object, size_t holder)
{
    (void)fake_descriptor(&fake, waiter, object, true, true);
    (void)fake_descriptor(&fake, holder, object, true, true);
    fake_lock(&fake, object, fake_pid(holder), waiter);
    fake_wait(&fake, waiter, 0, object, "flock")->exclusive = true;
}

static size_t anonymous_pipe(size_t reader, size_t writer)
{
    static const char *const names[] = {"pipe:[1]", "pipe:[2]", "pipe:[3]"};
    size_t object = fake_thing(&fake, INSPECTED_PIPE, names[fake.seen.object_count]);
    (void)fake_descriptor(&fake, reader, object, true, false);
    (void)fake_descriptor(&fake, writer, object, false, true);
    return object;
}

static void waits_for_children(size_t parent)
{
    size_t object = fake_thing(&fake, INSPECTED_EXIT, "the end of any child");
    fake.objects[object].number = 0;
    (void)fake_wait(&fake, parent, 0, object, "wait4");
}

static void is_child(size_t child, size_t parent)
{
    fake.processes[child].parent = fake_pid(parent);
}

/* ---- locks ---- */

static void test_nothing(void **state)
{
    (void)state;
    must_be("");
}

static void test_two(void **state)
{
    (void)state;
    size_t a = process("a b");
    size_t b = process("b");
    wants_lock(a, file("/f\n"), b);
    wants_lock(b, file("/g"), a);
    must_be(
        "deadlock: a\\040b (100) waits for file:/f\\012 (lock) held by b (101), which waits for file:/g (lock) "
        "held by a\\040b (100).\n");
}

static void test_two_cycles(void **state)
{
    (void)state;
    size_t p[] = {process("a"), process("b"), process("c"), process("d"), process("e"), process("f")};
    wants_lock(p[0], file("/1"), p[3]);
    wants_lock(p[3], file("/2"), p[0]);
    wants_lock(p[1], file("/3"), p[2]);
    wants_lock(p[2], file("/4"), p[4]);
    wants_lock(p[4], file("/5"), p[1]);
    wants_lock(p[5], file("/6"), p[0]); /* only waits for one of them */
    must_be(
        "deadlock: a (100) waits for file:/1 (lock) held by d (103), which waits for file:/2 (lock) held by a "
        "(100).\n"
        "deadlock: b (101) waits for file:/3 (lock) held by c (102), which waits for file:/4 (lock) held by e "
        "(104), which waits for file:/5 (lock) held by b (101).\n");
}

static void test_itself(void **state)
{
    (void)state;
    size_t a = process("a");
    wants_lock(a, file("/f"), a);
    must_be("deadlock: a (100) waits for file:/f (lock) held by a (100).\n");
}

static void test_chain(void **state)
{
    (void)state;
    size_t p[] = {process("a"), process("b"), process("c"), process("d")};
    for (int i = 0; i < 3; i++)
        wants_lock(p[i], file("/f"), p[i + 1]);
    must_be("");
}

/* Readers' locks: all of them have to go. */
static void test_one_of_several_holders(void **state)
{
    (void)state;
    size_t writer = process("writer");
    size_t reader = process("reader");
    size_t runs = process("runs");
    size_t object = file("/f");
    (void)fake_descriptor(&fake, runs, object, true, false);
    wants_lock(writer, object, reader);
    fake_lock(&fake, object, fake_pid(runs), writer);
    wants_lock(reader, file("/g"), writer);
    wants_lock(runs, file("/h"), process("busy"));
    must_be(
        "deadlock: writer (100) waits for file:/f (lock) held by reader (101) and runs (102); reader (101) waits "
        "for file:/g (lock) held by writer (100).\n");
}

static void test_other_thread_runs(void **state)
{
    (void)state;
    size_t a = fake_process(&fake, "a", 2);
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    wants_lock(b, file("/g"), a);
    must_be("");
}

static void test_all_threads_wait(void **state)
{
    (void)state;
    size_t a = fake_process(&fake, "a", 2);
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    fake_wait(&fake, a, 1, 0, "flock")->exclusive = true;
    wants_lock(b, file("/g"), a);
    must_be(
        "deadlock: a (100) waits for file:/f (lock) held by b (101), which waits for file:/g (lock) held by a "
        "(100), which waits for file:/f (lock) held by b (101).\n");
}

/* A thread that waits for two things is stuck in neither. */
static void test_waits_twice(void **state)
{
    (void)state;
    size_t a = fake_process(&fake, "a", 2);
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    wants_lock(a, file("/h"), b);
    wants_lock(b, file("/g"), a);
    must_be("");
}

static void test_timeout(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t c = process("c");
    wants_lock(a, file("/f"), b);
    wants_lock(b, file("/g"), a);
    wants_lock(c, file("/h"), a);
    for (size_t i = 0; i < fake.seen.use_count; i++)
        fake.uses[i].timed = fake.uses[i].how == USE_WAITING && fake.uses[i].process == b;
    must_be("");
}

static void test_unknown_calls(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    wants_lock(b, file("/g"), a);
    fake.processes[b].calls_known = false;
    must_be("");
}

/* The holder has ended: who has it open may have inherited the lock. */
static void test_lost_holders(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t f = file("/f");
    size_t g = file("/g");
    const size_t users[] = {a, b};
    for (int i = 0; i < 2; i++) {
        (void)fake_descriptor(&fake, users[i], f, true, true);
        (void)fake_descriptor(&fake, users[i], g, true, true);
    }
    fake_wait(&fake, a, 0, f, "flock")->exclusive = true;
    fake_wait(&fake, b, 0, g, "flock")->exclusive = true;
    fake_lock(&fake, f, 77, a);
    must_be(
        "possible deadlock: a (100) waits for file:/f (lock) which is locked and open only in a (100) or b (101); "
        "b (101) waits for file:/g (lock) which is locked and open only in a (100) or b (101); who has it is not "
        "recorded, but presumed.\n");
    for (size_t i = 0; i < fake.seen.use_count; i++)
        fake.uses[i].object = f; /* both wait for one lock, whose holder is out of sight */
    fake.seen.lock_count = 0;
    must_be("");
    fake_begin(&fake);
    a = process("a"); /* holds nothing, and nobody is seen who does */
    f = file("/f");
    (void)fake_descriptor(&fake, a, f, true, true);
    fake_wait(&fake, a, 0, f, "flock")->exclusive = true;
    must_be("");
}

/* ---- pipes ---- */

static void test_pipes(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t one = anonymous_pipe(a, b);
    size_t two = anonymous_pipe(b, a);
    (void)fake_wait(&fake, a, 0, one, "read");
    (void)fake_wait(&fake, b, 0, two, "read");
    must_be(
        "deadlock: a (100) waits for pipe:[1] (data) which is open for writing only in b (101), which waits for "
        "pipe:[2] (data) which is open for writing only in a (100).\n");
    fake.processes[a].threads = 2; /* one more that does not wait */
    must_be("");
    fake.processes[a].threads = 1;
    fake.seen.unreadable = 1;
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(&fake.seen, &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    assert_int_equal(deadlocks->count, 1);
    assert_int_equal(deadlocks->all[0].doubts, DOUBT_UNSEEN);
    deadlocks_free(deadlocks);
    waits_free(waits);
}

/* Each wants to be rid of something before it takes what the other has for it. */
static void test_both_full(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t there = anonymous_pipe(b, a);
    size_t back = anonymous_pipe(a, b);
    fake_wait(&fake, a, 0, there, "write")->writes = true;
    fake_wait(&fake, b, 0, back, "write")->writes = true;
    must_be(
        "deadlock: a (100) waits for pipe:[1] (room) which is open for reading only in b (101), which waits for "
        "pipe:[2] (room) which is open for reading only in a (100).\n");
}

static void test_idle_pipeline(void **state)
{
    (void)state;
    size_t shell = process("shell");
    size_t first = process("first");
    size_t middle = process("middle");
    size_t last = process("last");
    size_t one = anonymous_pipe(middle, first);
    size_t two = anonymous_pipe(last, middle);
    (void)fake_wait(&fake, middle, 0, one, "read");
    (void)fake_wait(&fake, last, 0, two, "read");
    for (size_t child = first; child <= last; child++)
        is_child(child, shell);
    waits_for_children(shell);
    must_be("");
}

/* The child has the end open by which its own end of file would come, and so has the parent. */
static void test_parent(void **state)
{
    (void)state;
    size_t parent = process("parent");
    size_t child = process("child");
    size_t object = anonymous_pipe(child, parent);
    (void)fake_descriptor(&fake, child, object, false, true);
    (void)fake_wait(&fake, child, 0, object, "read");
    is_child(child, parent);
    must_be("");
    waits_for_children(parent);
    must_be(
        "deadlock: parent (100) waits for the end of its child child (101), which waits for pipe:[1] (data) which "
        "is open for writing only in parent (100) or child (101).\n");
    size_t other = process("other"); /* of two children one runs */
    is_child(other, parent);
    must_be("");
}

/* Each waits for what the other one writes; but whoever waits for that or something else may go on. */
static void test_any(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t one = anonymous_pipe(a, b);
    size_t two = anonymous_pipe(b, a);
    (void)fake_wait(&fake, a, 0, one, "read");
    (void)fake_wait(&fake, b, 0, two, "read");
    must_be(
        "deadlock: a (100) waits for pipe:[1] (data) which is open for writing only in b (101), which waits for "
        "pipe:[2] (data) which is open for writing only in a (100).\n");
    for (size_t i = 0; i < fake.seen.use_count; i++) /* they have been put in order */
        fake.uses[i].any = fake.uses[i].how == USE_WAITING && fake.uses[i].process == a;
    must_be("");
}

/* One thread waits for two things, and the other one does not wait. */
static void test_any_and_running(void **state)
{
    (void)state;
    size_t a = fake_process(&fake, "a", 2);
    size_t b = process("b");
    size_t one = anonymous_pipe(a, b);
    size_t two = anonymous_pipe(b, a);
    fake_wait(&fake, a, 0, one, "poll")->any = true;
    fake_wait(&fake, a, 0, two, "poll")->any = true;
    (void)fake_wait(&fake, b, 0, two, "read");
    must_be("");
}

/* Two who wait for each other, or for one who is in a deadlock with somebody else: that one is all there is to end. */
static void test_behind_another(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t c = process("c");
    size_t d = process("d");
    size_t one = anonymous_pipe(a, b);
    size_t two = anonymous_pipe(b, a);
    (void)fake_descriptor(&fake, c, one, false, true);
    (void)fake_descriptor(&fake, c, two, false, true);
    (void)fake_wait(&fake, a, 0, one, "read");
    (void)fake_wait(&fake, b, 0, two, "read");
    wants_lock(c, file("/f"), d);
    wants_lock(d, file("/g"), c);
    must_be(
        "deadlock: c (102) waits for file:/f (lock) held by d (103), which waits for file:/g (lock) held by c "
        "(102).\n");
}

static void test_fifo(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t one = fake_object(&fake, &ipcfs_pipe_backend, "one");
    size_t two = fake_object(&fake, &ipcfs_pipe_backend, "two");
    (void)fake_descriptor(&fake, a, one, true, false);
    (void)fake_descriptor(&fake, b, one, false, true);
    (void)fake_descriptor(&fake, b, two, true, false);
    (void)fake_descriptor(&fake, a, two, false, true);
    (void)fake_wait(&fake, a, 0, one, "read");
    (void)fake_wait(&fake, b, 0, two, "read");
    must_be(
        "possible deadlock: a (100) waits for pipe:one (data) which is open for writing only in b (101), which "
        "waits for pipe:two (data) which is open for writing only in a (100)" OPEN_DOUBT ".\n");
    (void)fake_descriptor(&fake, a, one, false, true); /* it keeps it open: it serves whoever comes */
    must_be("");
}

/* Nobody is known to have the other end. */
static void test_unknown_writer(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t object = fake_thing(&fake, INSPECTED_PIPE, "pipe:[9]");
    (void)fake_descriptor(&fake, a, object, true, false);
    (void)fake_wait(&fake, a, 0, object, "read");
    must_be("");
}

static void test_sockets(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t one = fake_thing(&fake, INSPECTED_SOCKET, "socket:[1]");
    size_t two = fake_thing(&fake, INSPECTED_SOCKET, "socket:[2]");
    fake.objects[one].socket = fake.objects[two].peer = 1;
    fake.objects[two].socket = fake.objects[one].peer = 2;
    (void)fake_descriptor(&fake, a, one, true, true);
    (void)fake_descriptor(&fake, b, two, true, true);
    (void)fake_wait(&fake, a, 0, one, "recvfrom");
    must_be("");
    (void)fake_wait(&fake, b, 0, two, "read");
    must_be(
        "deadlock: a (100) waits for socket:[1] (data) the other end of which is only in b (101), which waits for "
        "socket:[2] (data) the other end of which is only in a (100).\n");
    fake.objects[one].peer = 0; /* in another name space */
    must_be("");
}

/* ---- objects that others may come to ---- */

static size_t semaphore(const char *name, size_t one, size_t two)
{
    size_t object = fake_object(&fake, &ipcfs_posix_sem_backend, name);
    (void)fake_mapping(&fake, one, object);
    (void)fake_mapping(&fake, two, object);
    return object;
}

static void test_idle_workers(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t sem = semaphore("s", a, b);
    fake_wait(&fake, a, 0, sem, "futex")->futex = true;
    fake_wait(&fake, b, 0, sem, "futex")->futex = true;
    must_be("");
}

static void test_idle_queues(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t jobs = fake_object(&fake, &ipcfs_mq_backend, "jobs");
    size_t results = fake_object(&fake, &ipcfs_mq_backend, "results");
    (void)fake_descriptor(&fake, a, jobs, true, false);
    (void)fake_descriptor(&fake, b, jobs, false, true);
    (void)fake_descriptor(&fake, b, results, true, false);
    (void)fake_descriptor(&fake, a, results, false, true);
    (void)fake_wait(&fake, a, 0, jobs, "mq_timedreceive");
    (void)fake_wait(&fake, b, 0, results, "mq_timedreceive");
    must_be("");
}

static void test_semaphore_and_queue(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t sem = semaphore("s", a, b);
    size_t queue = fake_object(&fake, &ipcfs_mq_backend, "q");
    (void)fake_descriptor(&fake, a, queue, true, false);
    (void)fake_descriptor(&fake, b, queue, false, true);
    (void)fake_wait(&fake, a, 0, queue, "mq_timedreceive");
    fake_wait(&fake, b, 0, sem, "futex")->futex = true;
    must_be(
        "possible deadlock: a (100) waits for mq:q (data) which is open for writing only in b (101), which waits "
        "for sem:s (semaphore) which only these have open or mapped: a (100) or b (101)" OPEN_DOUBT ".\n");
    size_t c = process("c"); /* somebody else could post */
    (void)fake_mapping(&fake, c, sem);
    must_be("");
}

static void test_hold(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    size_t one = fake_object(&fake, &ipcfs_posix_sem_backend, "one");
    size_t two = fake_object(&fake, &ipcfs_posix_sem_backend, "two");
    fake_descriptor(&fake, a, one, true, false)->part = "hold";
    fake_descriptor(&fake, b, two, true, false)->part = "hold";
    struct inspected_use *use = fake_wait(&fake, a, 0, two, "open");
    use->part = "hold";
    use->parked = true;
    fake_wait(&fake, b, 0, one, "read")->part = "wait";
    must_be(
        "deadlock: a (100) waits for sem:two (semaphore) held by b (101), which waits for sem:one (semaphore) held "
        "by a (100).\n");
    fake_descriptor(&fake, process("c"), one, true, false)->part = "wait"; /* who takes can not end it */
    must_be(
        "deadlock: a (100) waits for sem:two (semaphore) held by b (101), which waits for sem:one (semaphore) held "
        "by a (100).\n");
    fake_descriptor(&fake, process("d"), one, false, true)->part = "post";
    must_be("");
}

/* ---- System V ---- */

/* A child that changes the semaphore and stays. */
static pid_t change(int set)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sembuf step = {.sem_op = 1};
        (void)semop(set, &step, 1);
        step.sem_op = -1;
        (void)semop(set, &step, 1);
        for (;;)
            (void)pause();
    }
    assert_true(pid > 0);
    for (int i = 0; i < 5000 && (semctl(set, 0, GETPID) != pid || semctl(set, 0, GETVAL) != 0); i++)
        (void)usleep(1000);
    assert_int_equal(semctl(set, 0, GETPID), pid);
    return pid;
}

static void waits_member(size_t process_index, int member)
{
    for (size_t i = 0; i < fake.seen.use_count; i++)
        if (fake.uses[i].how == USE_WAITING && fake.uses[i].process == process_index)
            fake.uses[i].member = member;
}

/* Two processes, each of which changed one of two sets last. */
struct users {
    int sets[2];
    size_t objects[2];
    size_t processes[2];
};

static void make_users(struct users *users, size_t threads)
{
    static const char *const names[] = {"1", "2"};
    for (int i = 0; i < 2; i++) {
        users->sets[i] = semget(IPC_PRIVATE, 1, 0600);
        assert_true(users->sets[i] >= 0);
        users->objects[i] = fake_object(&fake, &ipcfs_sysv_sem_backend, names[i]);
        fake.objects[users->objects[i]].number = (uint64_t)users->sets[i];
        users->processes[i] = fake_process(&fake, names[i], threads);
        fake.processes[i].pid = change(users->sets[i]);
    }
    assert_true(fake.processes[0].pid < fake.processes[1].pid);
}

static void end_users(const struct users *users)
{
    for (int i = 0; i < 2; i++) {
        (void)kill(fake.processes[users->processes[i]].pid, SIGKILL);
        (void)waitpid(fake.processes[users->processes[i]].pid, NULL, 0);
        (void)semctl(users->sets[i], 0, IPC_RMID);
    }
}

static size_t count_deadlocks(unsigned *doubts)
{
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(fake_end(&fake), &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    size_t count = deadlocks->count;
    *doubts = count ? deadlocks->all[0].doubts : 0;
    deadlocks_free(deadlocks);
    waits_free(waits);
    return count;
}

static void test_changed_last(void **state)
{
    (void)state;
    struct users users;
    unsigned doubts = 0;
    make_users(&users, 1);
    (void)fake_wait(&fake, users.processes[0], 0, users.objects[1], "semop");
    (void)fake_wait(&fake, users.processes[1], 0, users.objects[0], "semop");
    for (int i = 0; i < 2; i++)
        waits_member(users.processes[i], 0);
    assert_int_equal(count_deadlocks(&doubts), 1);
    assert_int_equal(doubts, DOUBT_PRESUMED | DOUBT_OPEN);
    assert_int_equal(semctl(users.sets[0], 0, SETVAL, 1), 0); /* nobody need wait for it */
    assert_int_equal(count_deadlocks(&doubts), 0);
    end_users(&users);
}

/* Who took the last himself and wants more is idle. */
static void test_took_last(void **state)
{
    (void)state;
    struct users users;
    unsigned doubts = 0;
    make_users(&users, 2);
    for (int i = 0; i < 2; i++) {
        (void)fake_wait(&fake, users.processes[i], 0, users.objects[i], "semop");
        (void)fake_wait(&fake, users.processes[i], 1, users.objects[1 - i], "semop");
        waits_member(users.processes[i], 0);
    }
    assert_int_equal(count_deadlocks(&doubts), 0);
    end_users(&users);
}

/* ---- many ---- */

static void test_long_cycle(void **state)
{
    (void)state;
    size_t count = FAKE_OBJECTS - 1;
    for (size_t i = 0; i < count; i++)
        (void)process("p");
    for (size_t i = 0; i < count; i++)
        wants_lock(i, file("/f"), (i + 1) % count);
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(fake_end(&fake), &waits), 0);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    assert_int_equal(deadlocks->count, 1);
    assert_int_equal(deadlocks->all[0].count, count);
    deadlocks_free(deadlocks);
    waits_free(waits);
}

/* ---- a second look ---- */

static size_t confirmed(struct fake_inspection *then)
{
    struct waits *waits[2] = {NULL};
    struct deadlocks *deadlocks[2] = {NULL};
    assert_int_equal(waits_make(fake_end(&fake), &waits[0]), 0);
    assert_int_equal(waits_make(fake_end(then), &waits[1]), 0);
    assert_int_equal(deadlocks_find(waits[0], &deadlocks[0]), 0);
    assert_int_equal(deadlocks_find(waits[1], &deadlocks[1]), 0);
    assert_int_equal(deadlocks[0]->count, 1);
    deadlocks_confirm(deadlocks[0], waits[0], deadlocks[1], waits[1]);
    size_t count = deadlocks[0]->count;
    for (int i = 0; i < 2; i++) {
        deadlocks_free(deadlocks[i]);
        waits_free(waits[i]);
    }
    return count;
}

static struct inspected_use *waiting_use(struct fake_inspection *of, size_t process_index)
{
    for (size_t i = 0; i < of->seen.use_count; i++)
        if (of->uses[i].how == USE_WAITING && of->uses[i].process == process_index)
            return &of->uses[i];
    fail();
    return NULL;
}

static void two_processes(struct fake_inspection *then)
{
    fake_begin(&fake);
    size_t a = process("a");
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    wants_lock(b, file("/g"), a);
    *then = fake;
    then->seen.processes = then->processes;
    then->seen.objects = then->objects;
    then->seen.uses = then->uses;
    then->seen.locks = then->locks;
}

static void test_confirm(void **state)
{
    (void)state;
    static struct fake_inspection then;
    two_processes(&then);
    assert_int_equal(confirmed(&then), 1);

    two_processes(&then); /* it has waited anew */
    waiting_use(&fake, 0)->since.tv_sec = 1001;
    assert_int_equal(confirmed(&then), 0);

    two_processes(&then);
    waiting_use(&then, 1)->call = "fcntl";
    assert_int_equal(confirmed(&then), 0);

    two_processes(&then); /* the pid is another's */
    then.processes[1].start = 5;
    assert_int_equal(confirmed(&then), 0);

    two_processes(&then);
    waiting_use(&then, 1)->tid = 7;
    assert_int_equal(confirmed(&then), 0);

    two_processes(&then);
    then.objects[0].number = 5;
    assert_int_equal(confirmed(&then), 0);

    two_processes(&then); /* it was no deadlock then */
    waiting_use(&then, 1)->timed = true;
    assert_int_equal(confirmed(&then), 0);
}

/* One look twice says nothing of those of whom it is not known since when they wait. */
static void test_confirm_by_itself(void **state)
{
    (void)state;
    static struct fake_inspection then;
    for (int known = 0; known < 2; known++) {
        two_processes(&then);
        waiting_use(&fake, 0)->since_known = known;
        struct waits *waits = NULL;
        struct deadlocks *deadlocks = NULL;
        assert_int_equal(waits_make(fake_end(&fake), &waits), 0);
        assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
        deadlocks_confirm(deadlocks, waits, deadlocks, waits);
        assert_int_equal(deadlocks->count, known);
        deadlocks_free(deadlocks);
        waits_free(waits);
    }
}

/* ---- without memory ---- */

static void test_no_memory(void **state)
{
    (void)state;
    size_t a = process("a");
    size_t b = process("b");
    wants_lock(a, file("/f"), b);
    wants_lock(b, file("/g"), a);
    const struct inspection *inspection = fake_end(&fake);
    for (unsigned n = 1;; n++) {
        struct waits *waits = NULL;
        struct deadlocks *deadlocks = NULL;
        failing_arm(n);
        int error = waits_make(inspection, &waits);
        if (!error)
            error = deadlocks_find(waits, &deadlocks);
        bool failed = failing_disarm();
        deadlocks_free(deadlocks);
        waits_free(waits);
        if (!failed)
            break;
        assert_int_equal(error, -ENOMEM);
    }
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),
        TEST(test_two),
        TEST(test_two_cycles),
        TEST(test_itself),
        TEST(test_chain),
        TEST(test_one_of_several_holders),
        TEST(test_other_thread_runs),
        TEST(test_all_threads_wait),
        TEST(test_waits_twice),
        TEST(test_timeout),
        TEST(test_unknown_calls),
        TEST(test_lost_holders),
        TEST(test_pipes),
        TEST(test_both_full),
        TEST(test_idle_pipeline),
        TEST(test_parent),
        TEST(test_any),
        TEST(test_any_and_running),
        TEST(test_behind_another),
        TEST(test_fifo),
        TEST(test_unknown_writer),
        TEST(test_sockets),
        TEST(test_idle_workers),
        TEST(test_idle_queues),
        TEST(test_semaphore_and_queue),
        TEST(test_hold),
        TEST(test_changed_last),
        TEST(test_took_last),
        TEST(test_long_cycle),
        TEST(test_confirm),
        TEST(test_confirm_by_itself),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
