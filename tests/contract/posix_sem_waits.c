/* SPDX-License-Identifier: MIT */
/* Those who wait for a semaphore, natively and as keepers: who is woken, who is interrupted, and that no unit is lost. */
#include "posix_sem_subject.h"

#include "random.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Less than the time after which one that waits looks by itself: it must have been woken. */
enum { SOON_MS = 700 };

static void check_interrupt(const struct ipcfs_ref *ref, const char *part)
{
    struct keeper keeper;
    struct ipcfs_file *file = open_part(ref, part);
    start_keeper(&keeper, file, strcmp(part, "hold") == 0);
    wait_for_waiters(ref, 1);
    assert_int_equal(interrupt(&keeper), -EINTR);
    assert_int_equal(shown_number(ref, "waiters"), 0);
    assert_int_equal(write_verb_line(ref, "post", "1"), 0);
    assert_int_equal(read_value(ref), 1);
    kind->close(file);
    assert_int_equal(read_value(ref), 1);
    assert_int_equal(write_verb_line(ref, "value", "0"), 0);
}

/* It takes nothing, then or later, and is no waiter any more. */
static void test_interrupt(void **state)
{
    (void)state;
    let_signals_come();
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    check_interrupt(&ref, "wait");
    check_interrupt(&ref, "hold");
    let_go(&object);
}

static void post_natively(const struct ipcfs_ref *ref)
{
    (void)ref;
    sem_t *native = open_native("/a");
    assert_int_equal(sem_post(native), 0);
    assert_int_equal(sem_close(native), 0);
}

static void post_here(const struct ipcfs_ref *ref)
{
    assert_int_equal(write_verb_line(ref, "post", ""), 0);
}

static void set_here(const struct ipcfs_ref *ref)
{
    assert_int_equal(write_verb_line(ref, "value", "1"), 0);
}

static void close_hold(const struct ipcfs_ref *ref)
{
    struct ipcfs_file *file = open_part(ref, "hold");
    post_here(ref);
    (void)hold_one(file, false); /* or the keeper has been faster */
    kind->close(file);
}

static void (*const posts[])(const struct ipcfs_ref *) = {post_natively, post_here, set_here, close_hold};

static void test_keepers_are_woken(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(posts); i++) {
        struct keeper keeper;
        bool is_hold = i % 2;
        struct ipcfs_file *file = open_part(&ref, is_hold ? "hold" : "wait");
        start_keeper(&keeper, file, is_hold);
        wait_for_waiters(&ref, 1);
        pause_ms(5); /* until it sleeps, mostly */
        posts[i / 2](&ref);
        assert_int_equal(result_of(&keeper, SOON_MS), 0);
        assert_int_equal(shown_number(&ref, "waiters"), 0);
        kind->close(file);
        assert_int_equal(write_verb_line(&ref, "value", "0"), 0);
    }
    let_go(&object);
}

static void test_natives_are_woken(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (size_t i = 0; i < ARRAY_LENGTH(posts); i++) {
        pid_t pid = start_native_waiter("/a");
        wait_for_waiters(&ref, 1);
        pause_ms(5);
        posts[i](&ref);
        assert_int_equal(status_of(pid), 0);
    }
    assert_int_equal(read_value(&ref), 0);
    let_go(&object);
}

/* One write of a number wakes as many, natives and keepers. */
static void test_many_are_woken(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (int by_value = 0; by_value < 2; by_value++) {
        struct keeper keepers[4];
        pid_t natives[4];
        for (int i = 0; i < 4; i++)
            natives[i] = start_native_waiter("/a");
        for (int i = 0; i < 4; i++)
            start_keeper(&keepers[i], open_part(&ref, "wait"), false);
        wait_for_waiters(&ref, 8);
        pause_ms(5);
        assert_int_equal(write_verb_line(&ref, by_value ? "value" : "post", "8"), 0);
        for (int i = 0; i < 4; i++) {
            assert_in_range(result_of(&keepers[i], SOON_MS), 0, 7);
            assert_int_equal(status_of(natives[i]), 0);
            kind->close(keepers[i].file);
        }
        assert_int_equal(read_value(&ref), 0);
    }
    let_go(&object);
}

/* ---- storm ---- */

enum { NATIVES = 3, KEEPERS = 3, HOLDERS = 2, STALL_MS = 900 };

/* Shared with the processes. */
struct tally {
    atomic_bool stop;
    atomic_long posts;
    atomic_long takes;
    atomic_long interrupted;
    atomic_long wrong;
};

struct contender {
    struct tally *tally;
    const struct ipcfs_ref *ref;
    struct ipcfs_file *file;
    pthread_t thread;
    unsigned number;
};

