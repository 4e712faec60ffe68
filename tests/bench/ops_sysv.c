/* SPDX-License-Identifier: MIT */
/*
 * The operations on System V shared memory. The path of a way is one of
 *
 *   shm:KEY:SIZE         the segment, natively: attached, and copied to and from; made if it is not there
 *   FILE[,shm:KEY:SIZE]  a file, and the segment behind it
 *   ipcs:N               of list-segments: ipcs -m, when there are N segments; FILE is what cat shows instead
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

struct segment {
    bool native; /* timed natively, not as a file */
    bool made;   /* and to be removed again */
    int id;
    size_t size;
    const char *path; /* the way's, which the file's stands in for */
    char *file;
    int *many; /* of list-segments: those that were made */
    size_t count;
};

/* ---- life ---- */

static int find_or_make(struct way *way, const char *text)
{
    struct segment *segment = way->segment;
    char *rest;
    key_t key = (key_t)strtol(text, &rest, 0);
    segment->size = *rest == ':' ? strtoul(rest + 1, NULL, 10) : 0;
    segment->id = shmget(key, segment->size, IPC_CREAT | IPC_EXCL | 0600);
    segment->made = segment->id != -1;
    if (!segment->made && errno == EEXIST)
        segment->id = shmget(key, 0, 0);
    return segment->id == -1 ? way_failed(way, "shmget") : 0;
}

/* Every page there: what is timed later is not its making. */
static int fill(struct way *way)
{
    struct segment *segment = way->segment;
    char *at = shmat(segment->id, NULL, 0);
    if (at == (void *)-1)
        return way_failed(way, "shmat");
    memset(at, 'x', segment->size);
    (void)shmdt(at);
    return 0;
}

static int prepare_segment(struct way *way)
{
    struct segment *segment = way->segment = calloc(1, sizeof *segment);
    if (!segment)
        return way_failed(way, "memory");
    segment->id = -1;
    const char *shm = strstr(way->path, "shm:");
    segment->native = shm == way->path;
    if (shm && (segment->native || shm[-1] == ',')) {
        if (find_or_make(way, shm + strlen("shm:")) == -1)
            return -1;
        if (segment->made && fill(way) == -1)
            return -1;
    }
    if (segment->native)
        return 0;
    segment->file = strndup(way->path, strcspn(way->path, ","));
    if (!segment->file)
        return way_failed(way, "memory");
    segment->path = way->path;
    way->path = segment->file;
    return 0;
}

static void finish_segment(struct way *way)
{
    struct segment *segment = way->segment;
    if (!segment)
        return;
    if (segment->native && way->map)
        (void)shmdt(way->map);
    if (segment->made)
        (void)shmctl(segment->id, IPC_RMID, NULL);
    for (size_t i = 0; i < segment->count; i++)
        (void)shmctl(segment->many[i], IPC_RMID, NULL);
    if (segment->file)
        way->path = segment->path;
    free(segment->many);
    free(segment->file);
    free(segment);
    way->segment = NULL;
}

/* ---- a mapping ---- */

static int prepare_loads(struct way *way)
{
    if (prepare_segment(way) == -1)
        return -1;
    if (!way->segment->native)
        return prepare_map(way);
    way->span = way->segment->size < MAP_MOST ? way->segment->size : MAP_MOST;
    return 0;
}

static int begin_loads(struct way *way)
{
    if (!way->segment->native)
        return begin_map(way);
    void *map = shmat(way->segment->id, map_place, 0);
    if (map == (void *)-1 && errno == EINVAL)
        map = shmat(way->segment->id, NULL, 0); /* something else has gone there since */
    if (map == (void *)-1)
        return way_failed(way, "shmat");
    map_use(way, map);
    return 0;
}

static void end_loads(struct way *way)
{
    if (!way->segment->native) {
        end_map(way);
        return;
    }
    (void)shmdt(way->map);
    way->map = NULL;
}

static int attach(struct way *way)
{
    void *map = shmat(way->segment->id, NULL, 0);
    if (map == (void *)-1)
        return way_failed(way, "shmat");
    (void)shmdt(map);
    return 0;
}

