/* SPDX-License-Identifier: MIT */
#include "caller_limit.h"

#include "small_file.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/lack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The fourth number after "Uid:" is the file-system uid. */
static bool has_uid(const char *status, uid_t uid)
{
    const char *line = strstr(status, "\nUid:");
    char *end = NULL;
    unsigned long number = 0;
    line = line ? line + strlen("\nUid:") : NULL;
    for (int i = 0; line && i < 4; i++, line = end) {
        number = strtoul(line, &end, 10);
        if (end == line)
            return false;
    }
    return line && number == uid;
}

/* "unlimited", or a number. */
static const char *parse_limit(const char *text, rlim_t *out)
{
    static const char unlimited[] = "unlimited";
    char *end = NULL;
    text += strspn(text, " ");
    if (strncmp(text, unlimited, strlen(unlimited)) == 0) {
        *out = RLIM_INFINITY;
        return text + strlen(unlimited);
    }
    *out = strtoull(text, &end, 10);
    return end;
}

/* How the line of /proc/PID/limits begins (fs/proc/base.c). */
static const char *limit_name(int resource)
{
    switch (resource) {
    case RLIMIT_MSGQUEUE:
        return "\nMax msgqueue size ";
    case RLIMIT_MEMLOCK:
        return "\nMax locked memory ";
    case RLIMIT_NOFILE:
        return "\nMax open files ";
    default:
        return NULL;
    }
}

static int parse_limits(const char *limits, int resource, struct rlimit *out)
{
    const char *key = limit_name(resource);
    const char *line = key ? strstr(limits, key) : NULL;
    if (!line)
        return -ESRCH;
    line = parse_limit(line + strlen(key), &out->rlim_cur);
    (void)parse_limit(line, &out->rlim_max);
    return 0;
}

/* Opens the directory of the caller's process in /proc, as far as it is his by now. −errno. */
static int open_process(const struct caller *caller)
{
    char buffer[4096];
    if (caller->pid <= 0)
        return -ESRCH;
    (void)snprintf(buffer, sizeof buffer, "/proc/%d", caller->pid);
    AUTO_FD directory = open(buffer, O_PATH | O_DIRECTORY | O_CLOEXEC); /* stays with this one process */
    if (directory < 0)
        return -errno;
    int error = small_file_read(directory, "status", buffer, sizeof buffer);
    if (!error && !has_uid(buffer, caller->uid))
        error = -ESRCH;
    return error ? error : TAKE_FD(directory);
}

/* By files of /proc, which anybody may read: prlimit(2) wants the right to trace or CAP_SYS_RESOURCE. */
static int limit_of_process(const struct caller *caller, int resource, struct rlimit *out)
{
    char buffer[4096];
    AUTO_FD directory = open_process(caller);
    if (directory < 0)
        return directory;
    int error = small_file_read(directory, "limits", buffer, sizeof buffer);
    return error ? error : parse_limits(buffer, resource, out);
}

/* stat(2) of /proc/PID/fd tells anybody how many since Linux 6.2, and 0 before (proc_fd_getattr(), Linux fs/proc/fd.c). */
struct ipcfs_value caller_descriptors(const struct caller *caller)
{
    struct stat stat;
    AUTO_FD directory = open_process(caller);
    bool known = directory >= 0 && fstatat(directory, "fd", &stat, 0) == 0 && stat.st_size > 0;
    return (struct ipcfs_value){.known = known, .number = known ? (uint64_t)stat.st_size : 0};
}

int caller_limit(const struct caller *caller, int resource, struct rlimit *out)
{
    int error = limit_of_process(caller, resource, out);
    if (is_lack(error))
        return error; /* not the caller's doing: his limit is there to be seen */
    if (error && getrlimit(resource, out) < 0)
        return -errno;
    return 0;
}
