/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "fd_path.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <unistd.h>

/* In the C library's headers since glibc 2.35. */
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#define FAN_EVENT_INFO_TYPE_OLD_DFID_NAME 10
#define FAN_EVENT_INFO_TYPE_NEW_DFID_NAME 12
#endif

struct watch {
    int fd;
    bool fanotify;
};

/* ---- start and end ---- */

static int open_fanotify(int directory)
{
    const uint64_t mask = FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_MODIFY | FAN_ATTRIB;
    AUTO_FD fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, O_RDONLY);
    if (fd < 0)
        return -errno;
    if (fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR, mask | FAN_ONDIR | FAN_EVENT_ON_CHILD, directory,
                      ".") < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int open_inotify(int directory)
{
    const uint32_t mask =
        IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | IN_ONLYDIR;
    AUTO_FD fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, fd_path(directory).text, mask) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int watch_open(int directory, struct watch **out)
{
    struct watch *watch = malloc(sizeof *watch);
    if (!watch)
        return -ENOMEM;
    int fd = open_fanotify(directory);
    bool fanotify = fd >= 0;
    if (!fanotify)
        fd = open_inotify(directory);
    if (fd < 0) {
        free(watch);
        return fd;
    }
    *watch = (struct watch){.fd = fd, .fanotify = fanotify};
    *out = watch;
    return 0;
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    close(watch->fd);
    free(watch);
}

/* ---- fanotify ---- */

static void copy_name(char *to, const char *name, size_t room)
{
    size_t length = strnlen(name, room < NAME_MAX ? room : NAME_MAX);
    memcpy(to, name, length);
    to[length] = '\0';
}

/* The name behind the file handle of its directory. */
static void take_info(struct watch_change *change, const struct fanotify_event_info_header *info,
                      const char *record)
{
    struct file_handle head;
    size_t fixed = offsetof(struct fanotify_event_info_fid, handle);
    if (info->len < fixed + sizeof head)
        return;
    memcpy(&head, record + fixed, sizeof head);
    size_t start = fixed + sizeof head + head.handle_bytes;
    if (start >= info->len)
        return;
    if (info->info_type == FAN_EVENT_INFO_TYPE_NEW_DFID_NAME)
        copy_name(change->to, record + start, info->len - start);
    else if (info->info_type == FAN_EVENT_INFO_TYPE_DFID_NAME ||
             info->info_type == FAN_EVENT_INFO_TYPE_OLD_DFID_NAME)
        copy_name(change->name, record + start, info->len - start);
}

static unsigned bits_of_fanotify(uint64_t mask)
{
    return (mask & FAN_CREATE ? WATCH_CREATED : 0U) | (mask & FAN_DELETE ? WATCH_REMOVED : 0U) |
           (mask & FAN_RENAME ? WATCH_RENAMED : 0U) | (mask & FAN_MODIFY ? WATCH_WRITTEN : 0U) |
           (mask & FAN_ATTRIB ? WATCH_CHANGED : 0U) | (mask & FAN_Q_OVERFLOW ? WATCH_LOST : 0U);
}

/* Of a rename only the side that is in the directory is told (fanotify_mark(2), FAN_RENAME). */
static void settle_rename(struct watch_change *change)
{
    if (!(change->bits & WATCH_RENAMED) || (*change->name && *change->to))
        return;
    change->bits &= ~(unsigned)WATCH_RENAMED;
    if (*change->name) {
        change->bits |= WATCH_REMOVED;
    } else {
        change->bits |= WATCH_CREATED | WATCH_MOVED;
        memcpy(change->name, change->to, sizeof change->name);
    }
}

