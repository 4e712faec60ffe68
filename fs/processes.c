/* SPDX-License-Identifier: MIT */
#include "processes.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"
#include "small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROC_FILE_ROOM = 1024, START_FIELD = 22 };

bool process_parse(const char *name, pid_t *out)
{
    int64_t number = 0;
    if (!parse_canonical(name, &number) || number <= 0 || number > INT_MAX)
        return false;
    *out = (pid_t)number;
    return true;
}

/* Whether the calling thread may look into the process at `directory`/`path`, and there is still something to look at. */
static bool may_look(int directory, const char *path)
{
    char byte = 0;
    /* Of a name that does not fit the kernel tells no byte, but checks the right before. */
    return readlinkat(directory, path, &byte, 1) > 0 || errno == ENAMETOOLONG;
}

/* The number behind "LABEL:" in /proc/PID/status. */
static int status_number(int directory, const char *label, uint64_t *out)
{
    char text[PROC_FILE_ROOM];
    int error = small_file_read(directory, "status", text, sizeof text);
    if (error)
        return error;
    const char *line = strstr(text, label);
    if (!line)
        return -ENODATA;
    *out = strtoull(line + strlen(label), NULL, 10);
    return 0;
}

/* Field 22 of /proc/PID/stat. The second is a name in parentheses, with whatever its process has put into it. */
static int read_start(int directory, uint64_t *out)
{
    char text[PROC_FILE_ROOM];
    int error = small_file_read(directory, "stat", text, sizeof text);
    if (error)
        return error;
    const char *field = strrchr(text, ')');
    for (int number = 2; field && number < START_FIELD; number++)
        field = strchr(field + 1, ' ');
    if (!field)
        return -ENODATA;
    *out = strtoull(field, NULL, 10);
    return 0;
}

static int open_process(pid_t pid)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d", pid);
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Any failure to read of a process means that it is not there, or not for this thread. */
int process_identify(pid_t pid, struct process_identity *out)
{
    AUTO_FD directory = pid == getpid() ? -1 : open_process(pid);
    struct stat stat;
    uint64_t leader = 0;
    if (directory < 0 || !may_look(directory, "exe") || fstat(directory, &stat) < 0)
        return -ENOENT;
    *out = (struct process_identity){.pid = pid, .uid = stat.st_uid, .gid = stat.st_gid};
    /* /proc/TID is found for every thread, too. */
    if (status_number(directory, "\nTgid:", &leader) || leader != (uint64_t)pid)
        return -ENOENT;
    return read_start(directory, &out->start) ? -ENOENT : 0;
}

int process_find(const struct node_kin *kin, struct process_identity *out)
{
    int error = process_identify((pid_t)kin->object.number, out);
    return error || out->start == kin->object.birth ? error : -ENOENT;
}

int process_of_thread(pid_t tid, pid_t *out)
{
    AUTO_FD directory = tid > 0 ? open_process(tid) : -1;
    uint64_t leader = 0;
    if (directory < 0 || status_number(directory, "\nTgid:", &leader))
        return -ENOENT;
    *out = (pid_t)leader;
    return 0;
}

/* ---- the list ---- */

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define AUTO_DIRECTORY __attribute__((cleanup(close_directory))) DIR

/* Whether the entry is a process to be shown. */
static bool is_shown(DIR *directory, const struct dirent *entry, pid_t *pid)
{
    char path[sizeof entry->d_name + sizeof "/exe"];
    if (!process_parse(entry->d_name, pid) || *pid == getpid())
        return false;
    (void)snprintf(path, sizeof path, "%s/exe", entry->d_name);
    return may_look(dirfd(directory), path);
}

int processes_list(uint64_t position, process_row *row, void *data)
{
    AUTO_DIRECTORY *directory = opendir("/proc");
    if (!directory)
        return -errno;
    if (position)
        seekdir(directory, (long)position);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        pid_t pid = 0;
        if (!entry)
            return -errno;
        if (is_shown(directory, entry, &pid) && !row(data, pid, (uint64_t)entry->d_off))
            return 0;
    }
}
