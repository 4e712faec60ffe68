/* SPDX-License-Identifier: MIT */
/*
 * One object, created, sized and mapped through the mount on one descriptor, and mapped natively by another process:
 * stores, atomics and futexes of both must meet.
 *
 *   mapped MOUNT-PATH NATIVE-PATH on|off     (off: without passthrough MAP_SHARED must be ENODEV)
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000, SIZE = 64 * 1024 };

struct shared {
    sem_t ping, pong; /* futexes: both sides must wait on the same page of the same inode */
    _Atomic unsigned long turn;
    char text[64];
};

static int create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        err(1, "create %s", path);
    if (ftruncate(fd, SIZE) < 0)
        err(1, "ftruncate %s", path);
    return fd;
}

static struct shared *map(int fd)
{
    struct shared *s = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (s == MAP_FAILED)
        err(1, "mmap");
    return s;
}

static void expect_no_mapping(int fd)
{
    void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED)
        errx(1, "MAP_SHARED works without passthrough: the mapping cannot be coherent");
    if (errno != ENODEV)
        err(1, "MAP_SHARED without passthrough: expected ENODEV, got");
}

static void wait_for(sem_t *sem)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    while (sem_timedwait(sem, &until) < 0)
        if (errno != EINTR)
            err(1, "waiting for the other side's futex wake");
}

static void spin_for(_Atomic unsigned long *word, unsigned long want)
{
    time_t end = time(NULL) + 10;

    while (atomic_load(word) != want)
        if (time(NULL) > end)
            errx(1, "the other side's store of %lu is not seen, only %lu", want, atomic_load(word));
}

/* The native side: even turns are its own. */
static int native_side(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        err(1, "open %s", path);
    struct shared *s = map(fd);
    for (int i = 0; i < ROUNDS; i++) {
        wait_for(&s->ping);
        atomic_fetch_add(&s->turn, 1);
        sem_post(&s->pong);
    }
    if (strcmp(s->text, "stored through the mount") != 0)
        errx(1, "native side reads '%s'", s->text);
    strcpy(s->text, "stored natively");
    spin_for(&s->turn, 2 * ROUNDS);
    atomic_store(&s->turn, 1);
    return 0;
}

static void mount_side(struct shared *s)
{
    strcpy(s->text, "stored through the mount");
    for (int i = 0; i < ROUNDS; i++) {
        sem_post(&s->ping);
        wait_for(&s->pong);
        atomic_fetch_add(&s->turn, 1);
    }
    spin_for(&s->turn, 1);
    if (strcmp(s->text, "stored natively") != 0)
        errx(1, "the side of the mount reads '%s'", s->text);
}

static void check_native_sees(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        err(1, "stat %s", path);
    if (st.st_size != SIZE || (st.st_mode & 07777) != 0600)
        errx(1, "%s has size %lld, mode %o", path, (long long)st.st_size, st.st_mode);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        errx(2, "usage: mapped MOUNT-PATH NATIVE-PATH on|off");
    int fd = create(argv[1]);
    check_native_sees(argv[2]);
    if (!strcmp(argv[3], "off")) {
        expect_no_mapping(fd);
        return 0;
    }
    struct shared *s = map(fd);
    if (sem_init(&s->ping, 1, 0) < 0 || sem_init(&s->pong, 1, 0) < 0)
        err(1, "sem_init");
    close(fd); /* a mapping lives without its descriptor */
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0)
        return native_side(argv[2]);
    mount_side(s);
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        errx(1, "the native side failed: %#x", status);
    return 0;
}
