/* SPDX-License-Identifier: MIT */
/* Many at once, through the kind and natively: units are conserved, vectors are seen whole or not at all. */
#include "sysv_sem_subject.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 2, UNITS = 3, SUM = 100, PROCESSES = 3, THREADS = 8 };

/* ---- threads and processes of a storm ---- */

struct storm;

struct stormer {
    struct storm *storm;
    void (*turn)(struct stormer *stormer);
    unsigned seed;
    unsigned turns;
    unsigned interrupted;
    pthread_t thread;
};

struct storm {
    struct ipcfs_created object;
    atomic_bool over;
    atomic_int running;
    struct stormer stormers[THREADS];
    pid_t processes[PROCESSES];
};

static unsigned next_random(unsigned *seed)
{
    return (unsigned)rand_r(seed);
}

static void *run_stormer(void *data)
{
    struct stormer *stormer = data;
    while (!atomic_load(&stormer->storm->over)) {
        stormer->turn(stormer);
        stormer->turns++;
    }
    atomic_fetch_sub(&stormer->storm->running, 1);
    return NULL;
}

static void start_threads(struct storm *storm, void (*const turns[])(struct stormer *), size_t count)
{
    take_wake_signals();
    atomic_store(&storm->running, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        struct stormer *stormer = &storm->stormers[i];
        *stormer = (struct stormer){.storm = storm, .turn = turns[i % count], .seed = (unsigned)i + 1};
        assert_int_equal(pthread_create(&stormer->thread, NULL, run_stormer, stormer), 0);
    }
}

/* Before there are threads. */
static void start_processes(struct storm *storm, void (*turn)(int id, unsigned *seed))
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        storm->processes[i] = fork();
        assert_true(storm->processes[i] >= 0);
        if (storm->processes[i] > 0)
            continue;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned seed = i + 77;;)
            turn(id_of(&storm->object), &seed);
    }
}

/* Throws signals at the threads for a while, then till they have ended; kills the processes wherever they are. */
static void end_storm(struct storm *storm)
{
    unsigned seed = 5;
    for (int i = 0; i < SECONDS * 1000 || atomic_load(&storm->running) > 0; i++) {
        if (i >= SECONDS * 1000)
            atomic_store(&storm->over, true);
        assert_true(i < (SECONDS + 30) * 1000);
        usleep(1000);
        for (int j = atomic_load(&storm->over) ? THREADS - 1 : 0; j >= 0; j--) {
            size_t which = atomic_load(&storm->over) ? (size_t)j : next_random(&seed) % THREADS;
            (void)pthread_kill(storm->stormers[which].thread, SIGUSR1);
        }
    }
    unsigned interrupted = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(storm->stormers[i].thread, NULL), 0);
        assert_true(storm->stormers[i].turns > 10);
        interrupted += storm->stormers[i].interrupted;
    }
    assert_true(interrupted > 0);
    for (size_t i = 0; i < PROCESSES; i++) {
        assert_int_equal(kill(storm->processes[i], SIGKILL), 0);
        assert_int_equal(waitpid(storm->processes[i], NULL, 0), storm->processes[i]);
    }
}

/* A result of a call that may have been interrupted, or found nothing. */
static bool succeeded(struct stormer *stormer, ssize_t result)
{
    stormer->interrupted += result == -EINTR;
    if (result < 0 && result != -EINTR && result != -EAGAIN)
        fail_msg("%s", strerror((int)-result));
    return result >= 0;
}

/* ---- units ---- */

static void post_one(struct storm *storm)
{
    struct ipcfs_ref ref = key_ref(&storm->object, true);
    assert_int_equal(write_line(member_file("post"), &ref, 0, ""), 0);
}

static void take_and_post(struct stormer *stormer)
{
    struct ipcfs_wait wait = {.block = next_random(&stormer->seed) % 4 > 0};
    struct ipcfs_file *file = open_member(&stormer->storm->object, "wait", 0);
    char text[32];
    if (succeeded(stormer, kind->try_read(file, text, sizeof text, 0, 0, &wait)))
        post_one(stormer->storm);
    kind->close(file);
}

