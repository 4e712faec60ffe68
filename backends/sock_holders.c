/* SPDX-License-Identifier: MIT */
#include "sock_holders.h"

#include "inspect/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reading ---- */

struct reading {
    ino_t wanted; /* 0: all */
    struct sock_holders *holders;
};

static int add(struct sock_holders *holders, const struct sock_holder *holder)
{
    if (holders->count == holders->room) {
        size_t room = holders->room ? 2 * holders->room : 64;
        struct sock_holder *rows = realloc(holders->rows, room * sizeof *rows);
        if (!rows)
            return -ENOMEM;
        holders->rows = rows;
        holders->room = room;
    }
    holders->rows[holders->count++] = *holder;
    return 0;
}

static int visit(void *data, struct process *process)
{
    const struct reading *reading = data;
    int error = 0;
    for (size_t i = 0; !error && i < process->descriptor_count; i++) {
        struct sock_holder holder = {.pid = process->pid, .fd = process->descriptors[i].fd};
        if (process_descriptor_number(&process->descriptors[i], "socket", &holder.inode) &&
            (!reading->wanted || reading->wanted == holder.inode))
            error = add(reading->holders, &holder);
    }
    return error;
}

static int compare(const void *left, const void *right)
{
    const struct sock_holder *a = left;
    const struct sock_holder *b = right;
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

int sock_holders_read(ino_t inode, struct sock_holders *out)
{
    *out = (struct sock_holders){0};
    struct reading reading = {.wanted = inode, .holders = out};
    int error = processes_read(0, PROCESS_LINKS | PROCESS_UNNAMED, visit, &reading);
    if (error)
        sock_holders_free(out);
    if (out->count)
        qsort(out->rows, out->count, sizeof *out->rows, compare);
    return error;
}

void sock_holders_free(struct sock_holders *holders)
{
    free(holders->rows);
    *holders = (struct sock_holders){0};
}

/* ---- showing ---- */

/* The first row that is not of a lower inode. */
static size_t first_not_below(const struct sock_holders *holders, ino_t inode)
{
    size_t low = 0;
    size_t high = holders->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (holders->rows[middle].inode < inode)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct sock_holder *sock_holders_find(const struct sock_holders *holders, ino_t inode, size_t *count)
{
    size_t first = first_not_below(holders, inode);
    size_t end = first;
    while (end < holders->count && holders->rows[end].inode == inode)
        end++;
    *count = end - first;
    return *count ? &holders->rows[first] : NULL;
}

enum { HOLDER_PID, HOLDER_FD };
const struct ipcfs_field sock_holder_fields[] = {
    [HOLDER_PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [HOLDER_FD] = {"fd", IPCFS_UNSIGNED, "", "its descriptor"},
    {0},
};

struct ipcfs_table *sock_holders_table(const struct sock_holders *holders)
{
    struct ipcfs_table *table = ipcfs_table_new(sock_holder_fields, holders->count);
    for (size_t i = 0; table && i < holders->count; i++) {
        struct ipcfs_value *row = ipcfs_table_row(table, i);
        row[HOLDER_PID] = ipcfs_number((uint64_t)holders->rows[i].pid);
        row[HOLDER_FD] = ipcfs_number((uint64_t)holders->rows[i].fd);
    }
    return table;
}

void sock_holders_word(const struct sock_holder *rows, size_t count, char out[SOCK_HOLDERS_WORD_ROOM])
{
    size_t used = 0;
    int shown = 0;
    pid_t last = 0;
    *out = '\0';
    for (size_t i = 0; i < count; i++) {
        if (rows[i].pid == last)
            continue; /* it has several descriptors of it */
        last = rows[i].pid;
        bool too_many = shown++ == SOCK_HOLDERS_WORD_MAX;
        int more = too_many
                       ? snprintf(out + used, SOCK_HOLDERS_WORD_ROOM - used, ",...")
                       : snprintf(out + used, SOCK_HOLDERS_WORD_ROOM - used, "%s%d", used ? "," : "", last);
        used += (size_t)more;
        if (too_many)
            return;
    }
}
