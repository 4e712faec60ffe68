/* SPDX-License-Identifier: MIT */
/*
 * The wait engine: threads that do anything at any time, on a few queues of both kinds, beside native producers and
 * consumers. No message may be lost or had twice, whoever was interrupted or ended when, and nobody may be passed.
 *
 * IPCFS_TEST_SEED chooses the seed of the first round, IPCFS_TEST_ROUNDS how many rounds there are.
 */
#include "cmocka_api.h"
#include "fake_waiter.h"
#include "random.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUES = 4, USERS = 4, NATIVES = 2, STEPS = 4000, PLACES = 24, PARTS = 2 };
enum { MESSAGES = (USERS + NATIVES) * STEPS };

/* A waiter as its thread knows it. The lock keeps the waiter from being freed while it is interrupted. */
struct record {
    pthread_mutex_t lock;
    struct fake_waiter *waiter; /* lock; NULL: finished */
    unsigned queue;
    bool writing;
    bool busy;         /* the thread's: this place is in use */
    uint64_t order;    /* the thread's: when it was parked */
    atomic_bool ended; /* finish() was called */
};

/* What became of one operation that waits or passes nobody: the thread's next must come later in the queue's order. */
struct turn {
    uint64_t order; /* of the thread */
    uint64_t index; /* of the queue */
};

struct turns {
    pthread_mutex_t lock;
    struct turn *list; /* lock */
    size_t count;      /* lock */
};

struct user {
    pthread_t thread;
    struct storm *storm;
    struct prng prng;
    unsigned number;
    uint64_t order;
    struct record records[PLACES];
    struct turns turns[QUEUES][2];
    char handles[2]; /* owners */
    uint64_t next;   /* message it puts */
};

struct storm {
    struct wait_fixture *fixture;
    struct fake_queue queues[QUEUES];
    struct fake_group groups[QUEUES][2];
    struct user users[USERS + NATIVES];
    atomic_uchar got[MESSAGES];  /* units of it, PARTS are all */
    atomic_uchar sent[MESSAGES]; /* 1: it was put, as whoever put it was told */
    atomic_uint served;
    atomic_uint interrupted;
    atomic_uint ended;
};

static void count_got(struct storm *storm, uint64_t value, unsigned units)
{
    if (value >= MESSAGES)
        fake_complain("got a message that nobody made");
    else
        atomic_fetch_add(&storm->got[value], (unsigned char)units);
}

/* ---- what an operation's end says ---- */

static void note_turn(struct user *user, const struct fake_waiter *waiter, unsigned queue, uint64_t order)
{
    struct turns *turns = &user->turns[queue][waiter->writing];
    if (waiter->from_rest)
        return;
    pthread_mutex_lock(&turns->lock);
    turns->list[turns->count++] = (struct turn){order, waiter->value.index};
    pthread_mutex_unlock(&turns->lock);
}

static void note_result(struct storm *storm, const struct fake_waiter *waiter, ssize_t result)
{
    if (result < 0)
        return;
    atomic_fetch_add(&storm->served, 1);
    if (!waiter->taken)
        fake_complain("success for one that was not served");
    if (waiter->writing)
        atomic_store(&storm->sent[waiter->value.value], 1);
    else
        count_got(storm, waiter->value.value, waiter->share ? 1 : PARTS);
}

struct parked {
    struct fake_waiter waiter; /* the first member */
    struct user *user;
    struct record *record;
};

static void parked_is_finished(struct fake_waiter *waiter)
{
    struct parked *parked = (struct parked *)waiter;
    struct user *user = parked->user;
    struct record *record = parked->record;
    note_result(user->storm, waiter, waiter->result);
    if (waiter->result >= 0)
        note_turn(user, waiter, record->queue, record->order);
    else if (waiter->result == -EINTR)
        atomic_fetch_add(&user->storm->interrupted, 1);
    else if (waiter->result == -EBADF)
        atomic_fetch_add(&user->storm->ended, 1);
    else
        fake_complain("finished with an error that nobody gave");
    pthread_mutex_lock(&record->lock);
    record->waiter = NULL;
    pthread_mutex_unlock(&record->lock);
    free(parked);
    if (atomic_exchange(&record->ended, true))
        fake_complain("finished twice");
}

