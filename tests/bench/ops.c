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

static int failed(struct way *way, const char *what)
{
    snprintf(way->why, sizeof way->why, "%s: %s", what, strerror(errno));
    return -1;
}

static int wrong(struct way *way, const char *what)
{
    snprintf(way->why, sizeof way->why, "%s", what);
    return -1;
}

/* ---- read and write ------------------------------------------------------------------------------------------ */

static int prepare_io(struct way *way)
{
    struct stat st;
    way->fd = open(way->path, O_RDWR | O_CLOEXEC);
    if (way->fd == -1)
        return failed(way, "open");
    if (fstat(way->fd, &st) == -1)
        return failed(way, "fstat");
    /* The floor's file has no size that matters: every offset is as good as another. */
    size_t most = (size_t)4 << 20;
    way->span = (size_t)st.st_size < most ? (size_t)st.st_size : most;
    if (way->span < way->size)
        way->span = way->size;
    way->buf = aligned_alloc(4096, (way->size + 4095) / 4096 * 4096);
    if (!way->buf)
        return failed(way, "memory");
    memset(way->buf, 'x', way->size);
    return 0;
}

static off_t next_offset(struct way *way)
{
    size_t at = way->at;
    way->at = at + 2 * way->size <= way->span ? at + way->size : 0;
    return (off_t)at;
}

static int run_pread(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        ssize_t got = pread(way->fd, way->buf, way->size, next_offset(way));
        if (got == -1)
            return failed(way, "pread");
        if ((size_t)got != way->size)
            return wrong(way, "pread: short");
    }
    return 0;
}

static int run_pwrite(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        ssize_t put = pwrite(way->fd, way->buf, way->size, next_offset(way));
        if (put == -1)
            return failed(way, "pwrite");
        if ((size_t)put != way->size)
            return wrong(way, "pwrite: short");
    }
    return 0;
}

/* ---- a mapping ----------------------------------------------------------------------------------------------- */

#define MAP_MOST ((size_t)16 << 20)

/* Where the first mapping went: all others go there too, so that no competitor has the luckier address. */
static void *map_place;

static int prepare_map(struct way *way)
{
    struct stat st;
    way->fd = open(way->path, O_RDWR | O_CLOEXEC);
    if (way->fd == -1)
        return failed(way, "open");
    if (fstat(way->fd, &st) == -1)
        return failed(way, "fstat");
    way->span = 4096; /* the largest power of two that fits: an index is then one mask */
    while (way->span < MAP_MOST && way->span * 2 <= (size_t)st.st_size)
        way->span *= 2;
    if ((size_t)st.st_size < way->span || (size_t)st.st_size < way->size)
        return wrong(way, "the object is too small");
    return 0;
}

/* Mapped anew for every batch, and every page there: what is timed is the access, not the fault, and which pages
   the page tables happen to lie in changes from round to round. */
static int begin_map(struct way *way)
{
    void *map = mmap(map_place, way->span, PROT_READ | PROT_WRITE, MAP_SHARED, way->fd, 0);
    if (map == MAP_FAILED)
        return failed(way, "mmap");
    map_place = map;
    way->map = map;
    for (size_t at = 0; at < way->span; at += 4096)
        ((volatile char *)map)[at] = 'x';
    return 0;
}

static void end_map(struct way *way)
{
    munmap(way->map, way->span);
    way->map = NULL;
}

static volatile uint64_t *word(struct way *way, uint64_t i)
{
    return (volatile uint64_t *)(void *)(way->map + (i * sizeof(uint64_t) & (way->span - 1)));
}

static int run_load_random(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        (void)*word(way, rng_next(&way->rng));
    return 0;
}

static int run_store_random(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        *word(way, rng_next(&way->rng)) = i;
    return 0;
}

static int run_load_seq(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        (void)*word(way, way->at++);
    return 0;
}

static int run_store_seq(struct way *way, uint64_t n)
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
            return failed(way, "mmap");
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
            return failed(way, "open");
        close(fd);
    }
    return 0;
}

static int run_stat(struct way *way, uint64_t n)
{
    struct stat st;
    for (uint64_t i = 0; i < n; i++)
        if (stat(way->path, &st) == -1)
            return failed(way, "stat");
    return 0;
}

static int run_get(struct way *way, uint64_t n)
{
    char text[16384];
    for (uint64_t i = 0; i < n; i++) {
        int fd = open(way->path, O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return failed(way, "open");
        ssize_t got = read(fd, text, sizeof text);
        int err = errno;
        close(fd);
        errno = err;
        if (got == -1)
            return failed(way, "read");
        if (got == 0)
            return wrong(way, "read: empty");
    }
    return 0;
}

/* ---- ls ------------------------------------------------------------------------------------------------------ */

static int run_program(struct way *way, char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (errno != 0)
        return failed(way, argv[0]);
    while (waitpid(pid, &status, 0) == -1)
        if (errno != EINTR)
            return failed(way, "waitpid");
    return status == 0 ? 0 : wrong(way, "ls failed");
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

const struct op ops[] = {
    {"pread", "read SIZE bytes at an offset", 1, 0, prepare_io, NULL, run_pread, NULL},
    {"pwrite", "write SIZE bytes at an offset", 1, 0, prepare_io, NULL, run_pwrite, NULL},
    {"load-random", "load 8 bytes anywhere in a mapping", 0, 0, prepare_map, begin_map, run_load_random,
     end_map},
    {"store-random", "store 8 bytes anywhere in a mapping", 0, 0, prepare_map, begin_map, run_store_random,
     end_map},
    {"load-seq", "load 8 bytes after 8 bytes", 0, 0, prepare_map, begin_map, run_load_seq, end_map},
    {"store-seq", "store 8 bytes after 8 bytes", 0, 0, prepare_map, begin_map, run_store_seq, end_map},
    {"fault", "map SIZE bytes, touch each page, unmap", 1, 0, prepare_map, NULL, run_fault, NULL},
    {"open", "open and close", 0, 0, NULL, NULL, run_open, NULL},
    {"stat", "stat", 0, 0, NULL, NULL, run_stat, NULL},
    {"get", "open, read, close", 0, 0, NULL, NULL, run_get, NULL},
    {"ls", "ls of a directory", 0, 1, NULL, NULL, run_ls, NULL},
    {"ls-l", "ls -l of a directory", 0, 1, NULL, NULL, run_ls_long, NULL},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};

const struct op *op_find(const char *name)
{
    for (const struct op *op = ops; op->name; op++)
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

void way_close(struct way *way)
{
    if (way->fd != -1)
        close(way->fd);
    free(way->buf);
    way->buf = NULL;
    way->fd = -1;
}
