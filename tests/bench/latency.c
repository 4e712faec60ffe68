/* SPDX-License-Identifier: MIT */
/*
 * latency: how long single requests take, one after another with a pause between them.
 *
 * usage: latency MILLISECONDS QUEUE FILE
 *
 * QUEUE is the file of an empty message queue: a message of 64 bytes is written and read again, on one open descriptor. FILE
 * is opened, read to its end and closed. Both in turn for so long. Prints a line for each turn: the microseconds of both.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_US = 200, MESSAGE = 64 };

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The end of a message is read like that of a file. */
static double send_and_receive(int queue)
{
    char text[MESSAGE] = {0};
    char room[4096];
    double start = now_us();
    if (write(queue, text, sizeof text) != sizeof text)
        fail("write");
    ssize_t count = read(queue, room, sizeof room);
    if (count <= 0)
        fail("read");
    return now_us() - start;
}

static double get(const char *path)
{
    char room[4096];
    ssize_t count = 1;
    double start = now_us();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        fail(path);
    while (count > 0)
        count = read(fd, room, sizeof room);
    if (count == -1)
        fail(path);
    close(fd);
    return now_us() - start;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: latency MILLISECONDS QUEUE FILE\n");
        return 2;
    }
    int queue = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (queue == -1)
        fail(argv[2]);
    double end = now_us() + 1e3 * strtod(argv[1], NULL);
    while (now_us() < end) {
        usleep(PAUSE_US);
        double message = send_and_receive(queue);
        usleep(PAUSE_US);
        printf("%.1f %.1f\n", message, get(argv[3]));
    }
    return 0;
}
