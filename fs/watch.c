/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void add(struct watches *watches, const struct tree_entry *entry)
{
    int fd = entry->objects->watch_directory(entry->naming);
    if (fd >= 0)
        watches->all[watches->count++] = (struct watch){.id = entry->id, .fd = fd};
    else if (fd != -EOPNOTSUPP)
        log_warning("%s/ is not watched: %s", entry->name, strerror(-fd));
}

int watches_init(struct watches *watches, const struct tree *tree)
{
    *watches = (struct watches){.rearmed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (watches->rearmed_fd < 0)
        return -errno;
    watches->all = calloc(tree->count, sizeof *watches->all);
    if (!watches->all) {
        close(watches->rearmed_fd);
        return -ENOMEM;
    }
    for (uint64_t id = 1; id <= tree->count; id++) {
        const struct tree_entry *entry = tree_by_id(tree, id);
        if (entry->objects)
            add(watches, entry);
    }
    return 0;
}

void watches_destroy(struct watches *watches)
{
    for (size_t i = 0; i < watches->count; i++)
        close(watches->all[i].fd);
    free(watches->all);
    close(watches->rearmed_fd);
}

static void drain(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof events) > 0)
        ;
}

bool watches_arm(struct watches *watches, uint64_t id)
{
    for (size_t i = 0; i < watches->count; i++) {
        struct watch *watch = &watches->all[i];
        if (watch->id != id)
            continue;
        drain(watch->fd);
        if (!atomic_exchange(&watch->armed, true)) {
            uint64_t one = 1;
            (void)!write(watches->rearmed_fd, &one, sizeof one);
        }
        return true;
    }
    return false;
}

size_t watches_poll_count(const struct watches *watches)
{
    return watches->count + 1;
}

void watches_poll_fill(const struct watches *watches, struct pollfd *polled)
{
    polled[0] = (struct pollfd){.fd = watches->rearmed_fd, .events = POLLIN};
    for (size_t i = 0; i < watches->count; i++) {
        const struct watch *watch = &watches->all[i];
        polled[i + 1] = (struct pollfd){.fd = atomic_load(&watch->armed) ? watch->fd : -1, .events = POLLIN};
    }
}

void watches_polled(struct watches *watches, struct fuse_session *session, const struct pollfd *polled)
{
    if (polled[0].revents)
        drain(polled[0].fd);
    for (size_t i = 0; i < watches->count; i++) {
        struct watch *watch = &watches->all[i];
        if (!polled[i + 1].revents)
            continue;
        atomic_store(&watch->armed, false); /* first: an answer from here on arms it again */
        (void)fuse_lowlevel_notify_inval_inode(session, watch->id, -1, 0);
    }
}
