/* SPDX-License-Identifier: MIT */
/*
 * What others do to the files behind the daemon's back: holes, contents that no semaphore has, files cut off while they are in
 * use. Nothing of it ends the process, and nothing waits for ever.
 */
#include "posix_sem_subject.h"

#include "random.h"
#include "sem_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define A_PATH "/dev/shm/sem.a"

/* cmocka has put a handler of its own in the place of the kind's, before each test. */
static void guard_again(void)
{
    kind->stop();
    assert_int_equal(kind->start(), 0);
}

/* ---- files that are mostly holes ---- */

/* A file that is nothing but a hole, and one that is longer than need be. */
static void test_sparse(void **state)
{
    (void)state;
    make_plain_file(A_PATH, 1 << 20);
    struct ipcfs_created object = make_sem("a", 7);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(read_value(&ref), 0);
    assert_int_equal(write_verb_line(&ref, "post", "2"), 0);
    struct ipcfs_file *file = open_part(&ref, "wait");
    assert_int_equal(take_one(file, true), 1);
    kind->close(file);
    assert_int_equal(read_value(&ref), 1);
    let_go(&object);
}

/* There is no page for the hole: neither a crash nor a wait. */
static void test_sparse_in_a_full_system(void **state)
{
    (void)state;
    guard_again();
    struct statvfs system;
    make_plain_file(A_PATH, 4096);
    make_plain_file("/dev/shm/filler", 0);
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "hold");
    int fd = open("/dev/shm/filler", O_WRONLY | O_CLOEXEC);
    assert_int_equal(statvfs("/dev/shm", &system), 0);
    assert_int_equal(fallocate(fd, 0, 0, (off_t)(system.f_bfree * system.f_frsize)), 0);
    int post_error = write_verb_line(&ref, "post", "1");
    int hold_error = hold_one(file, true);
    long value = read_value(&ref);
    struct ipcfs_created fresh = {0};
    int create_error = try_create("b", O_RDWR, 0600, &fresh);
    close(fd);
    assert_int_equal(unlink("/dev/shm/filler"), 0);
    assert_int_equal(post_error, -EIDRM);
    assert_int_equal(hold_error, -EIDRM);
    assert_int_equal(value, 0); /* to read a hole takes no page */
    assert_int_equal(create_error, -ENOSPC);
    assert_false(exists("b"));
    assert_int_equal(write_verb_line(&ref, "post", "1"), 0);
    assert_int_equal(hold_one(file, true), 0);
    kind->close(file);
    let_go(&object);
}

/* ---- contents ---- */

static void write_content(const uint32_t content[4])
{
    int fd = open(A_PATH, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, content, 16, 0), 16);
    close(fd);
}

/* Words that make glibc's own sem_post(3) wait for ever or abort(3) are no harm here. */
static void test_strange_contents(void **state)
{
    (void)state;
    static const uint32_t contents[][4] = {
        {0, 1, 0x81, 0},
        {0, 1, 0x7F, 0},
        {0, 1, 0xFFFF, 0},
        {0, UINT32_MAX, UINT32_MAX, UINT32_MAX},
        {0, UINT32_MAX, 128, 99},
        {5, 5, 1, 1U << 31},
        {0, 0x12345678, 0x12345678, 1},
    };
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "wait");
    for (size_t i = 0; i < ARRAY_LENGTH(contents); i++) {
        long value = contents[i][0];
        write_content(contents[i]);
        assert_int_equal(shown_number(&ref, "waiters"), contents[i][1]);
        assert_int_equal(write_verb_line(&ref, "post", "3"), 0);
        assert_int_equal(read_value(&ref), value + 3);
        assert_int_equal(take_one(file, true), value + 2);
        assert_int_equal(write_verb_line(&ref, "value", "9"), 0);
        assert_int_equal(read_value(&ref), 9);
    }
    kind->close(file);
    let_go(&object);
}

static void test_too_large_values(void **state)
{
    (void)state;
    static const uint32_t content[4] = {UINT32_MAX, 0, 128, 0};
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "wait");
    write_content(content);
    assert_int_equal(read_value(&ref), UINT32_MAX);
    assert_int_equal(shown_number(&ref, "waiters"), 0);
    assert_int_equal(write_verb_line(&ref, "post", ""), -EOVERFLOW);
    assert_int_equal(take_one(file, false), UINT32_MAX - 1);
    assert_int_equal(write_verb_line(&ref, "value", "1"), 0);
    assert_int_equal(read_value(&ref), 1);
    kind->close(file);
    let_go(&object);
}

