/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost.
 *
 * The protocol is glibc's (nptl/sem_waitcommon.c and sem_post.c, of 64-bit atomics), and everybody keeps it, natively or
 * here. Who posts adds 1 to the value and then, if the same atomic operation showed waiters, wakes one (FUTEX_WAKE). Who
 * waits first adds 1 to the waiters; then, again and again, he takes 1 from the value and 1 from the waiters in one
 * operation, or sleeps as long as the value is 0 (FUTEX_WAIT). A unit is not handed to whom the wake-up was meant for: it is
 * in the value, for whoever comes first.
 *
 * What has to hold: whenever the value is above 0 and somebody sleeps, somebody is on his way to the value. Suppose a post.
 * Whoever had not added himself to the waiters before it meets the value after it, and does not sleep: FUTEX_WAIT compares
 * the value under the lock of the kernel's queue. Whoever had, is either not asleep yet, and the same comparison turns him
 * back; or he is in the queue, and the post saw waiters and wakes one of those. The woken one then looks at the value. If it
 * is above 0 he takes one; if a third was faster, that one has taken the unit which the wake-up was for, and he sleeps
 * again, rightly.
 *
 * A wake-up would be lost if somebody consumed it and then went away without a look at the value. A signal or a timeout
 * could do that, but the kernel decides under the lock of the queue who was first: a FUTEX_WAIT that a wake-up took out of
 * the queue returns 0, also when a signal is pending or the time is over, and one that returns EINTR or ETIMEDOUT took
 * itself out, so that a later wake-up goes to another ("If we were woken (and unqueued), we succeeded, whatever.",
 * Linux kernel/futex/waitwake.c, __futex_wait()). So EINTR may end the wait at once, here as in glibc, and there is nothing to
 * pass on; after a return of 0 the value is always looked at. Between EINTR and the moment at which it is no longer counted,
 * a post may still see it as a waiter: it then wakes another, or nobody, and the unit is in the value all the same.
 *
 * The number of waiters only decides whether a post makes a system call. Too high a number, as a process leaves behind that
 * is killed while it waits, costs that. Too low a number would let waiters sleep, so nobody subtracts what he has not
 * added. If somebody overwrites it (or cuts the file off and makes it longer again), those who wait here look at the value
 * every SEM_WORD_LOOK_MS all the same, and never count it below 0.
 *
 * Several at one moment. To post N is one addition and a FUTEX_WAKE of N: as N posts one after another, with nobody between
 * them. What is woken in vain sleeps again. To set a lower value is N times sem_trywait(3), which concerns no waiter.
 *
 * Cut off. A load or a store may fail at any time; sem_guard_run() says so, and the compare-and-swap that failed has changed
 * nothing. The kernel answers EFAULT to a futex on memory that is gone; but it wakes nobody when it goes, hence the look
 * every now and then. FUTEX_WAKE may fail as it likes: there is nobody then who could be woken by it.
 *
 * Both futex operations are those of shared memory, whatever the file says of itself (`private` in glibc): of a semaphore
 * that really were private to a process, no other process could wake anybody.
 */
#include "sem_word.h"

#include "sem_guard.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The mapping begins with the word; there is nothing of its own. */
struct sem_word {
    uint64_t data;
};

static const uint64_t one_waiter = UINT64_C(1) << 32;

/* ---- accesses, under the guard ---- */

/* `left` of a take, `amount` of a post or set; `wake`: how many to wake. */
struct step {
    uint32_t amount;
    uint32_t left;
    uint32_t wake;
    uint64_t seen;
};

static SEM_GUARDED int access_look(void *memory, void *argument)
{
    struct step *step = argument;
    step->seen = __atomic_load_n((uint64_t *)memory, __ATOMIC_ACQUIRE);
    return 0;
}

