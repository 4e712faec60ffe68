/* SPDX-License-Identifier: MIT */
/*
 * Conservation of messages: native and mount senders and receivers of all modes on one queue, under signals, and with
 * receivers that are killed. Every message whose sending was acknowledged is received once, unless it was in flight to a
 * receiver that was killed; none whose sending failed; each receiver gets those of one sender and priority in order.
 *
 *   conserve mq|sysv QUEUE CONTROL spare|kill|kill-lines
 *
 * The queue's file, named by its name or its key, and its directory in ctl/; "-" "-": all native
 *
 * IPCFS_SEED and IPCFS_SECONDS (8) of the environment; IPCFS_BESIDE=1: there is other load, and not all modes need have
 * come to much.
 */
#include "conserve.h"
#include "traffic.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 12, BOUND_S = 20, DIE_BOUND_S = 5, SYSV_BYTES = 2000 };

static const char *const sender_names[] = {"native",       "native nonblocking", "file",
                                           "prio or type", "nonblocking",        "lines"};
static const char *const receiver_names[] = {
    "native", "native nonblocking", "message mode", "packet mode", "nonblocking",
    "lines",  "shared handle",      "type 2",       "type -3"};
static const enum sender_mode sender_modes[SENDERS] = {S_NATIVE,   S_NATIVE_NONBLOCK, S_FILE,  S_PRIORITY,
                                                       S_NONBLOCK, S_LINES,           S_NATIVE};
static const enum receiver_mode receiver_modes[SLOTS] = {
    R_NATIVE, R_NATIVE_NONBLOCK, R_MESSAGE, R_MESSAGE, R_PACKET,   R_NONBLOCK,
    R_LINES,  R_SHARED,          R_SHARED,  R_TYPE,    R_NEGATIVE, R_LINES};

static enum { SPARE, KILL, KILL_LINES } killing;
static struct setup setup;
static struct shared *shared;
static pid_t sender_pids[SENDERS];
static struct {
    pid_t pid;
    unsigned receiver;
} slots[SLOTS];
static unsigned receivers = 1, kills; /* number 0 is this process, which takes what is left */
static unsigned failures;

/* The first ones say enough. */
#define FAIL(...) (failures++ < 20 ? warnx("FAILED: " __VA_ARGS__) : (void)0)

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void open_posix(void)
{
    struct mq_attr attr = {.mq_maxmsg = 8, .mq_msgsize = MESSAGE_MAX};

    mq_unlink(setup.name); /* of a run that failed */
    setup.queue = mq_open(setup.name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    setup.nonblocking = mq_open(setup.name, O_RDWR | O_NONBLOCK);
    if (setup.queue < 0 || setup.nonblocking < 0)
        err(1, "mq_open");
}

static void open_sysv(void)
{
    struct msqid_ds ds;

    setup.nonblocking = -1;
    msgctl(msgget(setup.key, 0), IPC_RMID, NULL); /* of a run that failed */
    setup.queue = msgget(setup.key, IPC_CREAT | IPC_EXCL | 0600);
    if (setup.queue < 0 || msgctl(setup.queue, IPC_STAT, &ds) < 0)
        err(1, "msgget");
    ds.msg_qbytes = SYSV_BYTES;
    if (msgctl(setup.queue, IPC_SET, &ds) < 0)
        err(1, "IPC_SET");
}

/* The queue is natively what its file is called. */
static void name_queue(const char *file)
{
    const char *slash = strrchr(file, '/');

    snprintf(setup.name, sizeof(setup.name), "/%s", slash ? slash + 1 : "conserve");
    setup.key = slash ? (int)strtoul(slash + 1, NULL, 0) : 0xc0;
}

static void open_all(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "usage: see conserve.c");
    name_queue(argv[2]);
    const char *seed = getenv("IPCFS_SEED");
    setup.beside = getenv("IPCFS_BESIDE") != NULL;
    setup.posix = !strcmp(argv[1], "mq");
    killing = !strcmp(argv[4], "kill") ? KILL : !strcmp(argv[4], "kill-lines") ? KILL_LINES : SPARE;
    setup.seed = seed ? strtoull(seed, NULL, 10) : 20251;
    setup.shared = shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        err(1, "mmap");
    if (setup.posix)
        open_posix();
    else
        open_sysv();
    setup.handle = -1;
    if (!strcmp(argv[2], "-"))
        return;
    setup.file = argv[2];
    setup.control = argv[3];
    setup.handle = open(setup.file, O_RDONLY);
    if (setup.handle < 0)
        err(1, "open %s", setup.file);
}

