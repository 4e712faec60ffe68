/* SPDX-License-Identifier: MIT */
/*
 * NAME/daemons: a line with the ID of the boot, which random(4) explains, and one with the pid of each daemon since then.
 * Pids mean nothing after the next boot: then the record begins anew, for there are base directories that outlive it.
 */
#include "place_daemons.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/lack.h"
#include "ipcfs/number.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BOOT_LENGTH = 37, /* a UUID, and a newline */
    RECORD_MAX = 64 * 1024,
};

static const char record_name[] = "daemons";

static int read_boot(char boot[BOOT_LENGTH])
{
    AUTO_FD fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return read(fd, boot, BOOT_LENGTH) == BOOT_LENGTH ? 0 : -EIO;
}

/* Gives the length, or −errno. */
static ssize_t read_record(int fd, char *record)
{
    size_t length = 0;
    while (length < RECORD_MAX) {
        ssize_t count = read(fd, record + length, RECORD_MAX - length);
        if (count <= 0)
            return count < 0 ? -errno : (ssize_t)length;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static bool is_of_boot(const char *record, size_t length, const char boot[BOOT_LENGTH])
{
    return length >= BOOT_LENGTH && memcmp(record, boot, BOOT_LENGTH) == 0;
}

/* ---- writing ---- */

static int write_line(int fd, const char *line, int length)
{
    ssize_t written = write(fd, line, (size_t)length);
    return written == length ? 0 : written < 0 ? -errno : -ENOSPC;
}

/* One that is full stays so. */
int place_daemons_note(int directory)
{
    char boot[BOOT_LENGTH];
    char line[BOOT_LENGTH + 16];
    AUTO_FREE char *record = malloc(RECORD_MAX);
    AUTO_FD fd = openat(directory, record_name,
                        O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (!record || fd < 0)
        return record ? -errno : -ENOMEM;
    int error = read_boot(boot);
    ssize_t length = error ? error : read_record(fd, record);
    if (length < 0)
        return (int)length;
    if (is_of_boot(record, (size_t)length, boot)) {
        int size = snprintf(line, sizeof line, "%d\n", getpid());
        return length + size > RECORD_MAX ? ftruncate(fd, RECORD_MAX) : write_line(fd, line, size);
    }
    if (ftruncate(fd, 0) < 0)
        return -errno;
    return write_line(fd, line, snprintf(line, sizeof line, "%.*s%d\n", BOOT_LENGTH, boot, getpid()));
}

/* ---- reading ---- */

static int add(struct place_daemons *daemons, pid_t pid)
{
    pid_t *pids = reallocarray(daemons->pids, daemons->count + 1, sizeof *pids);
    if (!pids)
        return -ENOMEM;
    pids[daemons->count++] = pid;
    daemons->pids = pids;
    return 0;
}

/* A line of which there is but the beginning is of a daemon that has made nothing yet. */
static int add_all(struct place_daemons *daemons, const char *at, const char *end)
{
    int error = 0;
    const char *newline = NULL;
    for (; !error && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        uint64_t pid = 0;
        if (parse_digits(at, (size_t)(newline - at), 10, INT_MAX, &pid) == 0)
            error = add(daemons, (pid_t)pid);
    }
    return error;
}

/* −ENOENT: `name` has none that this user made. */
static int open_record(int base, const char *name)
{
    struct stat stat;
    char path[NAME_MAX + sizeof record_name + 2];
    const struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    (void)snprintf(path, sizeof path, "%s/%s", name, record_name);
    AUTO_FD fd = (int)syscall(SYS_openat2, base, path, &how, sizeof how);
    if (fd < 0)
        return lack_or(-errno, -ENOENT);
    bool own = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_uid == geteuid();
    return own ? TAKE_FD(fd) : -ENOENT;
}

static int read_one(int base, const char *name, const char boot[BOOT_LENGTH], char *record,
                    struct place_daemons *out)
{
    AUTO_FD fd = open_record(base, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    ssize_t length = read_record(fd, record);
    if (length < 0)
        return (int)length;
    if (!is_of_boot(record, (size_t)length, boot))
        return 0;
    out->all = out->all || length == RECORD_MAX;
    return add_all(out, record + BOOT_LENGTH, record + length);
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

int place_daemons_read(const char *base, struct place_daemons *out)
{
    char boot[BOOT_LENGTH];
    const struct dirent *entry = NULL;
    AUTO_FREE char *record = malloc(RECORD_MAX);
    __attribute__((cleanup(close_directory))) DIR *names = opendir(base);
    if (!names || !record)
        return record ? -errno : -ENOMEM;
    int error = read_boot(boot);
    while (!error && (entry = readdir(names))) // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (*entry->d_name != '.')
            error = read_one(dirfd(names), entry->d_name, boot, record, out);
    return error;
}
