/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ALIVE = 0x600D, DEAD = 0xDEAD };

struct ipcfs_hold {
    int state;
};

struct ipcfs_file {
    int state;
};

struct ipcfs_lister {
    int state;
};

static atomic_long holds;
static atomic_long files;
static atomic_long listers;

static void *make(atomic_long *count)
{
    int *state = malloc(sizeof *state);
    if (!state)
        abort();
    *state = ALIVE;
    atomic_fetch_add(count, 1);
    return state;
}

static void end(void *thing, atomic_long *count)
{
    int *state = thing;
    if (*state != ALIVE)
        abort();
    *state = DEAD;
    free(state);
    atomic_fetch_sub(count, 1);
}

struct ipcfs_hold *fake_hold(void)
{
    return make(&holds);
}

struct ipcfs_file *fake_file(void)
{
    return make(&files);
}

struct ipcfs_lister *fake_lister(void)
{
    return make(&listers);
}

static void release(struct ipcfs_hold *hold)
{
    end(hold, &holds);
}

static void close_file(struct ipcfs_file *file)
{
    end(file, &files);
}

static void close_lister(struct ipcfs_lister *lister)
{
    end(lister, &listers);
}

long fake_holds(void)
{
    return atomic_load(&holds);
}

long fake_files(void)
{
    return atomic_load(&files);
}

long fake_listers(void)
{
    return atomic_load(&listers);
}

const struct ipcfs_backend fake_backend = {
    .kind = "fake", .release = release, .close = close_file, .list_close = close_lister};
const struct ipcfs_backend other_fake_backend = {
    .kind = "other", .release = release, .close = close_file, .list_close = close_lister};