static int open_and_map(struct way *way)
{
    int fd = open(way->path, O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return way_failed(way, "open");
    void *map = mmap(NULL, way->span, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int err = errno;
    close(fd);
    errno = err;
    if (map == MAP_FAILED)
        return way_failed(way, "mmap");
    munmap(map, way->span);
    return 0;
}

static int run_attach(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if ((way->segment->native ? attach(way) : open_and_map(way)) == -1)
            return -1;
    return 0;
}

/* What is mapped is as much as is attached; prepare_loads finds how much, and leaves the file open, which is closed. */
static int prepare_attach(struct way *way)
{
    if (prepare_loads(way) == -1)
        return -1;
    if (way->fd != -1)
        close(way->fd);
    way->fd = -1;
    return 0;
}

/* ---- read and write ---- */

static int prepare_copy(struct way *way, int flags)
{
    if (prepare_segment(way) == -1)
        return -1;
    if (!way->segment->native)
        return io_open(way, flags);
    way->map = shmat(way->segment->id, NULL, 0);
    if (way->map == (void *)-1) {
        way->map = NULL;
        return way_failed(way, "shmat");
    }
    size_t most = (size_t)4 << 20; /* as far as io_open goes */
    way->span = way->segment->size < most ? way->segment->size : most;
    return way->span < way->size ? way_wrong(way, "the segment is too small") : io_buffer(way);
}

static int prepare_read(struct way *way)
{
    return prepare_copy(way, O_RDONLY);
}

static int prepare_write(struct way *way)
{
    return prepare_copy(way, O_RDWR);
}

static int run_read(struct way *way, uint64_t n)
{
    if (!way->segment->native)
        return run_pread(way, n);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(way->buf, way->map + next_offset(way), way->size);
        __asm__ volatile("" ::: "memory");
    }
    return 0;
}

static int run_write(struct way *way, uint64_t n)
{
    if (!way->segment->native)
        return run_pwrite(way, n);
    for (uint64_t i = 0; i < n; i++) {
        memcpy(way->map + next_offset(way), way->buf, way->size);
        __asm__ volatile("" ::: "memory");
    }
    return 0;
}

/* ---- list ---- */

static int used_segments(struct way *way)
{
    struct shm_info info;
    if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) == -1)
        return way_failed(way, "shmctl");
    return info.used_ids;
}

/* Until there are n. */
static int make_many(struct way *way, size_t n)
{
    struct segment *segment = way->segment;
    int there = used_segments(way);
    if (there == -1)
        return -1;
    n -= n < (size_t)there ? n : (size_t)there;
    segment->many = calloc(n ? n : 1, sizeof *segment->many);
    if (!segment->many)
        return way_failed(way, "memory");
    while (segment->count < n) {
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
        if (id == -1)
            return way_failed(way, "shmget");
        segment->many[segment->count++] = id;
    }
    return 0;
}

/* A list that lacks some would soon be shown. Each entry has one nattch. */
static int check_list(struct way *way)
{
    char *word = NULL;
    size_t room = 0;
    int found = 0;
    int there = used_segments(way);
    if (there == -1)
        return -1;
    FILE *list = fopen(way->path, "re");
    if (!list)
        return way_failed(way, "open");
    while (getdelim(&word, &room, '"', list) > 0)
        found += strcmp(word, "nattch\"") == 0;
    free(word);
    (void)fclose(list);
    return found == there ? 0 : way_wrong(way, "not as many in the list as there are");
}

static int prepare_list(struct way *way)
{
    static const char ipcs[] = "ipcs:";
    struct segment *segment = way->segment = calloc(1, sizeof *segment);
    if (!segment)
        return way_failed(way, "memory");
    segment->id = -1;
    segment->native = strncmp(way->path, ipcs, sizeof ipcs - 1) == 0;
    if (segment->native)
        return make_many(way, strtoul(way->path + sizeof ipcs - 1, NULL, 10));
    return strstr(way->path, "/list.json") ? check_list(way) : 0;
}

static int run_list(struct way *way, uint64_t n)
{
    (void)n;
    char *ipcs[] = {(char[]){"ipcs"}, (char[]){"-m"}, NULL};
    char *cat[] = {(char[]){"cat"}, (char *)(uintptr_t)way->path, NULL};
    return run_program(way, way->segment->native ? ipcs : cat);
}

const struct op sysv_ops[] = {
    {.name = "segment-load-random",
     .help = "load 8 bytes anywhere in a segment",
     .prepare = prepare_loads,
     .begin = begin_loads,
     .run = run_load_random,
     .end = end_loads,
     .finish = finish_segment},
    {.name = "segment-store-random",
     .help = "store 8 bytes anywhere in a segment",
     .prepare = prepare_loads,
     .begin = begin_loads,
     .run = run_store_random,
     .end = end_loads,
     .finish = finish_segment},
    {.name = "segment-load-seq",
     .help = "load 8 bytes after 8 bytes",
     .prepare = prepare_loads,
     .begin = begin_loads,
     .run = run_load_seq,
     .end = end_loads,
     .finish = finish_segment},
    {.name = "segment-store-seq",
     .help = "store 8 bytes after 8 bytes",
     .prepare = prepare_loads,
     .begin = begin_loads,
     .run = run_store_seq,
     .end = end_loads,
     .finish = finish_segment},
    {.name = "segment-attach",
     .help = "shmat and shmdt; of a file: open, map, close, unmap",
     .prepare = prepare_attach,
     .run = run_attach,
     .finish = finish_segment},
    {.name = "segment-read",
     .help = "copy SIZE bytes out; of a file: read, from a handle for reading only",
     .takes_size = 1,
     .prepare = prepare_read,
     .run = run_read,
     .finish = finish_segment},
    {.name = "segment-write",
     .help = "copy SIZE bytes in; of a file: write",
     .takes_size = 1,
     .prepare = prepare_write,
     .run = run_write,
     .finish = finish_segment},
    {.name = "segment-list",
     .help = "ipcs -m; of a file: cat",
     .once = 1,
     .prepare = prepare_list,
     .run = run_list,
     .finish = finish_segment},
    {0},
};