static pid_t fork_child(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    return pid;
}

static enum sender_mode native_sender(enum sender_mode mode)
{
    return setup.file ? mode : mode % 2 ? S_NATIVE_NONBLOCK : S_NATIVE;
}

static void start_receiver(unsigned slot)
{
    enum receiver_mode mode = receiver_modes[slot];

    if (setup.posix && (mode == R_TYPE || mode == R_NEGATIVE))
        mode = mode == R_TYPE ? R_MESSAGE : R_PACKET;
    if (receivers == RECEIVERS)
        errx(1, "too many receivers");
    unsigned receiver = receivers++;
    shared->receivers[receiver].mode = mode;
    shared->receivers[receiver].loss = mode == R_LINES && setup.file ? 4096 / (HEAD + 1) + 1 : 1;
    slots[slot].receiver = receiver;
    slots[slot].pid = fork_child();
    if (slots[slot].pid == 0)
        _exit(run_receiver(&setup, receiver));
}

/* Waits with a bound. Whoever does not end is killed, and that is an error. */
static void reap(pid_t pid, double bound, const char *what, bool by_kill)
{
    double end = now() + bound;
    int status;
    pid_t done;

    while ((done = waitpid(pid, &status, WNOHANG)) == 0 && now() < end)
        usleep(200);
    if (done == 0) {
        FAIL("%s, process %d, does not end within %g s", what, pid, bound);
        kill(pid, SIGKILL);
        return;
    }
    bool good = by_kill ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0;
    if (!good)
        FAIL("%s ended with status %#x", what, status);
}

/* Those of lines have many messages in flight: with them the bound is wide, so they are killed in runs of their own. */
static void kill_one(uint64_t *random)
{
    unsigned slot = random_next(random) % SLOTS;
    if ((receiver_modes[slot] == R_LINES) != (killing == KILL_LINES))
        return;

    kill(slots[slot].pid, SIGKILL);
    shared->receivers[slots[slot].receiver].killed = true;
    reap(slots[slot].pid, DIE_BOUND_S, "a killed receiver", true);
    kills++;
    start_receiver(slot);
}

/* Since when has nobody received anything, and how long was that at most. */
static void note_progress(double *since, double *longest)
{
    static unsigned seen;
    unsigned entries = atomic_load(&shared->entries);
    double time = now();

    *longest = time - *since > *longest ? time - *since : *longest;
    if (entries != seen)
        *since = time;
    seen = entries;
}

static void run(double seconds)
{
    uint64_t random = setup.seed;
    double end = now() + seconds;

    for (unsigned i = 0; i < SLOTS; i++)
        start_receiver(i);
    for (unsigned i = 0; i < SENDERS; i++) {
        sender_pids[i] = fork_child();
        if (sender_pids[i] == 0)
            _exit(run_sender(&setup, i, native_sender(sender_modes[i])));
    }
    double since = now(), longest = 0;
    while (now() < end && !failures) {
        usleep(1000 + random_next(&random) % 20000);
        note_progress(&since, &longest);
        if (killing != SPARE)
            kill_one(&random);
    }
    printf("  longest gap %.3f s\n", longest);
}

static unsigned long queued(void)
{
    struct mq_attr attr;
    struct msqid_ds ds;

    if (setup.posix ? mq_getattr(setup.queue, &attr) : msgctl(setup.queue, IPC_STAT, &ds))
        err(1, "attributes");
    return setup.posix ? (unsigned long)attr.mq_curmsgs : (unsigned long)ds.msg_qnum;
}

static void end_all(void)
{
    atomic_store(&shared->stop_senders, true);
    for (unsigned i = 0; i < SENDERS; i++)
        reap(sender_pids[i], BOUND_S, sender_names[native_sender(sender_modes[i])], false);
    double end = now() + BOUND_S;
    while (queued() > 0 && now() < end)
        usleep(1000);
    if (queued() > 0)
        FAIL("%lu messages stay in the queue though receivers wait", queued());
    usleep(200000);
    atomic_store(&shared->stop_receivers, true);
    for (unsigned i = 0; i < SLOTS; i++)
        reap(slots[i].pid, BOUND_S, receiver_names[shared->receivers[slots[i].receiver].mode], false);
    char text[MESSAGE_MAX + 1];
    size_t length;
    while ((length = drain_one(&setup, text)) > 0)
        note_message(&setup, 0, text, length);
}