/* Somebody forgets the waiters while one waits: it finds the value all the same, and does not count below 0. */
static void test_waiters_overwritten(void **state)
{
    (void)state;
    static const uint32_t nothing[4] = {0, 0, 128, 0};
    static const uint32_t one[4] = {1, 0, 128, 0};
    struct keeper keeper;
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "wait");
    start_keeper(&keeper, file, false);
    wait_for_waiters(&ref, 1);
    write_content(nothing);
    pause_ms(10);
    write_content(one);
    assert_int_equal(result_of(&keeper, 5000), 0);
    assert_int_equal(read_value(&ref), 0);
    assert_int_equal(shown_number(&ref, "waiters"), 0);
    kind->close(file);
    let_go(&object);
}

/* ---- cut off ---- */

static void check_cut_off(const struct ipcfs_ref *ref, struct ipcfs_file *waiter, struct ipcfs_file *holder)
{
    struct ipcfs_wait wait = {0};
    struct ipcfs_file *file = NULL;
    assert_int_equal(take_one(waiter, false), -EIDRM);
    assert_int_equal(take_one(waiter, true), -EIDRM);
    assert_int_equal(hold_one(holder, false), -EIDRM);
    assert_int_equal(hold_one(holder, true), -EIDRM);
    assert_int_equal(kind->poll(waiter, &wait), POLLERR | POLLIN | POLLRDNORM);
    assert_int_equal(read_value(ref), -EIDRM);
    assert_int_equal(write_verb_line(ref, "value", "1"), -EIDRM);
    assert_int_equal(write_verb_line(ref, "post", "1"), -EIDRM);
    assert_int_equal(sem_file("wait")->open(ref, 0, O_RDONLY, &file), -EIDRM);
    assert_int_equal(sem_file("hold")->open(ref, 0, O_RDONLY, &file), -EIDRM);
    assert_int_equal(shown_number(ref, "value"), -1);
    assert_int_equal(shown_number(ref, "waiters"), -1);
}

static void test_cut_off(void **state)
{
    (void)state;
    guard_again();
    struct ipcfs_created object = make_sem("a", 2);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *waiter = open_part(&ref, "wait");
    struct ipcfs_file *holder = open_part(&ref, "hold");
    struct ipcfs_file *taken = open_part(&ref, "hold");
    struct ipcfs_file *second = open_part(&ref, "hold");
    assert_int_equal(hold_one(taken, false), 0);
    assert_int_equal(hold_one(second, false), 0);
    assert_int_equal(truncate(A_PATH, 0), 0);
    check_cut_off(&ref, waiter, holder);
    must_not_be_reached("a");
    kind->close(taken); /* there is nothing to give it back to */
    assert_int_equal(truncate(A_PATH, 32), 0);
    assert_int_equal(take_one(waiter, false), -EAGAIN); /* it is one again, with another page */
    kind->close(second);
    assert_int_equal(read_value(&ref), 1);
    assert_int_equal(hold_one(holder, false), 0);
    kind->close(waiter);
    kind->close(holder);
    let_go(&object);
}

static void test_cut_off_while_waiting(void **state)
{
    (void)state;
    guard_again();
    for (int is_hold = 0; is_hold < 2; is_hold++) {
        struct keeper keeper;
        struct ipcfs_created object = make_sem("a", 0);
        struct ipcfs_ref ref = ref_by_hold(&object, "a");
        struct ipcfs_file *file = open_part(&ref, is_hold ? "hold" : "wait");
        start_keeper(&keeper, file, is_hold);
        wait_for_waiters(&ref, 1);
        pause_ms(5);
        assert_int_equal(truncate(A_PATH, 0), 0);
        assert_int_equal(result_of(&keeper, 5000), -EIDRM);
        kind->close(file);
        let_go(&object);
        assert_int_equal(unlink(A_PATH), 0);
    }
}

