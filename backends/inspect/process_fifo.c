/* SPDX-License-Identifier: MIT */
/*
 * Which FIFO a thread opens that waits for the other end. Nothing but the path tells, for it has no descriptor yet. What the
 * path leads to is not looked up, which could take for ever: it is put together as text.
 */
#include "process_reader.h"

#include "process_memory.h"
#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Two paths, one behind the other. */
enum { ROOM = 2 * PATH_MAX + 2 };

struct opening {
    uint64_t path; /* its address */
    int directory; /* or AT_FDCWD */
    uint64_t flags;
    uint64_t how; /* the address of the struct open_how; 0: none */
    bool in_root; /* an absolute path begins at `directory` */
};

static bool opening_of(const struct process_call *call, struct opening *out)
{
    const uint64_t *arguments = call->arguments;
    switch (call->number) {
#ifdef SYS_open
    case SYS_open:
        *out = (struct opening){.directory = AT_FDCWD, .path = arguments[0], .flags = arguments[1]};
        return true;
    case SYS_creat:
        *out = (struct opening){.directory = AT_FDCWD, .path = arguments[0], .flags = O_WRONLY};
        return true;
#endif
    case SYS_openat:
        *out = (struct opening){.directory = (int)arguments[0], .path = arguments[1], .flags = arguments[2]};
        return true;
    case SYS_openat2:
        *out = (struct opening){.directory = (int)arguments[0], .path = arguments[1], .how = arguments[2]};
        return true;
    default:
        return false;
    }
}

/* The function of the kernel that it sleeps in (fs/pipe.c); the compiler may have made one of the two. */
static bool waits_for_partner(int directory, const char *prefix)
{
    char path[64];
    char text[64];
    (void)snprintf(path, sizeof path, "%swchan", prefix);
    return !small_file_read(directory, path, text, sizeof text) &&
           (strcmp(text, "wait_for_partner") == 0 || strcmp(text, "fifo_open") == 0);
}

/* ---- memory ---- */

static bool read_how(const struct process_memory *memory, struct opening *opening)
{
    struct open_how how;
    if (!opening->how)
        return true;
    if (!process_memory_read(memory, opening->how, &how, sizeof how))
        return false;
    opening->flags = how.flags;
    opening->in_root = how.resolve & RESOLVE_IN_ROOT;
    return true;
}

static bool read_path(int directory, const char *prefix, struct opening *opening, char path[PATH_MAX])
{
    struct process_memory memory;
    if (process_memory_open(directory, prefix, &memory))
        return false;
    bool known = read_how(&memory, opening) && process_memory_string(&memory, opening->path, path, PATH_MAX);
    process_memory_close(&memory);
    return known;
}

/* ---- text ---- */

/* Where the path begins, as the daemon would call it. False where it has no path. */
static bool read_base(int directory, const char *prefix, const struct opening *opening, bool is_absolute,
                      char base[PATH_MAX])
{
    char link[64];
    if (is_absolute && !opening->in_root)
        (void)snprintf(link, sizeof link, "%sroot", prefix);
    else if (opening->directory == AT_FDCWD)
        (void)snprintf(link, sizeof link, "%scwd", prefix);
    else
        (void)snprintf(link, sizeof link, "%sfd/%d", prefix, opening->directory);
    ssize_t length = readlinkat(directory, link, base, PATH_MAX - 1);
    base[length < 0 ? 0 : length] = '\0';
    return base[0] == '/';
}

/* Puts `path` behind the `length` bytes that are there; how many there are then. No slash is at the end. */
static size_t join(char joined[ROOM], size_t length, const char *path)
{
    while (*path) {
        size_t part = strcspn(path, "/");
        bool is_parent = part == 2 && strncmp(path, "..", 2) == 0;
        bool is_same = part == 0 || (part == 1 && *path == '.');
        while (is_parent && length && joined[--length] != '/')
            ;
        if (!is_parent && !is_same) {
            joined[length++] = '/';
            memcpy(joined + length, path, part);
            length += part;
        }
        path += part + (path[part] == '/');
    }
    joined[length] = '\0';
    return length;
}

int read_fifo(struct process_reader *reader, int directory, const char *prefix, struct process_call *call)
{
    struct opening opening;
    char path[PATH_MAX];
    char base[PATH_MAX];
    char joined[ROOM];
    if (!opening_of(call, &opening) || !waits_for_partner(directory, prefix))
        return 0;
    if (!read_path(directory, prefix, &opening, path) ||
        !read_base(directory, prefix, &opening, *path == '/', base))
        return 0;
    (void)join(joined, join(joined, 0, base), path);
    call->writes = (opening.flags & O_ACCMODE) != O_RDONLY;
    call->fifo = arena_string(&reader->arena, joined, NULL);
    return call->fifo ? 0 : -errno;
}