/* ---- what a user of the engine does ---- */

static struct wait_line *line_of(struct storm *storm, unsigned queue, bool writing)
{
    struct wait_line *line = NULL;
    struct wait_key key = {.object = {.number = 100 + queue}, .lane = writing};
    if (wait_line_get(storm->fixture->engine, &key, &line))
        abort();
    return line;
}

static void prepare(struct user *user, struct fake_waiter *waiter, unsigned queue, bool writing)
{
    struct storm *storm = user->storm;
    unsigned handle = random_below(&user->prng, 2);
    fake_waiter_init(waiter, &storm->queues[queue], writing);
    waiter->waiter.owner = &user->handles[handle];
    if (writing)
        waiter->value.value = user->number * (uint64_t)STEPS + user->next++;
    else if (random_below(&user->prng, 3) == 0)
        fake_waiter_join(waiter, &storm->groups[queue][random_below(&user->prng, 2)]);
}

static void do_try(struct user *user, unsigned queue, bool writing, bool insist)
{
    struct fake_waiter waiter;
    struct wait_line *line = line_of(user->storm, queue, writing);
    prepare(user, &waiter, queue, writing);
    ssize_t result = wait_try(line, &waiter.waiter, insist);
    if (result == -EAGAIN ? waiter.taken : result != FAKE_OK)
        fake_complain("wait_try() says what is not so");
    if (atomic_load(&waiter.finished))
        fake_complain("finish() of one that was not parked");
    note_result(user->storm, &waiter, result);
    if (result == FAKE_OK && !insist)
        note_turn(user, &waiter, queue, user->order++);
    wait_line_put(line);
}

static void interrupt(struct record *record)
{
    pthread_mutex_lock(&record->lock);
    if (record->waiter)
        wait_interrupt(&record->waiter->waiter);
    pthread_mutex_unlock(&record->lock);
}

static void do_park(struct user *user, struct record *record, unsigned queue, bool writing)
{
    struct parked *parked = calloc(1, sizeof *parked);
    struct wait_line *line = line_of(user->storm, queue, writing);
    if (!parked)
        abort();
    prepare(user, &parked->waiter, queue, writing);
    parked->user = user;
    parked->record = record;
    parked->waiter.done = parked_is_finished;
    record->queue = queue;
    record->writing = writing;
    record->order = user->order++;
    record->busy = true;
    atomic_store(&record->ended, false);
    wait_prepare(line, &parked->waiter.waiter);
    pthread_mutex_lock(&record->lock);
    record->waiter = &parked->waiter;
    pthread_mutex_unlock(&record->lock);
    if (random_below(&user->prng, 16) == 0)
        interrupt(record);
    bool alone = random_below(&user->prng, 2); /* only the waiter keeps the line */
    if (alone)
        wait_line_put(line);
    wait_park(&parked->waiter.waiter);
    if (!alone)
        wait_line_put(line);
}

static void do_end(struct user *user, unsigned queue, bool writing)
{
    struct wait_line *line = line_of(user->storm, queue, writing);
    wait_end(line, &user->handles[random_below(&user->prng, 2)], -EBADF);
    wait_line_put(line);
}

static void rest(struct prng *prng)
{
    switch (random_below(prng, 16)) {
    case 0:
        sleep_ms(random_below(prng, 2));
        break;
    case 1:
    case 2:
        sched_yield();
        break;
    default:
        break;
    }
}

