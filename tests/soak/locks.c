/* SPDX-License-Identifier: MIT */
/* Locks of one object of shared memory, taken natively and through the mount: whoever has it is alone. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int lock_by(const struct actor *actor, int fd, int operation)
{
    if (!strcmp(actor->args[2], "flock"))
        return flock(fd, operation);
    struct flock lock = {.l_type = operation == LOCK_UN ? F_UNLCK : F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, operation & LOCK_NB ? F_SETLK : F_SETLKW, &lock);
}

/* Takes it, or the epoch is over (false). */
static bool take_lock(struct actor *actor, int fd, bool wait)
{
    while (lock_by(actor, fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR && errno != EAGAIN && errno != EACCES)
            must(actor, -1, "lock");
        if (!interrupted(actor))
            usleep(pick(actor, 1000));
        if (!working(actor))
            return false;
    }
    return true;
}

static void be_alone(struct actor *actor, struct account *who)
{
    uint64_t nobody = 0, me = (uint64_t)getpid();

    if (!atomic_compare_exchange_strong(&who->in, &nobody, me))
        fail(actor, "process %lu has the lock, too", nobody);
    usleep(pick(actor, 300));
    atomic_store(&who->in, 0);
    atomic_fetch_add(&who->out, 1);
}

/* A child that waits for the lock, or has it, and is killed. */
static void die_for_it(struct actor *actor, const char *path)
{
    int pid = fork_child(actor);

    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        lock_by(actor, fd, LOCK_EX);
        for (;;)
            pause();
    }
    usleep(pick(actor, 4000));
    kill_child(actor, pid, SIGKILL);
}

/* MOUNT-PATH NATIVE-PATH flock|fcntl ACCOUNT */
static void lock(struct actor *actor)
{
    struct account *who = account(actor, 3);

    while (working(actor)) {
        const char *path = actor->args[pick(actor, 2)];
        if (pick(actor, 32) == 0) {
            step(actor, "wait for a lock and die");
            die_for_it(actor, path);
            continue;
        }
        step(actor, "open of the locked");
        int fd = (int)must(actor, open(path, O_RDWR | O_CLOEXEC), "open of the locked");
        for (uint64_t i = 1 + pick(actor, 20); i > 0 && working(actor); i--) {
            step(actor, "lock");
            if (!take_lock(actor, fd, pick(actor, 4)))
                break;
            be_alone(actor, who);
            must(actor, lock_by(actor, fd, LOCK_UN), "unlock");
            usleep(pick(actor, 500));
        }
        close(fd);
    }
}

const struct role lock_roles[] = {
    {"lock", 4, false, lock},
    {0},
};
