/* SPDX-License-Identifier: MIT */
/*
 * parked: many readers of an empty queue at once.
 *
 * usage: parked COUNT FILE QUEUE
 *
 * Opens FILE COUNT times, one after another, and reads each in a thread of its own. When all are about to, it says
 * "reading" on stdout, and waits for a line on stdin. Then it sends as many messages to QUEUE, natively, waits for all readers, and prints how
 * many microseconds that took. Readers that get an error are counted on stderr.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 64 * 1024, SIZE = 64 };

static const char *path;
static atomic_uint reading;
static atomic_uint failed;

static void *read_one(void *arg)
{
    char text[SIZE];
    int fd = (int)(intptr_t)arg;
    atomic_fetch_add(&reading, 1);
    if (read(fd, text, sizeof text) != SIZE)
        atomic_fetch_add(&failed, 1);
    close(fd);
    return NULL;
}

static bool start_one(pthread_t *thread, const pthread_attr_t *attributes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    if (pthread_create(thread, attributes, read_one, (void *)(intptr_t)fd) == 0)
        return true;
    close(fd);
    return false;
}

static unsigned start(pthread_t *threads, unsigned count)
{
    pthread_attr_t attributes;
    unsigned started = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    while (started < count && start_one(&threads[started], &attributes))
        started++;
    pthread_attr_destroy(&attributes);
    return started;
}

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int wake(struct endpoint *queue, pthread_t *threads, unsigned count)
{
    static struct envelope envelope = {.type = 1};
    memset(envelope.text, 'x', SIZE);
    double begin = now_us();
    for (unsigned i = 0; i < count; i++)
        if (endpoint_send(queue, &envelope, SIZE) == -1)
            return -1;
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%.0f\n", now_us() - begin);
    return 0;
}

static int run(struct endpoint *queue, unsigned count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    pthread_t *threads = calloc(count, sizeof *threads);
    if (!threads)
        return -1;
    unsigned started = start(threads, count);
    if (started < count)
        fprintf(stderr, "parked: only %u readers: %s\n", started, strerror(errno));
    while (atomic_load(&reading) < started)
        nanosleep(&pause, NULL);
    printf("reading\n");
    fflush(stdout);
    while (getchar() != '\n' && !feof(stdin))
        ;
    int rc = wake(queue, threads, started);
    free(threads);
    if (atomic_load(&failed))
        fprintf(stderr, "parked: %u readers failed\n", atomic_load(&failed));
    return rc == 0 && started == count && !atomic_load(&failed) ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: parked COUNT FILE QUEUE\n");
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[1], NULL, 10);
    path = argv[2];
    struct rlimit limit = {count + 64, count + 64};
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < limit.rlim_cur)
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    struct endpoint queue;
    if (endpoint_parse(&queue, argv[3]) == -1 || endpoint_open(&queue, O_RDWR) == -1) {
        fprintf(stderr, "parked: %s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    int rc = run(&queue, count);
    endpoint_free(&queue);
    return rc == 0 ? 0 : 1;
}