static void step(struct user *user)
{
    struct record *record = &user->records[random_below(&user->prng, PLACES)];
    unsigned queue = random_below(&user->prng, QUEUES);
    bool writing = random_below(&user->prng, 2);
    if (record->busy && atomic_load(&record->ended))
        record->busy = false;
    switch (random_below(&user->prng, 12)) {
    case 0:
    case 1:
        do_try(user, queue, writing, random_below(&user->prng, 2));
        break;
    case 2:
        if (random_below(&user->prng, 8) == 0)
            do_end(user, queue, writing);
        break;
    case 3:
    case 4:
        interrupt(
            &user->storm->users[random_below(&user->prng, USERS)].records[random_below(&user->prng, PLACES)]);
        break;
    default:
        if (!record->busy)
            do_park(user, record, queue, writing);
    }
    rest(&user->prng);
}

static void *use(void *argument)
{
    struct user *user = argument;
    for (unsigned i = 0; i < STEPS; i++)
        step(user);
    return NULL;
}

/* ---- what native programs do ---- */

static void *use_natively(void *argument)
{
    struct user *user = argument;
    struct storm *storm = user->storm;
    for (unsigned i = 0; i < STEPS; i++) {
        struct fake_queue *queue = &storm->queues[random_below(&user->prng, QUEUES)];
        bool writing = random_below(&user->prng, 2);
        struct fake_result result = {.value = user->number * (uint64_t)STEPS + user->next};
        rest(&user->prng);
        if (fake_queue_try(queue, writing, &result))
            continue;
        if (!writing) {
            count_got(storm, result.value, PARTS);
            continue;
        }
        atomic_store(&storm->sent[result.value], 1);
        user->next++;
    }
    return NULL;
}

/* ---- a round ---- */

static void start(struct storm *storm, struct wait_fixture *fixture, uint64_t seed)
{
    struct prng prng = random_start(seed, 1000);
    memset(storm, 0, sizeof *storm);
    storm->fixture = fixture;
    for (unsigned i = 0; i < QUEUES; i++) {
        unsigned room = 1 + random_below(&prng, FAKE_ROOM_MAX);
        assert_int_equal(
            fake_queue_init(&storm->queues[i], i % 2 ? IPCFS_WAIT_KEEPER : IPCFS_WAIT_POLL, room), 0);
        atomic_store(&storm->queues[i].window_us, random_below(&prng, 2) * random_below(&prng, 400));
        storm->groups[i][0].parts = storm->groups[i][1].parts = PARTS;
    }
    for (unsigned i = 0; i < USERS + NATIVES; i++) {
        struct user *user = &storm->users[i];
        user->storm = storm;
        user->number = i;
        user->prng = random_start(seed, i);
        for (unsigned j = 0; j < PLACES; j++)
            pthread_mutex_init(&user->records[j].lock, NULL);
        for (unsigned j = 0; j < 2 * QUEUES; j++) {
            struct turns *turns = &user->turns[j / 2][j % 2];
            pthread_mutex_init(&turns->lock, NULL);
            turns->list = calloc(STEPS, sizeof *turns->list);
            assert_non_null(turns->list);
        }
    }
}

static bool waits(struct record *record)
{
    pthread_mutex_lock(&record->lock);
    bool is = record->waiter;
    pthread_mutex_unlock(&record->lock);
    return is;
}

static unsigned count_waiting(struct storm *storm, unsigned queue, bool writing)
{
    unsigned count = 0;
    for (unsigned i = 0; i < USERS * PLACES; i++) {
        struct record *record = &storm->users[i / PLACES].records[i % PLACES];
        count += record->queue == queue && record->writing == writing && waits(record);
    }
    return count;
}

/* Nobody waits for what is there. */
static bool is_served(struct storm *storm, unsigned queue)
{
    unsigned count = fake_queue_count(&storm->queues[queue]);
    return !(count > 0 && count_waiting(storm, queue, false)) &&
           !(count < storm->queues[queue].room && count_waiting(storm, queue, true));
}

static bool all_ended(struct storm *storm)
{
    for (unsigned i = 0; i < USERS * PLACES; i++) {
        struct record *record = &storm->users[i / PLACES].records[i % PLACES];
        if (record->busy && !atomic_load(&record->ended))
            return false;
    }
    return true;
}

