/* SPDX-License-Identifier: MIT */
#include "sem_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct guard {
    sigjmp_buf back;
    uintptr_t start;
    size_t size;
};

/* The access that this thread is making, or NULL. The handler runs in the thread whose access it was. */
static _Thread_local struct guard *volatile current;
static _Thread_local bool is_unblocked;

static struct sigaction before;

/* Whether what the thread was doing faulted. `si_code` above 0: from the kernel; in a signal that a process sends the address
 * is its pid and uid. That of memory which was found broken, by nobody's access, comes once and not again. */
static bool is_fault(const siginfo_t *info)
{
    return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

static bool is_guarded(const struct guard *guard, const siginfo_t *info)
{
    return guard && is_fault(info) && (uintptr_t)info->si_addr - guard->start < guard->size;
}

/* As if there were no guard. A fault that nobody handles comes again at the return, and meets the default then. */
static void hand_on(int number, siginfo_t *info, void *context)
{
    bool fault = is_fault(info);
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler == SIG_IGN && !fault) {
        return;
    } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        (void)signal(number, SIG_DFL);
        if (!fault)
            (void)raise(number);
    } else {
        before.sa_handler(number);
    }
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    struct guard *guard = current;
    if (is_guarded(guard, info))
        siglongjmp(guard->back, 1);
    int saved = errno;
    hand_on(number, info, context);
    errno = saved;
}

int sem_guard_start(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGBUS, NULL, &before) < 0)
        return -errno;
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

void sem_guard_stop(void)
{
    struct sigaction now;
    /* Who came later and hands on to this one keeps it. */
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigbus)
        (void)sigaction(SIGBUS, &before, NULL);
}

static void unblock(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGBUS);
    is_unblocked = pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

int sem_guard_run(void *memory, size_t size, sem_guarded_access access, void *argument)
{
    if (!is_unblocked)
        unblock();
    struct guard guard = {.start = (uintptr_t)memory, .size = size};
    /* With the signal mask: the handler runs with SIGBUS blocked, under the thread sanitizer with everything blocked, and it is
     * left by a jump. */
    if (sigsetjmp(guard.back, 1)) {
        current = NULL;
        return -EIDRM;
    }
    current = &guard;
    atomic_signal_fence(memory_order_seq_cst);
    int result = access(memory, argument);
    atomic_signal_fence(memory_order_seq_cst);
    current = NULL;
    return result;
}