static void check_order(const struct entry *entry, uint32_t *last)
{
    uint32_t *before = &last[(entry->receiver * SENDERS + entry->sender) * PRIORITIES + entry->priority];

    if (*before > entry->sequence + 1 && !failures)
        FAIL("receiver %u (%s) got message %u of sender %u (%s) and priority %u after %u", entry->receiver,
             receiver_names[shared->receivers[entry->receiver].mode], entry->sequence, entry->sender,
             sender_names[native_sender(sender_modes[entry->sender])], entry->priority, *before - 1);
    *before = entry->sequence + 1;
}

static void check_entry(const struct entry *entry, uint16_t *seen)
{
    uint16_t *by = &seen[entry->sender * SEQUENCES + entry->sequence];
    const char *who = sender_names[native_sender(sender_modes[entry->sender])];
    const char *to = receiver_names[shared->receivers[entry->receiver].mode];

    if (*by)
        FAIL("message %u of sender %u (%s) was received twice, by %s and %s", entry->sequence, entry->sender,
             who, receiver_names[shared->receivers[*by - 1].mode], to);
    if (atomic_load(&shared->outcome[entry->sender][entry->sequence]) != SENT)
        FAIL("message %u of sender %u (%s) was received by %s, but its sending failed", entry->sequence,
             entry->sender, who, to);
    *by = entry->receiver + 1;
}

static unsigned count_missing(const uint16_t *seen)
{
    unsigned missing = 0, sent = 0;

    for (unsigned i = 0; i < SENDERS; i++)
        for (unsigned j = 0; j < SEQUENCES; j++) {
            if (atomic_load(&shared->outcome[i][j]) != SENT)
                continue;
            sent++;
            if (seen[i * SEQUENCES + j])
                continue;
            if (missing++ < 5)
                printf("  missing: message %u of sender %u (%s)\n", j, i,
                       sender_names[native_sender(sender_modes[i])]);
        }
    printf("  %u messages, %u missing\n", sent, missing);
    if (sent < (setup.beside ? 100u : 1000u))
        FAIL("only %u messages were sent", sent);
    return missing;
}

static void check_all(void)
{
    uint16_t *seen = calloc(SENDERS * SEQUENCES, sizeof(*seen));
    uint32_t *last = calloc((size_t)receivers * SENDERS * PRIORITIES, sizeof(*last));
    unsigned allowed = 0, entries = atomic_load(&shared->entries);

    if (!seen || !last)
        err(1, "memory");
    for (unsigned i = 0; i < entries; i++) {
        if (!atomic_load(&shared->log[i].valid))
            continue; /* killed just then: one of those that may be missing */
        check_entry(&shared->log[i], seen);
        check_order(&shared->log[i], last);
    }
    for (unsigned i = 1; i < receivers; i++)
        allowed += shared->receivers[i].killed ? shared->receivers[i].loss : 0;
    unsigned missing = count_missing(seen);
    if (missing > allowed)
        FAIL("%u messages are missing, %u can have been in flight to %u killed receivers", missing, allowed,
             kills);
    free(seen);
    free(last);
}

static void check_modes(void)
{
    for (unsigned i = 0; i < sizeof(sender_names) / sizeof(*sender_names); i++) {
        printf("  sent %-20s %u\n", sender_names[i], atomic_load(&shared->sent_by_mode[i]));
        if (setup.file && !setup.beside && atomic_load(&shared->sent_by_mode[i]) == 0)
            FAIL("senders '%s' have sent nothing", sender_names[i]);
    }
    for (unsigned i = 0; i < R_MODES; i++) {
        bool none = (setup.posix && i >= R_TYPE) || !setup.file || setup.beside;
        printf("  received %-16s %u\n", receiver_names[i], atomic_load(&shared->received_by_mode[i]));
        if (!none && atomic_load(&shared->received_by_mode[i]) == 0)
            FAIL("receivers '%s' have got nothing", receiver_names[i]);
    }
    printf("  %u kills, %u calls interrupted\n", kills, atomic_load(&shared->interrupted));
    if (!setup.beside && atomic_load(&shared->interrupted) < 10)
        FAIL("hardly any call was interrupted");
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("IPCFS_SECONDS");

    open_all(argc, argv);
    printf("conserve %s %s: seed %llu\n", argv[1], argv[4], (unsigned long long)setup.seed);
    run(seconds ? strtod(seconds, NULL) : 8);
    end_all();
    check_all();
    check_modes();
    if (setup.posix ? mq_unlink(setup.name) : msgctl(setup.queue, IPC_RMID, NULL))
        FAIL("remove");
    return failures ? 1 : 0;
}
