/* SPDX-License-Identifier: MIT */
/*
 * One who sends or receives through the mount beside native programs that do the same. The other end is slow, so that they
 * all wait nearly always: the kernel serves those in its own line first, and who only polls would be left out.
 *
 *   rivals MNT send|receive
 *
 * TIMES turns of the one must come before the rivals together have had PASSED_MAX for each of his. Native programs would
 * have RIVALS.
 */
#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RIVALS = 8, TIMES = 50, PASSED_MAX = 400, PAUSE_US = 500, BOUND_S = 50, MESSAGE = 16 };

static const char name[] = "/rivals";
static bool sending;
static mqd_t queue;
static struct counts {
    atomic_long native;
    atomic_long mount;
} * counts;
static pid_t children[RIVALS + 2];
static unsigned count;

static void native(bool send)
{
    char message[MESSAGE] = "x";
    ssize_t done =
        send ? mq_send(queue, message, sizeof message, 0) : mq_receive(queue, message, sizeof message, NULL);
    if (done < 0)
        err(1, "%s", send ? "mq_send" : "mq_receive");
}

static void be_rival(const char *mount)
{
    (void)mount;
    for (;;) {
        native(sending);
        atomic_fetch_add(&counts->native, 1);
    }
}

static void be_other_end(const char *mount)
{
    (void)mount;
    for (;;) {
        (void)usleep(PAUSE_US);
        native(!sending);
    }
}

static void be_through_mount(const char *mount)
{
    char path[256];
    char message[MESSAGE] = "x";
    (void)snprintf(path, sizeof path, "%s/mq%s", mount, name);
    int fd = open(path, sending ? O_WRONLY : O_RDONLY);
    if (fd < 0)
        err(1, "%s", path);
    for (unsigned i = 0; i < TIMES; i++) {
        ssize_t done = sending ? write(fd, message, sizeof message) : read(fd, message, sizeof message);
        if (!sending && done == 0) /* the end that follows each message */
            done = read(fd, message, sizeof message);
        if (done != sizeof message)
            err(1, "%s: %zd", path, done);
        atomic_fetch_add(&counts->mount, 1);
    }
    _exit(0);
}

static pid_t start(void (*be)(const char *), const char *mount)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid > 0)
        return children[count++] = pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        be(mount);
    _exit(1);
}

/* Whether it had its turns before the rivals had too many. */
static bool await(pid_t pid)
{
    int status = 0;
    for (unsigned i = 0; i < BOUND_S * 100 && waitpid(pid, &status, WNOHANG) == 0; i++) {
        if (atomic_load(&counts->native) > (long)TIMES * PASSED_MAX)
            break;
        (void)usleep(10000);
    }
    return atomic_load(&counts->mount) == TIMES;
}

int main(int argc, char **argv)
{
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = MESSAGE};
    if (argc != 3)
        errx(2, "usage: rivals MNT send|receive");
    sending = !strcmp(argv[2], "send");
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (queue < 0 || counts == MAP_FAILED)
        err(1, "%s", name);
    for (unsigned i = 0; i < RIVALS; i++)
        (void)start(be_rival, argv[1]);
    (void)start(be_other_end, argv[1]);
    bool had = await(start(be_through_mount, argv[1]));
    (void)printf("%s: %ld through the mount, %ld natively\n", argv[2], atomic_load(&counts->mount),
                 atomic_load(&counts->native));
    for (unsigned i = 0; i < count; i++)
        (void)kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    (void)mq_unlink(name);
    return had ? 0 : 1;
}