static struct tally *new_tally(void)
{
    void *memory =
        mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static struct timespec soon(unsigned microseconds)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += microseconds * 1000L;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* With the unit in hand: the others go to sleep meanwhile, now and then. */
static void dawdle(struct prng *prng)
{
    struct timespec time = {.tv_nsec = random_below(prng, 100) * 1000};
    if (random_below(prng, 4) == 0)
        (void)nanosleep(&time, NULL);
}

/* Takes and posts natively; its waits end by time as often as by a post. */
static void contend_natively(struct tally *tally, unsigned number)
{
    struct prng prng = random_start(random_seed(), number);
    (void)alarm(60);
    sem_t *semaphore = sem_open("/a", 0);
    while (semaphore != SEM_FAILED && !atomic_load(&tally->stop)) {
        struct timespec end = soon(random_below(&prng, 3) ? 2000000 : random_below(&prng, 300));
        if (sem_timedwait(semaphore, &end) == 0) {
            atomic_fetch_add(&tally->takes, 1);
            dawdle(&prng);
            if (sem_post(semaphore))
                atomic_fetch_add(&tally->wrong, 1);
            atomic_fetch_add(&tally->posts, 1);
        } else if (errno != ETIMEDOUT && errno != EINTR) {
            atomic_fetch_add(&tally->wrong, 1);
        }
    }
    _exit(semaphore == SEM_FAILED ? 1 : 0);
}

static void *contend_by_wait(void *argument)
{
    struct contender *contender = argument;
    struct tally *tally = contender->tally;
    struct prng prng = random_start(random_seed(), NATIVES + contender->number);
    while (!atomic_load(&tally->stop)) {
        long left = take_one(contender->file, true);
        if (left >= 0) {
            atomic_fetch_add(&tally->takes, 1);
            dawdle(&prng);
            if (write_verb_line(contender->ref, "post", "1"))
                atomic_fetch_add(&tally->wrong, 1);
            atomic_fetch_add(&tally->posts, 1);
        } else {
            atomic_fetch_add(left == -EINTR ? &tally->interrupted : &tally->wrong, 1);
        }
    }
    return NULL;
}

static void *contend_by_hold(void *argument)
{
    struct contender *contender = argument;
    struct tally *tally = contender->tally;
    struct prng prng = random_start(random_seed(), NATIVES + contender->number);
    while (!atomic_load(&tally->stop)) {
        struct ipcfs_file *file = NULL;
        if (sem_file("hold")->open(contender->ref, 0, O_RDWR, &file))
            break;
        int error = hold_one(file, true);
        if (error)
            atomic_fetch_add(error == -EINTR ? &tally->interrupted : &tally->wrong, 1);
        else
            dawdle(&prng);
        kind->close(file);
        if (!error) {
            atomic_fetch_add(&tally->takes, 1);
            atomic_fetch_add(&tally->posts, 1);
        }
    }
    return NULL;
}

static void start_contenders(struct contender *contenders, struct tally *tally, const struct ipcfs_ref *ref)
{
    for (unsigned i = 0; i < KEEPERS + HOLDERS; i++) {
        struct contender *contender = &contenders[i];
        *contender = (struct contender){.tally = tally, .ref = ref, .number = i};
        if (i < KEEPERS)
            contender->file = open_part(ref, "wait");
        assert_int_equal(pthread_create(&contender->thread, NULL,
                                        i < KEEPERS ? contend_by_wait : contend_by_hold, contender),
                         0);
    }
}

static void stop_contenders(struct contender *contenders)
{
    for (unsigned i = 0; i < KEEPERS + HOLDERS; i++) {
        while (pthread_tryjoin_np(contenders[i].thread, NULL)) {
            (void)pthread_kill(contenders[i].thread, SIGUSR2);
            pause_ms(1);
        }
        if (contenders[i].file)
            kind->close(contenders[i].file);
    }
}

/* Signals, for so long; tells how often nobody took anything for STALL_MS. */
static int disturb(const struct contender *contenders, struct tally *tally, int milliseconds)
{
    struct prng prng = random_start(random_seed(), 99);
    int64_t end = now_ms() + milliseconds;
    int64_t progress = now_ms();
    long takes = -1;
    int stalls = 0;
    while (now_ms() < end) {
        struct timespec time = {.tv_nsec = random_below(&prng, 300) * 1000};
        (void)nanosleep(&time, NULL);
        (void)pthread_kill(contenders[random_below(&prng, KEEPERS + HOLDERS)].thread, SIGUSR2);
        if (atomic_load(&tally->takes) != takes) {
            takes = atomic_load(&tally->takes);
            progress = now_ms();
        } else if (now_ms() - progress > STALL_MS) {
            progress = now_ms();
            stalls++;
        }
    }
    return stalls;
}

/*
 * One unit goes round among natives and keepers, while signals and timeouts come: a wake-up that is lost would stop it, for
 * ever where only natives sleep, and until the next look where keepers do. In the end the unit is there again.
 */
static void go_round(unsigned units, int milliseconds)
{
    struct tally *tally = new_tally();
    struct contender contenders[KEEPERS + HOLDERS];
    pid_t natives[NATIVES];
    struct ipcfs_created object = make_sem("a", units);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (unsigned i = 0; i < NATIVES; i++) {
        natives[i] = fork();
        assert_true(natives[i] >= 0);
        if (natives[i] == 0)
            contend_natively(tally, i);
    }
    start_contenders(contenders, tally, &ref);
    int stalls = disturb(contenders, tally, milliseconds);
    atomic_store(&tally->stop, true);
    stop_contenders(contenders);
    for (unsigned i = 0; i < NATIVES; i++)
        assert_int_equal(status_of(natives[i]), 0);
    assert_int_equal(atomic_load(&tally->wrong), 0);
    assert_true(atomic_load(&tally->takes) > 100 && atomic_load(&tally->interrupted) > 0);
    assert_int_equal(atomic_load(&tally->posts), atomic_load(&tally->takes));
    assert_int_equal(read_value(&ref), units);
    assert_int_equal(shown_number(&ref, "waiters"), 0);
    assert_in_range(stalls, 0, 1); /* one may be the machine's */
    let_go(&object);
    remove_object("a");
    assert_int_equal(munmap(tally, sizeof *tally), 0);
}

static void test_storm(void **state)
{
    (void)state;
    let_signals_come();
    go_round(1, 2000);
    go_round(3, 1000);
}

/* Producers and consumers of both sorts: all that was posted has been taken, or is there. */
static void *produce(void *argument)
{
    struct contender *contender = argument;
    struct prng prng = random_start(random_seed(), contender->number);
    while (!atomic_load(&contender->tally->stop)) {
        unsigned count = random_below(&prng, 4);
        char line[16];
        (void)snprintf(line, sizeof line, "%u", count);
        if (write_verb_line(contender->ref, "post", line))
            atomic_fetch_add(&contender->tally->wrong, 1);
        atomic_fetch_add(&contender->tally->posts, count);
        if (random_below(&prng, 8) == 0)
            pause_ms(1);
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct contender *contender = argument;
    while (!atomic_load(&contender->tally->stop)) {
        long left = take_one(contender->file, true);
        if (left >= 0)
            atomic_fetch_add(&contender->tally->takes, 1);
        else
            atomic_fetch_add(left == -EINTR ? &contender->tally->interrupted : &contender->tally->wrong, 1);
    }
    return NULL;
}

static void consume_natively(struct tally *tally)
{
    (void)alarm(60);
    sem_t *semaphore = sem_open("/a", 0);
    while (!atomic_load(&tally->stop)) {
        struct timespec end = soon(1000);
        if (sem_timedwait(semaphore, &end) == 0)
            atomic_fetch_add(&tally->takes, 1);
    }
    _exit(0);
}

static void test_conservation(void **state)
{
    (void)state;
    let_signals_come();
    struct tally *tally = new_tally();
    struct contender contenders[KEEPERS + HOLDERS];
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        consume_natively(tally);
    for (unsigned i = 0; i < KEEPERS + HOLDERS; i++) {
        contenders[i] = (struct contender){.tally = tally, .ref = &ref, .number = i};
        if (i < KEEPERS)
            contenders[i].file = open_part(&ref, "wait");
        assert_int_equal(
            pthread_create(&contenders[i].thread, NULL, i < KEEPERS ? consume : produce, &contenders[i]), 0);
    }
    (void)disturb(contenders, tally, 1000);
    atomic_store(&tally->stop, true);
    stop_contenders(contenders);
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(atomic_load(&tally->wrong), 0);
    assert_true(atomic_load(&tally->takes) > 100);
    assert_int_equal(atomic_load(&tally->posts), atomic_load(&tally->takes) + read_value(&ref));
    assert_int_equal(shown_number(&ref, "waiters"), 0);
    let_go(&object);
    assert_int_equal(munmap(tally, sizeof *tally), 0);
}

static const struct CMUnitTest tests[] = {
    SEM_TEST(test_interrupt),
    SEM_TEST(test_keepers_are_woken),
    SEM_TEST(test_natives_are_woken),
    SEM_TEST(test_many_are_woken),
    SEM_TEST(test_storm),
    SEM_TEST(test_conservation),
};

const struct suite posix_sem_waits_suite = {
    .name = "waits", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sem"};