/* In all loops: an exchange fails only where somebody else's has succeeded, so that they come to an end. */
static SEM_GUARDED int access_take(void *memory, void *argument)
{
    uint64_t *word = memory;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    do {
        if ((uint32_t)seen == 0)
            return -EAGAIN;
    } while (!__atomic_compare_exchange_n(word, &seen, seen - 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    ((struct step *)argument)->left = (uint32_t)seen - 1;
    return 0;
}

static SEM_GUARDED int access_enter(void *memory, void *argument)
{
    (void)argument;
    (void)__atomic_fetch_add((uint64_t *)memory, one_waiter, __ATOMIC_RELAXED);
    return 0;
}

static SEM_GUARDED int access_leave(void *memory, void *argument)
{
    (void)argument;
    uint64_t *word = memory;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    do {
        if (seen < one_waiter)
            return 0; /* somebody has overwritten it */
    } while (!__atomic_compare_exchange_n(word, &seen, seen - one_waiter, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return 0;
}

static SEM_GUARDED int access_take_and_leave(void *memory, void *argument)
{
    uint64_t *word = memory;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    uint64_t next;
    do {
        if ((uint32_t)seen == 0)
            return -EAGAIN;
        next = seen - 1 - (seen < one_waiter ? 0 : one_waiter);
    } while (!__atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    ((struct step *)argument)->left = (uint32_t)next;
    return 0;
}

static SEM_GUARDED int access_post(void *memory, void *argument)
{
    uint64_t *word = memory;
    struct step *step = argument;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    do {
        if ((uint64_t)(uint32_t)seen + step->amount > SEM_VALUE_MAX)
            return -EOVERFLOW;
    } while (!__atomic_compare_exchange_n(word, &seen, seen + step->amount, false, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    step->wake = seen < one_waiter ? 0 : step->amount;
    return 0;
}

static SEM_GUARDED int access_set(void *memory, void *argument)
{
    uint64_t *word = memory;
    struct step *step = argument;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    uint64_t next;
    do {
        next = seen - (uint32_t)seen + step->amount;
    } while (!__atomic_compare_exchange_n(word, &seen, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    bool more = step->amount > (uint32_t)seen;
    step->wake = more && seen >= one_waiter ? step->amount - (uint32_t)seen : 0;
    return 0;
}

static int run(struct sem_word *word, sem_guarded_access access, struct step *step)
{
    return sem_guard_run(word, sizeof *word, access, step);
}

/* ---- the kernel's part ---- */

static void futex_wake(struct sem_word *word, uint32_t count)
{
    if (count)
        (void)syscall(SYS_futex, word, FUTEX_WAKE, (int)count, NULL, NULL, 0);
}

/* Sleeps while the value is 0, but not for long. The value is in the first 4 bytes: little endian. 0 or −errno. */
static int futex_wait(struct sem_word *word)
{
    const struct timespec time = {.tv_sec = SEM_WORD_LOOK_MS / 1000,
                                  .tv_nsec = SEM_WORD_LOOK_MS % 1000 * 1000000L};
    if (syscall(SYS_futex, word, FUTEX_WAIT, 0, &time, NULL, 0) == 0 || errno == EAGAIN || errno == ETIMEDOUT)
        return 0;
    return errno == EFAULT ? -EIDRM : -errno;
}

/* ---- operations ---- */

int sem_word_look(struct sem_word *word, uint64_t *out)
{
    struct step step = {0};
    int error = run(word, access_look, &step);
    *out = step.seen;
    return error;
}

int sem_word_take(struct sem_word *word, uint32_t *left)
{
    struct step step = {0};
    int error = run(word, access_take, &step);
    *left = step.left;
    return error;
}

int sem_word_wait(struct sem_word *word, uint32_t *left)
{
    struct step step = {0};
    int error = run(word, access_enter, &step);
    if (error)
        return error;
    while ((error = run(word, access_take_and_leave, &step)) == -EAGAIN) {
        error = futex_wait(word);
        if (error) {
            (void)run(word, access_leave, &step);
            break;
        }
    }
    *left = step.left;
    return error;
}

int sem_word_post(struct sem_word *word, uint32_t count)
{
    struct step step = {.amount = count};
    int error = run(word, access_post, &step);
    if (!error)
        futex_wake(word, step.wake);
    return error;
}

int sem_word_set(struct sem_word *word, uint32_t value)
{
    struct step step = {.amount = value};
    int error = run(word, access_set, &step);
    if (!error)
        futex_wake(word, step.wake);
    return error;
}

/* ---- files ---- */

int sem_word_read(int fd, uint64_t *word)
{
    sem_t content;
    ssize_t count = pread(fd, &content, sizeof content, 0);
    if (count < 0)
        return -errno;
    if (count < (ssize_t)sizeof content)
        return -EIDRM;
    memcpy(word, &content, sizeof *word);
    return 0;
}

int sem_word_map(int fd, struct sem_word **out)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    if (stat.st_size < (off_t)sizeof(sem_t))
        return -EIDRM;
    void *memory = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *out = memory;
    return 0;
}

void sem_word_unmap(struct sem_word *word)
{
    (void)munmap(word, sizeof(sem_t));
}

/* ---- start and stop ---- */

#if defined(__GLIBC__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&                  \
    SEM_VALUE_MAX == INT_MAX

/* Both sides do the same to one semaphore, and each sees what the other did. */
static bool is_as_described(void)
{
    union {
        sem_t native;
        struct sem_word word;
    } both;
    sem_t *native = &both.native;
    struct sem_word *word = &both.word;
    uint64_t seen = 0;
    uint32_t left = 0;
    int value = 0;
    memset(&both, 0, sizeof both);
    return sem_init(native, 1, 5) == 0 && sem_word_look(word, &seen) == 0 && seen == 5 &&
           sem_trywait(native) == 0 && sem_word_look(word, &seen) == 0 && seen == 4 &&
           sem_word_take(word, &left) == 0 && left == 3 && sem_getvalue(native, &value) == 0 && value == 3 &&
           sem_word_post(word, 4) == 0 && sem_getvalue(native, &value) == 0 && value == 7 &&
           run(word, access_enter, NULL) == 0 && sem_getvalue(native, &value) == 0 && value == 7 &&
           sem_post(native) == 0 && sem_word_look(word, &seen) == 0 && seen == one_waiter + 8 &&
           sem_word_wait(word, &left) == 0 && left == 7 && run(word, access_leave, NULL) == 0 &&
           sem_word_set(word, SEM_VALUE_MAX) == 0 && sem_post(native) < 0 && errno == EOVERFLOW &&
           sem_word_look(word, &seen) == 0 && seen == SEM_VALUE_MAX;
}

int sem_word_start(void)
{
    int error = sem_guard_start();
    if (error)
        return error;
    if (is_as_described())
        return 0;
    sem_guard_stop();
    return -ENOSYS;
}

void sem_word_stop(void)
{
    sem_guard_stop();
}

#else

int sem_word_start(void)
{
    return -ENOSYS;
}

void sem_word_stop(void)
{
}

#endif