static void settle(struct storm *storm)
{
    struct wait_fixture *fixture = storm->fixture;
    struct fake_result result;
    for (unsigned i = 0; i < QUEUES; i++)
        EVENTUALLY(fixture, is_served(storm, i));
    for (unsigned i = 0; i < USERS * PLACES; i++)
        interrupt(&storm->users[i / PLACES].records[i % PLACES]);
    EVENTUALLY(fixture, all_ended(storm));
    EVENTUALLY(fixture, stats_now(fixture).lines == 2 && stats_now(fixture).parked == 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        while (fake_queue_try(&storm->queues[i], false, &result) == 0)
            count_got(storm, result.value, PARTS);
        for (unsigned j = 0; j < 2; j++) {
            assert_int_equal(storm->groups[i][j].group.parked, 0);
            if (storm->groups[i][j].rest)
                count_got(storm, storm->groups[i][j].value, storm->groups[i][j].rest);
        }
    }
}

static int by_order(const void *left, const void *right)
{
    uint64_t a = ((const struct turn *)left)->order;
    uint64_t b = ((const struct turn *)right)->order;
    return (a > b) - (a < b);
}

static void check_turns(struct turns *turns)
{
    qsort(turns->list, turns->count, sizeof *turns->list, by_order);
    for (size_t i = 1; i < turns->count; i++)
        if (turns->list[i].index <= turns->list[i - 1].index)
            fail_msg("number %" PRIu64 " of a thread was served after its number %" PRIu64,
                     turns->list[i - 1].order, turns->list[i].order);
}

static void check(struct storm *storm)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        if (atomic_load(&storm->got[i]) != PARTS * atomic_load(&storm->sent[i]))
            fail_msg("message %u of user %u: sent %u times, %u of %u pieces came", i % STEPS, i / STEPS,
                     atomic_load(&storm->sent[i]), atomic_load(&storm->got[i]), PARTS);
    for (unsigned i = 0; i < USERS; i++)
        for (unsigned j = 0; j < 2 * QUEUES; j++)
            check_turns(&storm->users[i].turns[j / 2][j % 2]);
    if (fake_complaint())
        fail_msg("%s", fake_complaint());
    assert_true(atomic_load(&storm->served) > STEPS / 10);
    assert_true(atomic_load(&storm->interrupted) > 0);
    assert_true(atomic_load(&storm->ended) > 0);
}

static void destroy(struct storm *storm)
{
    for (unsigned i = 0; i < USERS + NATIVES; i++) {
        for (unsigned j = 0; j < PLACES; j++)
            pthread_mutex_destroy(&storm->users[i].records[j].lock);
        for (unsigned j = 0; j < 2 * QUEUES; j++) {
            pthread_mutex_destroy(&storm->users[i].turns[j / 2][j % 2].lock);
            free(storm->users[i].turns[j / 2][j % 2].list);
        }
    }
    for (unsigned i = 0; i < QUEUES; i++)
        fake_queue_destroy(&storm->queues[i]);
}

static void run_round(struct wait_fixture *fixture, uint64_t seed)
{
    static struct storm storm;
    start(&storm, fixture, seed);
    for (unsigned i = 0; i < USERS + NATIVES; i++)
        assert_int_equal(
            pthread_create(&storm.users[i].thread, NULL, i < USERS ? use : use_natively, &storm.users[i]), 0);
    for (unsigned i = 0; i < USERS + NATIVES; i++)
        assert_int_equal(pthread_join(storm.users[i].thread, NULL), 0);
    settle(&storm);
    check(&storm);
    destroy(&storm);
}

static void test_storm(void **state)
{
    const char *given = getenv("IPCFS_TEST_ROUNDS");
    unsigned long rounds = given ? strtoul(given, NULL, 10) : 3;
    uint64_t seed = random_seed();
    for (unsigned long i = 0; i < rounds; i++) {
        (void)alarm(100);
        (void)fprintf(stderr, "round %lu, seed %" PRIu64 "\n", i, seed + i);
        run_round(*state, seed + i);
    }
}

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {POLL(test_storm)};
    return cmocka_run_group_tests_name("wait_storm", tests, NULL, NULL);
}
