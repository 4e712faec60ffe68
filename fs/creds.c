/* SPDX-License-Identifier: MIT */
#include "creds.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    GROUPS_ON_STACK = 64,
    STATUS_ROOM = 4096,            /* /proc/PID/status of a thread with few groups */
    STATUS_ROOM_MAX = 1024 * 1024, /* 65,536 groups of at most 11 characters, and the rest */
};

struct ipcfs_identity {
    uid_t uid;
    gid_t gid;
    int group_count;
    gid_t groups[];
};

static struct ipcfs_identity *own; /* fixed by creds_init() */
static bool own_only;              /* likewise: it can not act as anybody else */

int identity_of_thread(struct ipcfs_identity **out)
{
    for (;;) {
        int count = getgroups(0, NULL);
        AUTO_FREE struct ipcfs_identity *identity =
            count < 0 ? NULL : malloc(sizeof *identity + (size_t)count * sizeof(gid_t));
        if (!identity)
            return count < 0 ? -errno : -ENOMEM;
        identity->uid = geteuid();
        identity->gid = getegid();
        identity->group_count = count ? getgroups(count, identity->groups) : 0;
        if (identity->group_count < 0 && errno == EINVAL)
            continue; /* more by now */
        if (identity->group_count < 0)
            return -errno;
        *out = TAKE_PTR(identity);
        return 0;
    }
}

int identity_of_owner(uid_t uid, gid_t gid, struct ipcfs_identity **out)
{
    struct ipcfs_identity *identity = malloc(sizeof *identity);
    if (!identity)
        return -ENOMEM;
    *identity = (struct ipcfs_identity){.uid = uid, .gid = gid};
    *out = identity;
    return 0;
}

void identity_free(struct ipcfs_identity *identity)
{
    free(identity);
}

/* ---- /proc/PID/status ---- */

/* The rest of the line that begins with "`key`:", or NULL. `text` begins with a newline. */
static const char *status_line(const char *text, const char *key)
{
    char needle[16];
    (void)snprintf(needle, sizeof needle, "\n%s:", key);
    const char *line = strstr(text, needle);
    return line ? line + strlen(needle) : NULL;
}

/* The fourth number of a line of real, effective, saved and file-system id. */
static bool file_system_id_is(const char *line, unsigned long id)
{
    unsigned long number = 0;
    for (int i = 0; line && i < 4; i++) {
        char *end = NULL;
        number = strtoul(line, &end, 10);
        if (end == line)
            return false;
        line = end;
    }
    return line && number == id;
}

static int parse_groups(const char *line, gid_t *groups, int room)
{
    int count = 0;
    for (;;) {
        char *end = NULL;
        while (*line == ' ' || *line == '\t')
            line++;
        unsigned long group = strtoul(line, &end, 10);
        if (end == line || *line == '\n')
            return count;
        if (count < room)
            groups[count] = (gid_t)group;
        count++;
        line = end;
    }
}

static int parse_status(const char *text, const struct caller *caller, gid_t *groups, int room)
{
    if (!file_system_id_is(status_line(text, "Uid"), caller->uid) ||
        !file_system_id_is(status_line(text, "Gid"), caller->gid))
        return -ESRCH;
    const char *line = status_line(text, "Groups");
    return line ? parse_groups(line, groups, room) : -ESRCH;
}

static bool has_groups(const char *text)
{
    const char *line = status_line(text, "Groups");
    return line && strchr(line, '\n');
}

/* Reads as much into `buffer` as the last line that matters takes, terminated. −E2BIG where that does not fit. */
static int read_status(int fd, char *buffer, size_t room)
{
    size_t length = 0;
    do {
        if (length + 1 >= room)
            return -E2BIG;
        ssize_t count = read(fd, buffer + length, room - 1 - length);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count == 0)
            return -ESRCH;
        length += count > 0 ? (size_t)count : 0;
        buffer[length] = '\0';
    } while (!has_groups(buffer));
    return 0;
}

static int groups_from_status(const struct caller *caller, char *buffer, size_t buffer_room, gid_t *groups,
                              int room)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/status", caller->pid);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ESRCH;
    int error = read_status(fd, buffer, buffer_room);
    return error ? error : parse_status(buffer, caller, groups, room);
}

int creds_supplementary_groups(const struct caller *caller, gid_t *groups, int room)
{
    if (caller->pid <= 0)
        return -ESRCH;
    char buffer[STATUS_ROOM];
    int count = groups_from_status(caller, buffer, sizeof buffer, groups, room);
    if (count != -E2BIG)
        return count;
    AUTO_FREE char *large = malloc(STATUS_ROOM_MAX);
    return large ? groups_from_status(caller, large, STATUS_ROOM_MAX, groups, room) : -ENOMEM;
}

/* ---- putting on and taking off ---- */

static int set_groups(int count, const gid_t *groups)
{
    return syscall(SYS_setgroups, count, groups) < 0 ? -errno : 0;
}

