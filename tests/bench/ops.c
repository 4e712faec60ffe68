/* SPDX-License-Identifier: MIT */
/* The operations bench can time. Each does the same system calls whatever file system the path leads to. */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* xorshift64: cheap enough to stand inside a loop that is timed, the same sequence for every competitor. */
uint64_t rng_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

int way_failed(struct way *way, const char *what)
{
    snprintf(way->why, sizeof way->why, "%s: %s", what, strerror(errno));
    return -1;
}

int way_wrong(struct way *way, const char *what)
{
    snprintf(way->why, sizeof way->why, "%s", what);
    return -1;
}

/* ---- read and write ------------------------------------------------------------------------------------------ */

int io_open(struct way *way, int flags)
{
    struct stat st;
    way->fd = open(way->path, flags | O_CLOEXEC);
    if (way->fd == -1)
        return way_failed(way, "open");
    if (fstat(way->fd, &st) == -1)
        return way_failed(way, "fstat");
    /* The floor's file has no size that matters: every offset is as good as another. */
    size_t most = (size_t)4 << 20;
    way->span = (size_t)st.st_size < most ? (size_t)st.st_size : most;
    if (way->span < way->size)
        way->span = way->size;
    return io_buffer(way);
}

int io_buffer(struct way *way)
{
    way->buf = aligned_alloc(4096, (way->size + 4095) / 4096 * 4096);
    if (!way->buf)
        return way_failed(way, "memory");
    memset(way->buf, 'x', way->size);
    return 0;
}

static int prepare_io(struct way *way)
{
    return io_open(way, O_RDWR);
}

off_t next_offset(struct way *way)
{
    size_t at = way->at;
    way->at = at + 2 * way->size <= way->span ? at + way->size : 0;
    return (off_t)at;
}

int run_pread(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        ssize_t got = pread(way->fd, way->buf, way->size, next_offset(way));
        if (got == -1)
            return way_failed(way, "pread");
        if ((size_t)got != way->size)
            return way_wrong(way, "pread: short");
    }
    return 0;
}

int run_pwrite(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        ssize_t put = pwrite(way->fd, way->buf, way->size, next_offset(way));
        if (put == -1)
            return way_failed(way, "pwrite");
        if ((size_t)put != way->size)
            return way_wrong(way, "pwrite: short");
    }
    return 0;
}

/* ---- a mapping ----------------------------------------------------------------------------------------------- */

void *map_place;

int prepare_map(struct way *way)
{
    struct stat st;
    way->fd = open(way->path, O_RDWR | O_CLOEXEC);
    if (way->fd == -1)
        return way_failed(way, "open");
    if (fstat(way->fd, &st) == -1)
        return way_failed(way, "fstat");
    way->span = 4096; /* the largest power of two that fits: an index is then one mask */
    while (way->span < MAP_MOST && way->span * 2 <= (size_t)st.st_size)
        way->span *= 2;
    if ((size_t)st.st_size < way->span || (size_t)st.st_size < way->size)
        return way_wrong(way, "the object is too small");
    return 0;
}

void map_use(struct way *way, void *map)
{
    map_place = map;
    way->map = map;
    for (size_t at = 0; at < way->span; at += 4096)
        ((volatile char *)map)[at] = 'x';
}

/* Mapped anew for every batch, and every page there: what is timed is the access, not the fault, and which pages
   the page tables happen to lie in changes from round to round. */
int begin_map(struct way *way)
{
    void *map = mmap(map_place, way->span, PROT_READ | PROT_WRITE, MAP_SHARED, way->fd, 0);
    if (map == MAP_FAILED)
        return way_failed(way, "mmap");
    map_use(way, map);
    return 0;
}

void end_map(struct way *way)
{
    munmap(way->map, way->span);
    way->map = NULL;
}

static volatile uint64_t *word(struct way *way, uint64_t i)
{
    return (volatile uint64_t *)(void *)(way->map + (i * sizeof(uint64_t) & (way->span - 1)));
}

int run_load_random(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        (void)*word(way, rng_next(&way->rng));
    return 0;
}

int run_store_random(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        *word(way, rng_next(&way->rng)) = i;
    return 0;
}

int run_load_seq(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        (void)*word(way, way->at++);
    return 0;
}

int run_store_seq(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        *word(way, way->at++) = i;
    return 0;
}

/* One operation: map size bytes, touch each page, unmap. What page faults cost. */
static int run_fault(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        char *map = mmap(NULL, way->size, PROT_READ | PROT_WRITE, MAP_SHARED, way->fd, 0);
        if (map == MAP_FAILED)
            return way_failed(way, "mmap");
        for (size_t at = 0; at < way->size; at += 4096)
            ((volatile char *)map)[at] = 'x';
        munmap(map, way->size);
    }
    return 0;
}