/* Interrupted after it has been cut off: it ends all the same. */
static void test_cut_off_and_interrupted(void **state)
{
    (void)state;
    guard_again();
    struct keeper keeper;
    let_signals_come();
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "wait");
    start_keeper(&keeper, file, false);
    wait_for_waiters(&ref, 1);
    assert_int_equal(truncate(A_PATH, 0), 0);
    long result = interrupt(&keeper);
    assert_true(result == -EINTR || result == -EIDRM);
    kind->close(file);
    let_go(&object);
    assert_int_equal(unlink(A_PATH), 0);
}

/* ---- a storm of cuts ---- */

enum { WORKERS = 4 };

struct worker {
    atomic_bool *stop;
    const struct ipcfs_ref *ref;
    pthread_t thread;
    unsigned number;
    unsigned wrong;
    unsigned good;
    unsigned cut;
};

static void count(struct worker *worker, long result)
{
    bool expected = result == -EAGAIN || result == -EINTR || result == -EOVERFLOW;
    worker->good += result >= 0;
    worker->cut += result == -EIDRM;
    worker->wrong += result < 0 && result != -EIDRM && !expected;
}

static void work_once(struct worker *worker, struct prng *prng, struct ipcfs_file *waiter)
{
    struct ipcfs_wait wait = {0};
    struct ipcfs_file *holder = NULL;
    switch (random_below(prng, 6)) {
    case 0:
        count(worker, write_verb_line(worker->ref, "post", "2"));
        break;
    case 1:
        count(worker, write_verb_line(worker->ref, "value", "1"));
        break;
    case 2:
        count(worker, read_value(worker->ref));
        break;
    case 3:
        count(worker, take_one(waiter, random_below(prng, 2)));
        break;
    case 4:
        worker->wrong += kind->poll(waiter, &wait) < 0;
        break;
    default:
        if (sem_file("hold")->open(worker->ref, 0, O_RDWR, &holder) == 0) {
            count(worker, hold_one(holder, random_below(prng, 2)));
            kind->close(holder);
        }
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct prng prng = random_start(random_seed(), worker->number);
    struct ipcfs_file *waiter = NULL;
    while (!atomic_load(worker->stop)) {
        if (waiter && random_below(&prng, 20) == 0) {
            kind->close(waiter);
            waiter = NULL;
        }
        if (!waiter)
            (void)sem_file("wait")->open(worker->ref, 0, O_RDONLY, &waiter);
        if (waiter)
            work_once(worker, &prng, waiter);
    }
    if (waiter)
        kind->close(waiter);
    return NULL;
}

static void cut_for(int milliseconds, const struct worker *workers)
{
    static const off_t sizes[] = {0, 32, 4096, 0, 32, 1, 32};
    int64_t end = now_ms() + milliseconds;
    for (unsigned i = 0; now_ms() < end; i++) {
        assert_int_equal(truncate(A_PATH, sizes[i % ARRAY_LENGTH(sizes)]), 0);
        (void)pthread_kill(workers[i % WORKERS].thread, SIGUSR2);
        if (i % 3 == 0)
            usleep(50);
    }
}

static void test_storm_of_cuts(void **state)
{
    (void)state;
    guard_again();
    atomic_bool stop = false;
    struct worker workers[WORKERS];
    unsigned good = 0;
    unsigned cut = 0;
    let_signals_come();
    struct ipcfs_created object = make_sem("a", 3);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.stop = &stop, .ref = &ref, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    cut_for(1500, workers);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WORKERS; i++) {
        while (pthread_tryjoin_np(workers[i].thread, NULL)) {
            (void)pthread_kill(workers[i].thread, SIGUSR2);
            pause_ms(1);
        }
        assert_int_equal(workers[i].wrong, 0);
        good += workers[i].good;
        cut += workers[i].cut;
    }
    assert_true(good > 100 && cut > 100);
    let_go(&object);
    assert_int_equal(unlink(A_PATH), 0);
}

/* ---- the handler of SIGBUS ---- */

/* Touches a mapping of its own whose file has been cut off, which is nobody's business. */
static void touch_lost_page(void)
{
    int fd = memfd_create("lost", MFD_CLOEXEC);
    volatile char *memory = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, 4096) == 0)
        memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED || ftruncate(fd, 0))
        _exit(99);
    memory[0] = 1;
    _exit(98);
}

static void send_signal(void)
{
    (void)raise(SIGBUS);
    _exit(97);
}

/* As the kernel tells a process that asked for it of broken memory, which it has not touched. */
static void tell_of_broken_memory(void)
{
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_MCEERR_AO};
    (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info);
    _exit(91);
}