static int set_effective_gid(gid_t gid)
{
    return syscall(SYS_setresgid, -1, gid, -1) < 0 ? -errno : 0;
}

static int set_effective_uid(uid_t uid)
{
    return syscall(SYS_setresuid, -1, uid, -1) < 0 ? -errno : 0;
}

/* As root, it has to take identities on: better to be told at the start that it can not than to lose every thread. */
static int try_own(const struct ipcfs_identity *identity)
{
    if (identity->uid != 0)
        return 0;
    int error = set_groups(identity->group_count, identity->groups);
    if (!error)
        error = set_effective_gid(identity->gid);
    return error ? error : set_effective_uid(identity->uid);
}

int creds_init(void)
{
    struct ipcfs_identity *identity = NULL;
    int error = identity_of_thread(&identity);
    if (error)
        return error;
    error = try_own(identity);
    if (error && error != -EPERM) {
        identity_free(identity);
        return error;
    }
    if (error)
        log_warning("without the right to act as others, none but user %u is served",
                    (unsigned)identity->uid);
    identity_free(own);
    own = identity;
    own_only = error || own->uid != 0;
    return 0;
}

static _Thread_local bool lost;

bool creds_lost(void)
{
    return lost;
}

/* Every step is the daemon's right, by its real and saved ids or by those that it took off last; only a lack of memory can
 * stop it. */
static int step_by_step(const struct ipcfs_identity *to)
{
    int error = set_effective_uid(own->uid); /* first, for the right to the rest */
    if (!error)
        error = set_effective_gid(to->gid);
    if (!error)
        error = set_groups(to->group_count, to->groups);
    if (!error && to->uid != own->uid)
        error = set_effective_uid(to->uid);
    return error;
}

static void put_back(const struct ipcfs_identity *to)
{
    int error = 0;
    for (int attempt = 0; attempt < 1000; attempt++) {
        error = step_by_step(to);
        if (!error)
            return;
        sched_yield();
    }
    lost = true;
    log_error("a thread cannot take its identity back: %s", strerror(-error));
}

static _Thread_local pid_t caller_pid;

pid_t identity_caller_pid(void)
{
    return caller_pid;
}

void acting_end(struct acting *acting)
{
    caller_pid = 0;
    if (!acting->active)
        return;
    int saved = errno;
    put_back(own);
    acting->active = false;
    errno = saved;
}

static int put_on(struct acting *acting, const struct caller *caller, int count, const gid_t *groups)
{
    acting->active = true; /* from the first step on there is something to put back */
    int error = set_groups(count, groups);
    if (!error)
        error = set_effective_gid(caller->gid);
    if (!error)
        error = set_effective_uid(caller->uid);
    if (error)
        acting_end(acting);
    return error == -EINVAL ? -EPERM : error; /* an id that has no meaning in the daemon's user namespace */
}

/* Takes on the ids and groups, where they are not the daemon's anyway. */
static int begin(struct acting *acting, const struct caller *caller)
{
    if (caller->uid == (uid_t)-1 || caller->gid == (gid_t)-1)
        return -EPERM; /* no identity: setresuid(2) would take it for "leave it as it is" */
    if (caller->uid == own->uid && (caller->gid == own->gid || own->uid != 0))
        return 0;
    if (own_only)
        return -EPERM;
    gid_t few[GROUPS_ON_STACK];
    int count = creds_supplementary_groups(caller, few, GROUPS_ON_STACK);
    if (count < 0)
        count = 0; /* the thread is out of sight: its own uid and gid must do */
    if (count <= GROUPS_ON_STACK)
        return put_on(acting, caller, count, few);
    AUTO_FREE gid_t *many = calloc((size_t)count, sizeof *many);
    if (!many)
        return -ENOMEM;
    int again = creds_supplementary_groups(caller, many, count);
    if (again < 0 || again > count)
        return -EAGAIN;
    return put_on(acting, caller, again, many);
}

int acting_begin(struct acting *acting, const struct caller *caller)
{
    *acting = (struct acting){0};
    int error = begin(acting, caller);
    if (!error)
        caller_pid = caller->pid;
    return error;
}

/* ---- within a call ---- */

int identity_put_on(struct identity_change *change, const struct ipcfs_identity *identity)
{
    *change = (struct identity_change){0};
    if (own_only)
        return 0; /* there is one identity only */
    if (!identity && geteuid() == own->uid && getegid() == own->gid)
        return 0; /* it is on */
    struct ipcfs_identity *before = NULL;
    int error = identity_of_thread(&before);
    if (error)
        return error;
    change->before = before; /* from the first step on there is something to put back */
    error = step_by_step(identity ? identity : own);
    if (error)
        identity_put_back(change);
    return error;
}

void identity_put_back(struct identity_change *change)
{
    if (!change->before)
        return;
    int saved = errno;
    put_back(change->before);
    identity_free(TAKE_PTR(change->before));
    errno = saved;
}
