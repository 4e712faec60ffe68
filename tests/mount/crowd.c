/* SPDX-License-Identifier: MIT */
/*
 * Very many blocked readers, each with a descriptor of its own, that know in which order they came.
 *
 *   crowd METRICS COUNT FILE...      METRICS: ctl/metrics, whose ipcfs_parked tells that one has been parked
 *
 * COUNT readers in all, spread over the files. Says "parked" when all wait. The n-th reader of a file must then get the
 * message "n" (from 0); it ends with status 0 when everybody has got his.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
};

static int metrics;

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
    for (int ms = 0; parked() < want; ms++) {
        if (ms > BOUND_MS)
            errx(1, "%ld parked, not %ld", parked(), want);
        usleep(ms ? 1000 : 20);
    }
}

static void *wait_for_message(void *data)
{
    struct reader *reader = data;
    ssize_t n = read(reader->fd, reader->got, sizeof(reader->got) - 1);

    if (n < 0)
        snprintf(reader->got, sizeof(reader->got), "error %d", errno);
    return NULL;
}

static void start(struct reader *reader, const char *path)
{
    pthread_attr_t attr;

    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        err(1, "open %s", path);
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
    if (!strcmp(want, reader->got))
        return 0;
    warnx("reader %s of %s got '%s'", want, path, reader->got);
    return 1;
}

int main(int argc, char **argv)
{
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
    for (long i = 0; i < count && wrong < 20; i++)
        wrong += check(&readers[i], argv[3 + i % files]);
    return wrong ? 1 : 0;
}