static int touch_in_access(void *memory, void *argument)
{
    (void)memory;
    (void)argument;
    touch_lost_page();
    return 0;
}

static int send_in_access(void *memory, void *argument)
{
    (void)memory;
    (void)argument;
    send_signal();
    return 0;
}

/* The same while an access is guarded: it is not what the guard was told to expect. */
static void touch_under_guard(void)
{
    char memory[8];
    (void)sem_guard_run(memory, sizeof memory, touch_in_access, NULL);
    _exit(93);
}

static void send_under_guard(void)
{
    char memory[8];
    (void)sem_guard_run(memory, sizeof memory, send_in_access, NULL);
    _exit(92);
}

static void on_old_signal(int number)
{
    _exit(number == SIGBUS ? 42 : 96);
}

static void on_old_information(int number, siginfo_t *info, void *context)
{
    _exit(number == SIGBUS && info && context ? 43 : 95);
}

/* How a process ends that did `harm` after it had put `action` in place, and then the kind was started again. */
static int end_by(void (*harm)(void), const struct sigaction *action, bool stopped)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        kind->stop();
        if (sigaction(SIGBUS, action, NULL) || kind->start())
            _exit(94);
        if (stopped)
            kind->stop();
        harm();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_other_faults(void **state)
{
    (void)state;
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    const struct sigaction simple = {.sa_handler = on_old_signal};
    const struct sigaction informed = {.sa_sigaction = on_old_information, .sa_flags = SA_SIGINFO};
    for (int stopped = 0; stopped < 2; stopped++) {
        assert_int_equal(end_by(touch_lost_page, &standard, stopped), -SIGBUS);
        assert_int_equal(end_by(send_signal, &standard, stopped), -SIGBUS);
        assert_int_equal(end_by(touch_lost_page, &ignored, stopped), -SIGBUS);
        assert_int_equal(end_by(send_signal, &ignored, stopped), 97);
        assert_int_equal(end_by(tell_of_broken_memory, &standard, stopped), -SIGBUS);
        assert_int_equal(end_by(tell_of_broken_memory, &ignored, stopped), 91);
        assert_int_equal(end_by(touch_lost_page, &simple, stopped), 42);
        assert_int_equal(end_by(send_signal, &simple, stopped), 42);
        assert_int_equal(end_by(touch_lost_page, &informed, stopped), 43);
        assert_int_equal(end_by(send_signal, &informed, stopped), 43);
    }
    assert_int_equal(end_by(touch_under_guard, &standard, false), -SIGBUS);
    assert_int_equal(end_by(touch_under_guard, &informed, false), 43);
    assert_int_equal(end_by(send_under_guard, &standard, false), -SIGBUS);
    assert_int_equal(end_by(send_under_guard, &simple, false), 42);
}

static void *take_with_blocked_signals(void *argument)
{
    struct keeper *keeper = argument;
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    keeper->result = take_one(keeper->file, false);
    return NULL;
}

/* A thread that was started with SIGBUS blocked, in which a fault would end the process. */
static void test_blocked_signal(void **state)
{
    (void)state;
    guard_again();
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct keeper keeper = {.file = open_part(&ref, "wait")};
    assert_int_equal(truncate(A_PATH, 0), 0);
    assert_int_equal(pthread_create(&keeper.thread, NULL, take_with_blocked_signals, &keeper), 0);
    assert_int_equal(pthread_join(keeper.thread, NULL), 0);
    assert_int_equal(keeper.result, -EIDRM);
    kind->close(keeper.file);
    let_go(&object);
    assert_int_equal(unlink(A_PATH), 0);
}

static const struct CMUnitTest tests[] = {
    SEM_TEST(test_sparse),
    SEM_TEST(test_sparse_in_a_full_system),
    SEM_TEST(test_strange_contents),
    SEM_TEST(test_too_large_values),
    SEM_TEST(test_waiters_overwritten),
    SEM_TEST(test_cut_off),
    SEM_TEST(test_cut_off_while_waiting),
    SEM_TEST(test_cut_off_and_interrupted),
    SEM_TEST(test_storm_of_cuts),
    SEM_TEST(test_other_faults),
    SEM_TEST(test_blocked_signal),
};

const struct suite posix_sem_cut_suite = {
    .name = "cut off", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sem"};
