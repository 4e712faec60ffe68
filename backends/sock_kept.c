/* SPDX-License-Identifier: MIT */
#include "sock_kept.h"

#include "fd_path.h"
#include "small_file.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "ipcfs/number.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* What follows the number in the names of the directory. A node has nothing. */
static const char kept[] = ".conf";
static const char unfinished[] = ".new";
static const char aside[] = ".aside";

static int directory = -1;

struct name {
    char text[sizeof "18446744073709551615.aside"];
};

static struct name name_of(uint64_t number, const char *suffix)
{
    struct name name;
    (void)snprintf(name.text, sizeof name.text, "%" PRIu64 "%s", number, suffix);
    return name;
}

int sock_kept_start(void)
{
    int fd = place_open("listen");
    if (fd < 0)
        return fd;
    directory = fd;
    return 0;
}

void sock_kept_stop(void)
{
    ipcfs_cleanup_fd(&directory);
    directory = -1;
}

/* ---- addresses ---- */

int sock_kept_path(uint64_t number, char *path, size_t room)
{
    int length = snprintf(path, room, "%s/listen/%" PRIu64, place_path(), number);
    return length < 0 || (size_t)length >= room ? -ENAMETOOLONG : 0;
}

void sock_kept_address(uint64_t number, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(out->sun_path, sizeof out->sun_path, "%s/%" PRIu64, fd_path(directory).text, number);
}

void sock_kept_bind_address(uint64_t number, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (sock_kept_path(number, out->sun_path, sizeof out->sun_path))
        sock_kept_address(number, out);
}

/* ---- nodes ---- */

int sock_kept_own(uint64_t number, const struct sock_owner *owner)
{
    AUTO_FD fd = openat(directory, name_of(number, "").text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_MODE,
                                        .uid = owner->uid,
                                        .gid = owner->gid,
                                        .mode = owner->mode & 0666};
    return fd_path_change(fd, &change);
}

static int move(uint64_t number, const char *from, const char *to)
{
    int result = renameat(directory, name_of(number, from).text, directory, name_of(number, to).text);
    return result < 0 ? -errno : 0;
}

static void forget(uint64_t number, const char *suffix)
{
    struct name name = name_of(number, suffix);
    if (unlinkat(directory, name.text, 0) < 0 && errno != ENOENT)
        log_warning("%s/listen/%s is left behind: %s", place_path(), name.text, strerror(errno));
}

int sock_kept_set_aside(uint64_t number)
{
    int error = move(number, "", aside);
    return error == -ENOENT ? 0 : error;
}

int sock_kept_put_back(uint64_t number)
{
    int error = move(number, aside, "");
    return error == -ENOENT ? 0 : error;
}

void sock_kept_forget_aside(uint64_t number)
{
    forget(number, aside);
}

void sock_kept_remove_node(uint64_t number)
{
    forget(number, "");
}

void sock_kept_remove(uint64_t number)
{
    forget(number, "");
    forget(number, kept);
    forget(number, aside);
}

/* ---- what is kept ---- */

static const struct {
    int type;
    const char *name;
} types[] = {{SOCK_STREAM, "stream"}, {SOCK_SEQPACKET, "seqpacket"}, {SOCK_DGRAM, "dgram"}};

enum { TYPES = sizeof types / sizeof *types };

const char *sock_type_name(int type)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return "";
}

int sock_type_of(const char *word, size_t length)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, word, length) == 0)
            return types[i].type;
    return 0;
}

int sock_kept_write(uint64_t number, const struct listener_wish *wish)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%s %u\n", sock_type_name(wish->type), wish->backlog);
    AUTO_FD fd = openat(directory, name_of(number, unfinished).text,
                        O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t count = write(fd, line, (size_t)length);
    int error = count == length ? 0 : count < 0 ? -errno : -ENOSPC;
    if (!error)
        error = move(number, unfinished, kept);
    if (error)
        forget(number, unfinished);
    return error;
}

int sock_kept_read(uint64_t number, struct listener_wish *out)
{
    char line[64];
    int error = small_file_read(directory, name_of(number, kept).text, line, sizeof line);
    if (error)
        return error;
    const char *blank = strchr(line, ' ');
    const char *end = blank ? strchr(blank, '\n') : NULL;
    if (!end || end[1])
        return -EINVAL;
    uint64_t backlog = 0;
    int type = sock_type_of(line, (size_t)(blank - line));
    error = parse_digits(blank + 1, (size_t)(end - blank - 1), 10, INT_MAX, &backlog);
    if (error || !type)
        return -EINVAL;
    *out = (struct listener_wish){.type = type, .backlog = (unsigned)backlog};
    return 0;
}

/* ---- leftovers ---- */

static bool is_wanted(const char *name, bool (*is_known)(uint64_t number))
{
    uint64_t number = 0;
    size_t digits = strspn(name, "0123456789");
    const char *suffix = name + digits;
    if (*suffix && strcmp(suffix, kept) != 0)
        return false;
    return parse_digits(name, digits, 10, UINT64_MAX, &number) == 0 && is_known(number);
}

void sock_kept_sweep(bool (*is_known)(uint64_t number))
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *walk = fd < 0 ? NULL : fdopendir(fd);
    if (!walk) {
        ipcfs_cleanup_fd(&fd);
        return;
    }
    const struct dirent *entry = NULL;
    while ((entry = readdir(walk))) // NOLINT(concurrency-mt-unsafe): a stream of its own
        if (!is_wanted(entry->d_name, is_known))
            (void)unlinkat(directory, entry->d_name, 0);
    (void)closedir(walk);
}