/* ---- by path ------------------------------------------------------------------------------------------------- */

static int run_open(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        int fd = open(way->path, O_RDWR | O_CLOEXEC);
        if (fd == -1)
            return way_failed(way, "open");
        close(fd);
    }
    return 0;
}

static int run_stat(struct way *way, uint64_t n)
{
    struct stat st;
    for (uint64_t i = 0; i < n; i++)
        if (stat(way->path, &st) == -1)
            return way_failed(way, "stat");
    return 0;
}

static int run_get(struct way *way, uint64_t n)
{
    char text[16384];
    for (uint64_t i = 0; i < n; i++) {
        int fd = open(way->path, O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return way_failed(way, "open");
        ssize_t got = read(fd, text, sizeof text);
        int err = errno;
        close(fd);
        errno = err;
        if (got == -1)
            return way_failed(way, "read");
        if (got == 0)
            return way_wrong(way, "read: empty");
    }
    return 0;
}

/* ---- whole files ---------------------------------------------------------------------------------------------- */

int read_to_end(struct way *way, const char *path)
{
    static char text[1 << 17];
    ssize_t count = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return way_failed(way, "open");
    while (count > 0)
        count = read(fd, text, sizeof text);
    int err = errno;
    close(fd);
    errno = err;
    return count == -1 ? way_failed(way, "read") : 0;
}

/* ---- ls ------------------------------------------------------------------------------------------------------ */

int run_program(struct way *way, char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (errno != 0)
        return way_failed(way, argv[0]);
    while (waitpid(pid, &status, 0) == -1)
        if (errno != EINTR)
            return way_failed(way, "waitpid");
    return status == 0 ? 0 : way_wrong(way, "the program failed");
}

static int run_ls(struct way *way, uint64_t n)
{
    (void)n;
    char *argv[] = {(char[]){"ls"}, (char *)(uintptr_t)way->path, NULL};
    return run_program(way, argv);
}

static int run_ls_long(struct way *way, uint64_t n)
{
    (void)n;
    char *argv[] = {(char[]){"ls"}, (char[]){"-l"}, (char *)(uintptr_t)way->path, NULL};
    return run_program(way, argv);
}

const struct op file_ops[] = {
    {.name = "pread",
     .help = "read SIZE bytes at an offset",
     .takes_size = 1,
     .prepare = prepare_io,
     .run = run_pread},
    {.name = "pwrite",
     .help = "write SIZE bytes at an offset",
     .takes_size = 1,
     .prepare = prepare_io,
     .run = run_pwrite},
    {.name = "load-random",
     .help = "load 8 bytes anywhere in a mapping",
     .prepare = prepare_map,
     .begin = begin_map,
     .run = run_load_random,
     .end = end_map},
    {.name = "store-random",
     .help = "store 8 bytes anywhere in a mapping",
     .prepare = prepare_map,
     .begin = begin_map,
     .run = run_store_random,
     .end = end_map},
    {.name = "load-seq",
     .help = "load 8 bytes after 8 bytes",
     .prepare = prepare_map,
     .begin = begin_map,
     .run = run_load_seq,
     .end = end_map},
    {.name = "store-seq",
     .help = "store 8 bytes after 8 bytes",
     .prepare = prepare_map,
     .begin = begin_map,
     .run = run_store_seq,
     .end = end_map},
    {.name = "fault",
     .help = "map SIZE bytes, touch each page, unmap",
     .takes_size = 1,
     .prepare = prepare_map,
     .run = run_fault},
    {.name = "open", .help = "open and close", .run = run_open},
    {.name = "stat", .help = "stat", .run = run_stat},
    {.name = "get", .help = "open, read, close", .run = run_get},
    {.name = "ls", .help = "ls of a directory", .once = 1, .run = run_ls},
    {.name = "ls-l", .help = "ls -l of a directory", .once = 1, .run = run_ls_long},
    {0},
};

const struct op *const all_ops[] = {file_ops,    message_ops, sem_ops,     sysv_ops,
                                    channel_ops, list_ops,    program_ops, NULL};

const struct op *op_find(const char *name)
{
    for (size_t i = 0; all_ops[i]; i++)
        for (const struct op *op = all_ops[i]; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

int way_open(struct way *way, const struct op *op)
{
    way->fd = -1;
    way->rng = 88172645463325252U;
    return op->prepare ? op->prepare(way) : 0;
}

void way_close(struct way *way, const struct op *op)
{
    if (op->finish)
        op->finish(way);
    if (way->fd != -1)
        close(way->fd);
    free(way->buf);
    way->buf = NULL;
    way->fd = -1;
}
