/* SPDX-License-Identifier: MIT */
/*
 * A native user of System V shared memory, for the tests: only shm*, and for `meet` one descriptor of the mount.
 *
 *   segment KEY|id:ID COMMAND [ARGUMENT]...
 *
 *   create SIZE MODE         the segment, which must not be there; prints its id
 *   print OFFSET LENGTH      so many bytes, from an attachment for reading only
 *   store OFFSET TEXT
 *   attached                 attaches, prints "attached", and then answers lines of its input: "print OFFSET LENGTH" with
 *                            a line of the bytes, "store OFFSET TEXT" with "stored". The end of the input detaches
 *   meet MOUNT-PATH on|off   a process attached natively and one that maps MOUNT-PATH meet by atomics and futexes (off:
 *                            without passthrough that mapping must be ENODEV)
 *   remove
 *
 * Nothing takes longer than SEGMENT_SECONDS of the environment (60), then SIGALRM ends the program.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000, PATIENCE = 10 };

struct shared {
    sem_t ping, pong; /* futexes: both sides must wait on the same page of the same inode */
    _Atomic unsigned long turn;
    char text[64];
};

static const char *name;

static int find(void)
{
    if (!strncmp(name, "id:", 3))
        return (int)strtoul(name + 3, NULL, 10);
    int id = shmget((key_t)strtoul(name, NULL, 0), 0, 0);
    if (id < 0)
        err(1, "shmget %s", name);
    return id;
}

static char *attach(int flags)
{
    char *segment = shmat(find(), NULL, flags);

    if (segment == (void *)-1)
        err(1, "shmat %s", name);
    return segment;
}

static void create(const char *size, const char *mode)
{
    int flags = IPC_CREAT | IPC_EXCL | (int)strtoul(mode, NULL, 8);
    int id = shmget((key_t)strtoul(name, NULL, 0), strtoul(size, NULL, 0), flags);

    if (id < 0)
        err(1, "shmget %s", name);
    printf("%d\n", id);
}

static void print(const char *segment, size_t offset, size_t length)
{
    if (fwrite(segment + offset, 1, length, stdout) != length)
        err(1, "printing");
}

/* ---- attached ---- */

static void obey(char *segment, const char *line)
{
    size_t offset = 0, length = 0;
    int text = 0;

    // NOLINTBEGIN(cert-err34-c): the numbers are the test's own
    if (sscanf(line, "print %zu %zu", &offset, &length) == 2) {
        print(segment, offset, length);
        putchar('\n');
    } else if (sscanf(line, "store %zu %n", &offset, &text) == 1 && text) {
        memcpy(segment + offset, line + text, strlen(line + text));
        puts("stored");
        // NOLINTEND(cert-err34-c)
    } else {
        errx(2, "what is '%s'?", line);
    }
    fflush(stdout);
}

static void stay_attached(void)
{
    char line[4096];
    char *segment = attach(0);

    puts("attached");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(segment, line);
    }
    if (shmdt(segment) < 0)
        err(1, "shmdt");
}

/* ---- meet ---- */

static void wait_for(sem_t *sem)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while (sem_timedwait(sem, &until) < 0)
        if (errno != EINTR)
            err(1, "waiting for the other side's futex wake");
}

static void spin_for(_Atomic unsigned long *word, unsigned long want)
{
    time_t end = time(NULL) + PATIENCE;

    while (atomic_load(word) != want)
        if (time(NULL) > end)
            errx(1, "the other side's store of %lu is not seen, only %lu", want, atomic_load(word));
}

static void expect_text(const struct shared *s, const char *want)
{
    if (strcmp(s->text, want) != 0)
        errx(1, "got the text '%s', expected '%s'", s->text, want);
}

static int native_side(void)
{
    struct shared *s = (struct shared *)attach(0);

    for (int i = 0; i < ROUNDS; i++) {
        wait_for(&s->ping);
        atomic_fetch_add(&s->turn, 1);
        sem_post(&s->pong);
    }
    expect_text(s, "stored through the mount");
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
    expect_text(s, "stored natively");
}

/* NULL where, as it must be, there is no such mapping. */
static struct shared *map(const char *path, const char *passthrough)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        err(1, "open %s", path);
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!strcmp(passthrough, "off")) {
        if (p != MAP_FAILED)
            errx(1, "MAP_SHARED works without passthrough: the mapping cannot be coherent");
        if (errno != ENODEV)
            err(1, "MAP_SHARED without passthrough: expected ENODEV, got");
        return NULL;
    }
    if (p == MAP_FAILED)
        err(1, "mmap %s", path);
    close(fd); /* a mapping lives without its descriptor */
    return p;
}

static void meet(const char *path, const char *passthrough)
{
    int status;
    struct shared *s = map(path, passthrough);

    if (!s)
        return;
    if (sem_init(&s->ping, 1, 0) < 0 || sem_init(&s->pong, 1, 0) < 0)
        err(1, "sem_init");
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0)
        _exit(native_side());
    mount_side(s);
    if (waitpid(child, &status, 0) != child || status != 0)
        errx(1, "the native side failed: %#x", status);
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("SEGMENT_SECONDS");

    if (argc < 3)
        errx(2, "usage: see segment.c");
    alarm(seconds ? strtoul(seconds, NULL, 10) : 60);
    name = argv[1];
    const char *command = argv[2];
    if (!strcmp(command, "create") && argc == 5)
        create(argv[3], argv[4]);
    else if (!strcmp(command, "print") && argc == 5)
        print(attach(SHM_RDONLY), strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0));
    else if (!strcmp(command, "store") && argc == 5)
        memcpy(attach(0) + strtoul(argv[3], NULL, 0), argv[4], strlen(argv[4]));
    else if (!strcmp(command, "attached") && argc == 3)
        stay_attached();
    else if (!strcmp(command, "meet") && argc == 5)
        meet(argv[3], argv[4]);
    else if (strcmp(command, "remove") != 0)
        errx(2, "usage: see segment.c");
    else if (shmctl(find(), IPC_RMID, NULL) < 0)
        err(1, "remove %s", name);
    return fflush(stdout) ? 1 : 0;
}
