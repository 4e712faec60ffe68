/* SPDX-License-Identifier: MIT */
/*
 * Very many blocked readers, each with a descriptor of its own, that know in which order they came.
 *
 *   crowd METRICS COUNT FILE...      METRICS: ctl/metrics, whose ipcfs_parked tells that one has been parked
 *   crowd -s METRICS COUNT SEMAPHORE...
 *
 * COUNT readers in all, spread over the files. Says "parked" when all wait. The n-th reader of a file must then get the
 * message "n" (from 0); it ends with status 0 when everybody has got his.
 *
 * -s: of semaphores, which are directories; their `wait` is read. After a byte of input it writes to their `post`, one
 * after another: each must let the reader through whose turn it is, and nobody else.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 32 * 1024, BOUND_MS = 20000 };

struct reader {
    pthread_t thread;
    int fd;
    unsigned number; /* in its file */
    char got[32];
    atomic_bool done;
};

static int metrics;
static bool semaphores;
static atomic_long done_ones;

static long parked(void)
{
    static char text[1 << 17];
    static const char name[] = "\nipcfs_parked ";
    ssize_t n = pread(metrics, text, sizeof(text) - 1, 0);

    if (n < 0)
        err(1, "metrics");
    text[n] = '\0';
    char *line = strstr(text, name);
    if (!line)
        errx(1, "ctl/metrics has no ipcfs_parked");
    return strtol(line + strlen(name), NULL, 10);
}

static void wait_parked(long want)
{
    for (int ms = -40; parked() < want; ms++) {
        if (ms > BOUND_MS)
            errx(1, "%ld parked, not %ld", parked(), want);
        usleep(ms < 0 ? 25 : 1000);
    }
}

static void *wait_for_message(void *data)
{
    struct reader *reader = data;
    ssize_t n = read(reader->fd, reader->got, sizeof(reader->got) - 1);

    if (n < 0)
        snprintf(reader->got, sizeof(reader->got), "error %d", errno);
    atomic_store(&reader->done, true);
    atomic_fetch_add(&done_ones, 1);
    return NULL;
}

static int open_in(const char *path, const char *file, int flags)
{
    char full[600];

    snprintf(full, sizeof(full), "%s%s", path, semaphores ? file : "");
    int fd = open(full, flags | O_CLOEXEC);
    if (fd < 0)
        err(1, "open %s", full);
    return fd;
}

static void start(struct reader *reader, const char *path)
{
    pthread_attr_t attr;

    reader->fd = open_in(path, "/wait", O_RDONLY);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    errno = pthread_create(&reader->thread, &attr, wait_for_message, reader);
    if (errno)
        err(1, "thread %u", reader->number);
    pthread_attr_destroy(&attr);
}

static unsigned check(struct reader *reader, const char *path)
{
    char want[32];

    pthread_join(reader->thread, NULL);
    snprintf(want, sizeof(want), "%u", reader->number);
    if (semaphores)
        strcpy(want, "0\n"); /* what is left */
    if (!strcmp(want, reader->got))
        return 0;
    warnx("reader %s of %s got '%s'", want, path, reader->got);
    return 1;
}

/* The reader ends, and so many have ended then. */
static void wait_done(struct reader *reader, long count)
{
    for (int i = 0; !atomic_load(&reader->done) || atomic_load(&done_ones) < count; i++) {
        if (i > BOUND_MS * 10)
            errx(1, "reader %u does not end; %ld have, of %ld", reader->number, atomic_load(&done_ones),
                 count);
        usleep(i < 100 ? 10 : 100);
    }
    if (atomic_load(&done_ones) != count)
        errx(1, "%ld have ended after %ld posts", atomic_load(&done_ones), count);
}

static void post_in_turn(struct reader *readers, long count, char **paths, long files)
{
    char byte;

    if (read(STDIN_FILENO, &byte, 1) != 1)
        errx(1, "no input");
    for (long i = 0; i < count; i++) {
        int fd = open_in(paths[i % files], "/post", O_WRONLY);
        if (write(fd, "1\n", 2) != 2)
            err(1, "post %ld", i);
        close(fd);
        wait_done(&readers[i], i + 1);
    }
}

int main(int argc, char **argv)
{
    semaphores = argc > 1 && !strcmp(argv[1], "-s");
    argv += semaphores;
    argc -= semaphores;
    if (argc < 4)
        errx(2, "usage: see crowd.c");
    long count = strtol(argv[2], NULL, 10), files = argc - 3;
    struct reader *readers = calloc(count, sizeof(*readers));
    unsigned wrong = 0;

    metrics = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (metrics < 0 || !readers)
        err(1, "%s", argv[1]);
    long before = parked();
    for (long i = 0; i < count; i++) {
        readers[i].number = i / files;
        start(&readers[i], argv[3 + i % files]);
        if ((i + 1) % files == 0 || i + 1 == count)
            wait_parked(before + i + 1); /* one of each file at a time: they come in this order */
    }
    puts("parked");
    fflush(stdout);
    if (semaphores)
        post_in_turn(readers, count, argv + 3, files);
    for (long i = 0; i < count && wrong < 20; i++)
        wrong += check(&readers[i], argv[3 + i % files]);
    free(readers);
    return wrong ? 1 : 0;
}