static void hold_a_moment(struct stormer *stormer)
{
    const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    struct ipcfs_wait wait = {.block = next_random(&stormer->seed) % 4 > 0};
    struct ipcfs_file *file = open_member(&stormer->storm->object, "hold", 0);
    if (succeeded(stormer, kind->try_lock(file, &lock, &wait)))
        usleep(next_random(&stormer->seed) % 200);
    kind->close(file);
}

static void take_by_op(struct stormer *stormer)
{
    struct ipcfs_wait wait = {.block = next_random(&stormer->seed) % 4 > 0};
    struct ipcfs_file *file = must_prepare(&stormer->storm->object, "0:-2");
    if (succeeded(stormer, write_once(file, "0:-2", &wait))) {
        post_one(stormer->storm);
        post_one(stormer->storm);
    }
    kind->close(file);
}

/* With SEM_UNDO, so that its end at any moment loses nothing. */
static void take_natively(int id, unsigned *seed)
{
    struct sembuf take = {0, -1, SEM_UNDO};
    struct sembuf give = {0, 1, SEM_UNDO};
    if (semop(id, &take, 1))
        _exit(1);
    if (next_random(seed) % 8 == 0)
        usleep(next_random(seed) % 300);
    if (semop(id, &give, 1))
        _exit(2);
}

static void test_units_are_conserved(void **state)
{
    (void)state;
    static void (*const turns[])(struct stormer *) = {take_and_post, hold_a_moment, take_by_op,
                                                      hold_a_moment};
    static struct storm storm;
    storm = (struct storm){.object = new_set(1, 0600)};
    native_put(id_of(&storm.object), 0, UNITS);
    start_processes(&storm, take_natively);
    start_threads(&storm, turns, ARRAY_LENGTH(turns));
    end_storm(&storm);
    assert_int_equal(native_value(id_of(&storm.object), 0), UNITS);
    assert_int_equal(native_get(id_of(&storm.object), 0, GETNCNT), 0);
    let_go(&storm.object);
}

/* ---- a daemon that is killed ---- */

static void hold_for_ever(const struct ipcfs_created *object)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0;; i++) {
        struct ipcfs_file *files[UNITS];
        unsigned count = 1 + i % UNITS;
        for (unsigned j = 0; j < count; j++) {
            files[j] = open_member(object, "hold", 0);
            if (hold_once(files[j]))
                _exit(1);
        }
        for (unsigned j = 0; j < count; j++)
            kind->close(files[(j + i) % count]);
    }
}

/* In whatever it was just then: taking, holding or giving back. */
static void test_killed_at_any_moment(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    unsigned seed = 9;
    native_put(id_of(&object), 0, UNITS);
    for (int i = 0; i < 300; i++) {
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            hold_for_ever(&object);
        usleep(next_random(&seed) % 3000);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(native_value(id_of(&object), 0), UNITS);
    }
    let_go(&object);
}

/* ---- vectors ---- */

static void move_by_op(struct stormer *stormer)
{
    char line[64];
    unsigned amount = 1 + next_random(&stormer->seed) % (SUM / 2);
    unsigned from = next_random(&stormer->seed) % 2;
    struct ipcfs_wait wait = {.block = next_random(&stormer->seed) % 2};
    (void)snprintf(line, sizeof line, "%u:-%u %u:+%u", from, amount, 1 - from, amount);
    struct ipcfs_file *file = must_prepare(&stormer->storm->object, line);
    (void)succeeded(stormer, write_once(file, line, &wait));
    kind->close(file);
}

/* Adds up what `values` shows. */
static void look(struct stormer *stormer)
{
    struct ipcfs_ref ref = key_ref(&stormer->storm->object, true);
    AUTO_TEXT text = {0};
    unsigned first = 0;
    unsigned second = 0;
    assert_int_equal(set_file("values")->read(&ref, 0, &text), 0);
    text_bytes(&text, "", 1);
    // NOLINTNEXTLINE(cert-err34-c): two numbers or not
    assert_int_equal(sscanf(text.data, "%u %u", &first, &second), 2);
    assert_int_equal(first + second, SUM);
}

