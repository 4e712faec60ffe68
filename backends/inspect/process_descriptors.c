/* SPDX-License-Identifier: MIT */
#include "process_reader.h"

#include "proc_numbers.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* One link in /proc/PID/fd; borrowed. */
struct link {
    int directory;
    int fd;
    const char *name;
};

struct gathering {
    struct process_reader *reader;
    const char *before; /* the last target */
};

/* The owner's permission bits of the link (proc_fd_instantiate(), Linux fs/proc/fd.c). False where it is closed by now. */
static bool look_at_access(const struct link *link, struct process_descriptor *out)
{
    struct stat stat;
    if (fstatat(link->directory, link->name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    out->reads = stat.st_mode & S_IRUSR;
    out->writes = stat.st_mode & S_IWUSR;
    return true;
}

/* What it is, as its file system remembers it. False: it is not told. */
static bool look_at_file(const struct link *link, struct process_descriptor *out)
{
    const unsigned wanted = STATX_TYPE | STATX_INO;
    const int flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    struct statx stat;
    if (statx(link->directory, link->name, flags, wanted, &stat) < 0)
        return false;
    out->device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
    out->ino = stat.stx_ino;
    out->type = stat.stx_mode & S_IFMT;
    return true;
}

/* What has a path is asked what it is. False where it is closed by now. */
static bool look(const struct link *link, const char *target, struct process_descriptor *out)
{
    bool has_path = target[0] == '/' || !target[0];
    if (!look_at_access(link, out))
        return false;
    if (has_path)
        (void)look_at_file(link, out);
    return true;
}

/* One question instead of three, where only one object is looked for. What can not be asked so is asked everything. */
static bool is_wanted(const struct gathering *gathering, const struct link *link)
{
    struct process_descriptor asked = {0};
    return !gathering->reader->subject.known || !look_at_file(link, &asked) ||
           reader_wants(gathering->reader, asked.device, asked.ino);
}

static int add(struct gathering *gathering, const struct link *link, const char *target)
{
    struct process_reader *reader = gathering->reader;
    struct process_descriptor descriptor = {.fd = link->fd};
    int error = reader_move(reader);
    if (error || (reader->what & PROCESS_DESCRIPTORS && !look(link, target, &descriptor)))
        return error;
    descriptor.target = arena_string(&reader->arena, target, gathering->before);
    if (!descriptor.target)
        return -errno;
    gathering->before = descriptor.target;
    struct process_descriptor *row = rows_add(&reader->descriptors);
    if (!row)
        return -errno;
    *row = descriptor;
    return 0;
}

static int visit(struct gathering *gathering, const struct link *link)
{
    char target[PATH_MAX];
    if (!is_wanted(gathering, link))
        return reader_move(gathering->reader);
    ssize_t length = readlinkat(link->directory, link->name, target, sizeof target - 1);
    if (length < 0 && errno != ENAMETOOLONG)
        return unless_out_of_reach(-errno);
    target[length < 0 ? 0 : length] = '\0';
    return add(gathering, link, target);
}

int read_descriptors(struct process_reader *reader)
{
    struct proc_numbers fds;
    struct gathering gathering = {.reader = reader};
    AUTO_FD directory = openat(reader_source(reader), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    proc_numbers_begin(&fds, directory);
    int error = 0;
    int more = 0;
    while (!error && (more = proc_numbers_next(&fds)) == 1) {
        const struct link link = {.directory = directory, .fd = fds.number, .name = fds.name};
        error = visit(&gathering, &link);
    }
    return error ? error : more;
}