/* `record` is the event with what comes behind it. */
static int take_event(const struct fanotify_event_metadata *event, const char *record, watch_row *row,
                      void *data)
{
    struct watch_change change = {.bits = bits_of_fanotify(event->mask),
                                  .directory = event->mask & FAN_ONDIR,
                                  .pid = event->pid > 0 ? event->pid : 0};
    size_t at = event->metadata_len;
    struct fanotify_event_info_header info;
    while (at + sizeof info <= event->event_len) {
        memcpy(&info, record + at, sizeof info);
        if (info.len < sizeof info || info.len > event->event_len - at)
            break;
        take_info(&change, &info, record + at);
        at += info.len;
    }
    settle_rename(&change);
    bool named = *change.name && strcmp(change.name, ".") != 0; /* ".": the directory itself */
    return named || change.bits & WATCH_LOST ? row(data, &change) : 0;
}

/* Events are not aligned in the buffer. */
static int take_fanotify(const char *buffer, size_t size, watch_row *row, void *data)
{
    struct fanotify_event_metadata event;
    for (size_t at = 0; size - at >= sizeof event; at += event.event_len) {
        memcpy(&event, buffer + at, sizeof event);
        if (event.vers != FANOTIFY_METADATA_VERSION)
            return -EPROTO;
        if (event.metadata_len < sizeof event || event.event_len < event.metadata_len ||
            event.event_len > size - at)
            return -EBADMSG;
        int end = take_event(&event, buffer + at, row, data);
        if (end)
            return end;
    }
    return 0;
}

/* ---- inotify ---- */

static unsigned bits_of_inotify(uint32_t mask)
{
    return (mask & (IN_CREATE | IN_MOVED_TO) ? WATCH_CREATED : 0U) |
           (mask & (IN_DELETE | IN_MOVED_FROM) ? WATCH_REMOVED : 0U) |
           (mask & IN_MOVED_TO ? WATCH_MOVED : 0U) | (mask & IN_MODIFY ? WATCH_WRITTEN : 0U) |
           (mask & IN_ATTRIB ? WATCH_CHANGED : 0U) | (mask & IN_Q_OVERFLOW ? WATCH_LOST : 0U);
}

static const struct inotify_event *inotify_at(const char *buffer, size_t size, size_t at)
{
    const struct inotify_event *event = (const void *)(buffer + at);
    return size - at >= sizeof *event && size - at - sizeof *event >= event->len ? event : NULL;
}

/* The two sides of a rename come one after the other, with one cookie. Where they do not (the buffer ends between them),
 * one is a removal and the other a creation. */
static int take_inotify(const char *buffer, size_t size, watch_row *row, void *data)
{
    const struct inotify_event *event = NULL;
    for (size_t at = 0; (event = inotify_at(buffer, size, at));) {
        at += sizeof *event + event->len;
        struct watch_change change = {.bits = bits_of_inotify(event->mask),
                                      .directory = event->mask & IN_ISDIR};
        if (event->len)
            copy_name(change.name, event->name, event->len);
        const struct inotify_event *other = event->mask & IN_MOVED_FROM ? inotify_at(buffer, size, at) : NULL;
        if (other && other->mask & IN_MOVED_TO && other->cookie == event->cookie && other->len) {
            at += sizeof *other + other->len;
            change.bits = WATCH_RENAMED;
            copy_name(change.to, other->name, other->len);
        }
        int end = *change.name || change.bits & WATCH_LOST ? row(data, &change) : 0;
        if (end)
            return end;
    }
    return 0;
}

/* ---- reading ---- */

int watch_read(struct watch *watch, watch_row *row, void *data)
{
    enum { BUFFER = 32 * 1024, BUFFERS = 4 };
    AUTO_FREE char *buffer = malloc(BUFFER);
    if (!buffer)
        return -ENOMEM;
    for (int i = 0; i < BUFFERS; i++) {
        ssize_t count = read(watch->fd, buffer, BUFFER);
        if (count <= 0)
            return count == 0 || errno == EAGAIN ? 0 : -errno;
        int end = (watch->fanotify ? take_fanotify : take_inotify)(buffer, (size_t)count, row, data);
        if (end)
            return end;
    }
    return 0;
}