static void move_natively(int id, unsigned *seed)
{
    unsigned short values[2] = {0};
    unsigned from = next_random(seed) % 2;
    short amount = (short)(1 + next_random(seed) % (SUM / 2));
    struct sembuf vector[] = {{(unsigned short)from, (short)-amount, IPC_NOWAIT},
                              {(unsigned short)(1 - from), amount, IPC_NOWAIT}};
    if (semop(id, vector, 2) && errno != EAGAIN)
        _exit(1);
    if (semctl(id, 0, GETALL, values) || values[0] + values[1] != SUM)
        _exit(2); /* is then not there to be killed as one that runs */
}

static void must_run(const struct storm *storm)
{
    for (size_t i = 0; i < PROCESSES; i++)
        assert_int_equal(waitpid(storm->processes[i], NULL, WNOHANG), 0);
}

static void test_vectors_are_whole(void **state)
{
    (void)state;
    static void (*const turns[])(struct stormer *) = {move_by_op, move_by_op, move_by_op, look};
    static struct storm storm;
    storm = (struct storm){.object = new_set(2, 0600)};
    native_put(id_of(&storm.object), 0, SUM);
    start_processes(&storm, move_natively);
    start_threads(&storm, turns, ARRAY_LENGTH(turns));
    sleep(1);
    must_run(&storm);
    end_storm(&storm);
    assert_int_equal(native_value(id_of(&storm.object), 0) + native_value(id_of(&storm.object), 1), SUM);
    let_go(&storm.object);
}

/* ---- removal ---- */

/* Whatever a call meets, it is one of these, at any moment of the set's life; and nothing waits for ever. */
static void must_be_expected(struct stormer *stormer, ssize_t result)
{
    stormer->interrupted += result == -EINTR;
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EIDRM && result != -ESTALE)
        fail_msg("%s", strerror((int)-result));
}

static void use_what_vanishes(struct stormer *stormer)
{
    static const char *const names[] = {"wait", "zero", "hold"};
    const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    struct ipcfs_wait wait = {.block = true};
    struct ipcfs_file *file = NULL;
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x2b"};
    unsigned which = next_random(&stormer->seed) % 3;
    char text[32];
    int error = member_file(names[which])->open(&ref, 0, O_RDONLY, &file);
    must_be_expected(stormer, error);
    if (error)
        return;
    if (which == 2)
        must_be_expected(stormer, kind->try_lock(file, &lock, &wait));
    else
        must_be_expected(stormer, kind->try_read(file, text, sizeof text, 0, 0, &wait));
    kind->close(file);
}

static void make_and_remove(struct stormer *stormer)
{
    int id = native_set(0x2b, 1, 0600);
    native_put(id, 0, (int)(next_random(&stormer->seed) % 3));
    usleep(next_random(&stormer->seed) % 1000);
    native_set_remove(id);
}

static void idle(int id, unsigned *seed)
{
    (void)id;
    (void)seed;
    (void)pause();
}

static void test_sets_come_and_go(void **state)
{
    (void)state;
    static void (*const turns[THREADS])(struct stormer *) = {
        make_and_remove,   use_what_vanishes, use_what_vanishes, use_what_vanishes,
        use_what_vanishes, use_what_vanishes, use_what_vanishes, use_what_vanishes};
    static struct storm storm;
    storm = (struct storm){.object = new_set(1, 0600)};
    start_processes(&storm, idle);
    start_threads(&storm, turns, THREADS);
    end_storm(&storm);
    let_go(&storm.object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_units_are_conserved),
    TEST(test_killed_at_any_moment),
    TEST(test_vectors_are_whole),
    TEST(test_sets_come_and_go),
};

const struct suite sysv_sem_storm_suite = {
    .name = "storms", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
