/* SPDX-License-Identifier: MIT */
/* Shared memory. Each actor owns a page, writes it one way, and must find what it wrote by all other ways at once. */
#include "soak.h"

#include "../mount/traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { PAGE = 4096, KEPT_STEPS = 50 };

struct region {
    char *native; /* the page, mapped or attached */
    char *mapped; /* the same through the mount; NULL: that can't be had */
    int mount;    /* the file in the mount */
    int file;     /* the native file, −1: of System V */
    void *attached;
    off_t at;
};

static void *map(struct actor *actor, int fd, off_t at, const char *what)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

    if (page == MAP_FAILED)
        must(actor, -1, what);
    return page;
}

/* PATH posix|sysv NATIVE-PATH|ID PAGE on|off */
static void open_region(struct actor *actor, struct region *r)
{
    r->at = (off_t)strtoul(actor->args[3], NULL, 10) * PAGE;
    r->mount = (int)must(actor, open(actor->args[0], O_RDWR | O_CLOEXEC), "open of a region");
    r->mapped = strcmp(actor->args[4], "on") ? NULL : map(actor, r->mount, r->at, "mmap through the mount");
    r->file = -1;
    r->attached = NULL;
    if (!strcmp(actor->args[1], "posix")) {
        r->file = (int)must(actor, open(actor->args[2], O_RDWR | O_CLOEXEC), "native open");
        r->native = map(actor, r->file, r->at, "mmap");
        return;
    }
    r->attached = shmat((int)strtol(actor->args[2], NULL, 10), NULL, 0);
    if (r->attached == (void *)-1)
        must(actor, -1, "shmat");
    r->native = (char *)r->attached + r->at;
}

static void close_region(struct region *r)
{
    if (r->mapped)
        munmap(r->mapped, PAGE);
    if (r->attached)
        shmdt(r->attached);
    else
        munmap(r->native, PAGE);
    if (r->file >= 0)
        close(r->file);
    close(r->mount);
}

static void fill(struct actor *actor, char *page)
{
    uint64_t word = random_next(&actor->random);

    for (size_t i = 0; i < PAGE; i += sizeof(word), word += 0x0101010101010101u)
        memcpy(page + i, &word, sizeof(word));
}

/* What lies at these bytes of the page is written; reads and writes give all that is asked for. */
static void change(struct actor *actor, const struct region *r, const char *page, size_t from, size_t length)
{
    unsigned way = (unsigned)pick(actor, 4);

    if (way == 0 || (way == 1 && !r->mapped) || (way == 2 && r->file < 0)) {
        step(actor, "store natively");
        memcpy(r->native + from, page + from, length);
    } else if (way == 1) {
        step(actor, "store through the mount");
        memcpy(r->mapped + from, page + from, length);
    } else {
        step(actor, way == 2 ? "native write" : "write through the mount");
        ssize_t n = pwrite(way == 2 ? r->file : r->mount, page + from, length, r->at + (off_t)from);
        if (n != (ssize_t)length)
            fail(actor, "a write of %zu gives %zd: %s", length, n, strerror(errno));
    }
}

static void compare(struct actor *actor, const char *page, const char *got, const char *how)
{
    if (memcmp(page, got, PAGE) == 0)
        return;
    size_t i = 0;
    while (page[i] == got[i])
        i++;
    fail(actor, "%s gives other bytes than were written by '%s', from byte %zu of the page on", how,
         actor->slot->step, i);
}

static void check_file(struct actor *actor, const struct region *r, int fd, const char *page, const char *how)
{
    char got[PAGE];
    ssize_t n = pread(fd, got, PAGE, r->at);

    if (n != PAGE)
        fail(actor, "%s: %zd of a page: %s", how, n, strerror(errno));
    compare(actor, page, got, how);
}

static void check(struct actor *actor, const struct region *r, const char *page)
{
    check_file(actor, r, r->mount, page, "read through the mount");
    if (r->file >= 0)
        check_file(actor, r, r->file, page, "native read");
    if (r->mapped)
        compare(actor, page, r->mapped, "mapping through the mount");
    compare(actor, page, r->native, "native mapping");
}

static void work(struct actor *actor)
{
    static char page[PAGE]; /* as it was written last, in whatever epoch; new ones are 0 */
    struct region r;

    while (working(actor)) {
        step(actor, "open of a region");
        open_region(actor, &r);
        check(actor, &r, page);
        for (int i = 0; i < KEPT_STEPS && working(actor); i++) {
            size_t from = pick(actor, PAGE);
            fill(actor, page);
            change(actor, &r, page, 0, PAGE);
            page[from] ^= 1;
            change(actor, &r, page, from, 1 + pick(actor, PAGE - from));
            check(actor, &r, page);
            usleep(pick(actor, 500));
        }
        close_region(&r);
    }
}

const struct role region_roles[] = {
    {"region", 5, false, work},
    {0},
};
