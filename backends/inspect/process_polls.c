/* SPDX-License-Identifier: MIT */
/* For which descriptors a thread waits in poll(2), select(2) or epoll_wait(2): lists in its memory, and of the last one
 * /proc/PID/fdinfo (proc_pid_fdinfo(5)), which the kernel writes under a lock that a thread has while it gets its events. */
#include "process_reader.h"

#include "process_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READS = POLLIN | POLLPRI | POLLRDNORM | POLLRDHUP, WRITES = POLLOUT | POLLWRNORM, LINE_ROOM = 256 };

static size_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static size_t left(const struct process_reader *reader)
{
    return PROCESS_POLLED_MAX - reader->polled.count;
}

static int add(struct process_reader *reader, const struct process_polled *polled)
{
    struct process_polled *row = rows_add(&reader->polled);
    if (!row)
        return -errno;
    *row = *polled;
    return 0;
}

/* ---- poll ---- */

static int read_pollfds(struct process_reader *reader, const struct process_memory *memory,
                        const uint64_t *arguments)
{
    struct pollfd *all = reader->lists;
    size_t count = min(arguments[1], left(reader));
    int error = 0;
    if (!process_memory_read(memory, arguments[0], all, count * sizeof *all))
        return 0;
    for (size_t i = 0; !error && i < count; i++) {
        const struct process_polled polled = {
            .fd = all[i].fd, .reads = all[i].events & READS, .writes = all[i].events & WRITES};
        if (all[i].fd >= 0)
            error = add(reader, &polled);
    }
    return error;
}

/* ---- select ---- */

static bool read_set(const struct process_memory *memory, uint64_t address, size_t bits, fd_set *out)
{
    const size_t word = sizeof(long);
    FD_ZERO(out);
    return !address || process_memory_read(memory, address, out, (bits + 8 * word - 1) / (8 * word) * word);
}

static int read_sets(struct process_reader *reader, const struct process_memory *memory,
                     const uint64_t *arguments)
{
    fd_set sets[3];
    size_t bits = min(arguments[0], min(FD_SETSIZE, left(reader)));
    int error = 0;
    for (size_t i = 0; i < 3; i++)
        if (!read_set(memory, arguments[1 + i], bits, &sets[i]))
            return 0;
    for (int fd = 0; !error && fd < (int)bits; fd++) {
        const struct process_polled polled = {
            .fd = fd,
            .reads = FD_ISSET(fd, &sets[0]) || FD_ISSET(fd, &sets[2]),
            .writes = FD_ISSET(fd, &sets[1]),
        };
        if (polled.reads || polled.writes)
            error = add(reader, &polled);
    }
    return error;
}

/* ---- epoll ---- */

/* The number behind a label of the line. */
static bool parse_number(const char *line, const char *label, int base, uint64_t *out)
{
    const char *digits = strstr(line, label);
    char *end = NULL;
    digits = digits ? digits + strlen(label) : "";
    *out = strtoull(digits, &end, base);
    return end != digits;
}

/* "tfd:        5 events:       19 data:  … pos:0 ino:61 sdev:d" (ep_show_fdinfo(), Linux fs/eventpoll.c). */
static bool parse_watched(const char *line, struct process_polled *out)
{
    uint64_t fd = 0;
    uint64_t events = 0;
    if (!parse_number(line, "tfd:", 10, &fd) || !parse_number(line, "events:", 16, &events) ||
        !parse_number(line, " ino:", 16, &out->ino))
        return false;
    out->fd = (int)fd;
    out->reads = events & READS;
    out->writes = events & WRITES;
    return true;
}

static int read_watched(struct process_reader *reader, int directory, const char *prefix, int epoll)
{
    char path[64];
    char line[LINE_ROOM];
    (void)snprintf(path, sizeof path, "%sfdinfo/%d", prefix, epoll);
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    int error = 0;
    if (fd >= 0 && !file)
        (void)close(fd);
    while (file && !error && left(reader) && fgets(line, sizeof line, file)) {
        struct process_polled polled = {0};
        if (parse_watched(line, &polled))
            error = add(reader, &polled);
    }
    if (file)
        (void)fclose(file);
    return error;
}

/* ---- all ---- */

/* The list that is in memory. */
typedef int list_reader(struct process_reader *reader, const struct process_memory *memory,
                        const uint64_t *arguments);

static int read_list(struct process_reader *reader, int directory, const char *prefix,
                     const struct process_call *call, list_reader *read)
{
    struct process_memory memory;
    if (!left(reader) || process_memory_open(directory, prefix, &memory))
        return 0;
    int error = read(reader, &memory, call->arguments);
    process_memory_close(&memory);
    return error;
}

static int read_any(struct process_reader *reader, int directory, const char *prefix,
                    const struct process_call *call)
{
    switch (call->number) {
#ifdef SYS_poll
    case SYS_poll:
    case SYS_select:
        return read_list(reader, directory, prefix, call,
                         call->number == SYS_poll ? read_pollfds : read_sets);
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        return read_watched(reader, directory, prefix, (int)call->arguments[0]);
    case SYS_ppoll:
        return read_list(reader, directory, prefix, call, read_pollfds);
    case SYS_pselect6:
        return read_list(reader, directory, prefix, call, read_sets);
    default:
        return 0;
    }
}

int read_polled(struct process_reader *reader, int directory, const char *prefix, struct process_call *call)
{
    call->polled_first = reader->polled.count;
    int error = read_any(reader, directory, prefix, call);
    call->polled_count = reader->polled.count - call->polled_first;
    return error;
}
