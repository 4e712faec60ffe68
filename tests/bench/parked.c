/* SPDX-License-Identifier: MIT */
/*
 * parked: many that wait at once.
 *
 * usage: parked COUNT read FILE QUEUE
 *        parked COUNT accept FILE SOCKET
 *
 * Reads the empty queue FILE, opened as many times, or opens FILE, in COUNT threads. When all are about to, it says
 * "waiting" on stdout, and waits for a line on stdin. Then it sends as many messages to QUEUE, or connects as often to
 * SOCKET, natively, waits for all threads, and prints how many microseconds that took. Those that get an error are counted
 * on stderr.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 64 * 1024, SIZE = 64 };

static const char *path;
static bool accepts;
static atomic_uint waiting;
static atomic_uint failed;

/* ---- names ---- */

/*
 * Each lookup of such a name is answered with a new node, so all who look it up at once undo each other's dentry and look
 * again: as many lookups as the square of their number, which is not what is measured here. So another process, for the
 * limit of descriptors, looks it up so often, and what is opened is what it has found.
 */
static pid_t finder;

static _Noreturn void find_names(int told, unsigned count)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < count; i++) {
        int fd = open(path, O_PATH | O_CLOEXEC);
        if (write(told, &fd, sizeof fd) != sizeof fd || fd == -1)
            _exit(1);
    }
    for (;;)
        pause();
}

static int start_finder(unsigned count)
{
    int told[2];
    if (pipe2(told, O_CLOEXEC) == -1)
        return -1;
    finder = fork();
    if (finder == 0)
        find_names(told[1], count);
    close(told[1]);
    if (finder == -1)
        close(told[0]);
    return finder == -1 ? -1 : told[0];
}

static void end_finder(void)
{
    if (finder <= 0)
        return;
    kill(finder, SIGKILL);
    waitpid(finder, NULL, 0);
}

static int open_found(int found)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/fd/%d", finder, found);
    return open(name, O_RDWR | O_CLOEXEC);
}

/* ---- those that wait ---- */

static bool read_message(int fd)
{
    char text[SIZE];
    return read(fd, text, sizeof text) == SIZE;
}

/* The argument is the descriptor to read or, where what waits is the open, what was found. */
static void *wait_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    atomic_fetch_add(&waiting, 1);
    if (accepts)
        fd = open_found(fd);
    if (fd == -1 || (!accepts && !read_message(fd)))
        atomic_fetch_add(&failed, 1);
    if (fd != -1)
        close(fd);
    return NULL;
}

/* `found_fd` tells what was found; −1 where there is no finder. */
static bool start_one(pthread_t *thread, const pthread_attr_t *attributes, int found_fd)
{
    int fd = -1;
    if (!accepts)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    else if (read(found_fd, &fd, sizeof fd) != sizeof fd)
        return false;
    if (fd == -1)
        return false;
    if (pthread_create(thread, attributes, wait_one, (void *)(intptr_t)fd) == 0)
        return true;
    if (!accepts)
        close(fd);
    return false;
}

static unsigned start(pthread_t *threads, unsigned count)
{
    pthread_attr_t attributes;
    unsigned started = 0;
    int found_fd = accepts ? start_finder(count) : -1;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    while (started < count && start_one(&threads[started], &attributes, found_fd))
        started++;
    pthread_attr_destroy(&attributes);
    if (found_fd != -1)
        close(found_fd);
    return started;
}

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* ---- what they wait for ---- */

static struct endpoint queue;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* The queue is there only by this: it is made. */
static int find_source(const char *text)
{
    if (!accepts)
        return endpoint_parse(&queue, text) == -1 ? -1 : endpoint_open(&queue, O_RDWR);
    if (strlen(text) < sizeof address.sun_path) {
        memcpy(address.sun_path, text, strlen(text));
        return 0;
    }
    errno = ENAMETOOLONG;
    return -1;
}

static int connect_once(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    close(fd);
    return rc;
}

static int send_once(void)
{
    static struct envelope envelope = {.type = 1};
    memset(envelope.text, 'x', SIZE);
    return endpoint_send(&queue, &envelope, SIZE);
}

/* ---- start and end ---- */

static int wake(pthread_t *threads, unsigned count)
{
    double begin = now_us();
    for (unsigned i = 0; i < count; i++)
        if ((accepts ? connect_once() : send_once()) == -1)
            return -1;
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%.0f\n", now_us() - begin);
    return 0;
}

static int run(unsigned count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    pthread_t *threads = calloc(count, sizeof *threads);
    if (!threads)
        return -1;
    unsigned started = start(threads, count);
    if (started < count)
        fprintf(stderr, "parked: only %u: %s\n", started, strerror(errno));
    while (atomic_load(&waiting) < started)
        nanosleep(&pause, NULL);
    printf("waiting\n");
    fflush(stdout);
    while (getchar() != '\n' && !feof(stdin))
        ;
    int rc = wake(threads, started);
    free(threads);
    if (atomic_load(&failed))
        fprintf(stderr, "parked: %u failed\n", atomic_load(&failed));
    return rc == 0 && started == count && !atomic_load(&failed) ? 0 : -1;
}

int main(int argc, char **argv)
{
    accepts = argc == 5 && strcmp(argv[2], "accept") == 0;
    if (argc != 5 || (!accepts && strcmp(argv[2], "read") != 0)) {
        fprintf(stderr, "usage: parked COUNT read FILE QUEUE\n"
                        "       parked COUNT accept FILE SOCKET\n");
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[1], NULL, 10);
    path = argv[3];
    struct rlimit limit = {count + 64, count + 64};
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < limit.rlim_cur)
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (find_source(argv[4]) == -1) {
        fprintf(stderr, "parked: %s: %s\n", argv[4], strerror(errno));
        return 1;
    }
    int rc = run(count);
    end_finder();
    if (!accepts)
        endpoint_free(&queue);
    return rc == 0 ? 0 : 1;
}
