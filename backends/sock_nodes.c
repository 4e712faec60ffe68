/* SPDX-License-Identifier: MIT */
#include "sock_nodes.h"

#include "fd_directory.h"
#include "fd_file.h"
#include "sock.h"
#include "sock_kept.h"
#include "sock_listener.h"
#include "sock_plain.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

static struct nodes nodes = {
    .fd = -1, .shows = IPCFS_MAKES_SOCKETS | IPCFS_MAKES_FILES | IPCFS_MAKES_DIRECTORIES, .spares = true};

/* Held by all that makes, removes or replaces names, and while a listener is made to follow its directory. */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

int sock_nodes(void)
{
    return nodes.fd;
}

const char *sock_watched_name(const char *file, bool *passing)
{
    *passing = false;
    return nodes_watched_name(&nodes, file);
}

/* A directory as it is shown: there is nothing in it natively. */
static void present(struct statx *stat)
{
    if (!S_ISDIR(stat->stx_mode))
        return;
    stat->stx_mode = (uint16_t)ipcfs_directory_mode(stat->stx_mode);
    stat->stx_nlink = stat->stx_nlink ? 1 : 0;
    stat->stx_size = 0;
}

/* ---- start and stop ---- */

static void restore(const char *name)
{
    struct ipcfs_found found;
    int error = sock_find(0, name, &found, NULL);
    if (!error)
        error = listener_restore(&found);
    if (!error)
        return;
    AUTO_TEXT shown = {0};
    text_escape_word(&shown, name);
    log_warning("nobody listens at sock/%.*s: %s", (int)shown.length, shown.data ? shown.data : "",
                strerror(-error));
}

/* What cannot listen again stays: it can be removed. */
static int restore_directories(void)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int more = nodes_list_open(&nodes, &lister);
    if (more)
        return more;
    while ((more = nodes_list_next(&nodes, lister, &entry)) == 1)
        if (S_ISDIR(entry.type))
            restore(entry.name);
    nodes_list_close(lister);
    return more;
}

int sock_start(void)
{
    int fd = place_open("nodes/sock");
    int error = fd < 0 ? fd : nodes_open(&nodes, fd);
    if (error)
        return error;
    error = listeners_start();
    if (error) {
        nodes_close(&nodes);
        return error;
    }
    error = restore_directories();
    if (error)
        sock_stop();
    else
        listeners_sweep();
    return error;
}

void sock_stop(void)
{
    listeners_stop();
    nodes_close(&nodes);
}

/* ---- the directory ---- */

int sock_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    return fd_directory_stat(nodes.fd, out);
}

int sock_stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(nodes.fd, out);
}

int sock_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    return nodes_list_open(&nodes, out);
}

int sock_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    return nodes_list_next(&nodes, lister, out);
}

/* ---- reaching an object ---- */

int sock_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    int error = nodes_find(&nodes, name, out, hold);
    if (!error)
        present(&out->stat);
    return error;
}

int sock_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    return nodes_hold(&nodes, ref, out);
}

int sock_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    int error = nodes_stat(&nodes, ref, out);
    if (!error)
        present(out);
    return error;
}

/* ---- creation ---- */

enum { OPTION_TYPE, OPTION_BACKLOG };

const struct ipcfs_field sock_options[] = {
    [OPTION_TYPE] = {"type", IPCFS_STRING, "", "stream, seqpacket or dgram; without it stream"},
    [OPTION_BACKLOG] = {"backlog", IPCFS_UNSIGNED, "",
                        "so many may wait to be accepted; without it as many as net.core.somaxconn allows"},
    {0},
};

static int wanted_type(const struct ipcfs_wish *wish, int *out)
{
    const char *wanted = wish->options[OPTION_TYPE].string;
    *out = sock_type_of(wanted, strlen(wanted));
    if (*out)
        return 0;
    if (wish->reason) {
        text_string(wish->reason, "type=");
        text_escape_word(wish->reason, wanted);
        text_string(wish->reason, ": not stream, seqpacket or dgram");
    }
    return -EINVAL;
}

static int wanted_backlog(const struct ipcfs_wish *wish, unsigned *out)
{
    uint64_t backlog = wish->options[OPTION_BACKLOG].number;
    unsigned max = listener_backlog_max();
    *out = (unsigned)backlog;
    if (backlog <= max)
        return 0;
    if (wish->reason)
        text_printf(wish->reason, "backlog=%llu: over net.core.somaxconn (%u)", (unsigned long long)backlog,
                    max);
    return -EINVAL;
}

/* As the file `backlog` refuses it. */
static int refuse_backlog(const struct ipcfs_wish *wish)
{
    if (wish->reason)
        text_printf(wish->reason,
                    "backlog=: of datagrams net.unix.max_dgram_qlen says how many may be queued");
    return -EINVAL;
}

static int wanted_listener(const struct ipcfs_wish *wish, struct listener_wish *out)
{
    *out = (struct listener_wish){.type = SOCK_STREAM};
    int error = 0;
    if (wish->options && wish->options[OPTION_TYPE].known)
        error = wanted_type(wish, &out->type);
    if (error || !wish->options || !wish->options[OPTION_BACKLOG].known)
        return error;
    return out->type == SOCK_DGRAM ? refuse_backlog(wish) : wanted_backlog(wish, &out->backlog);
}

static int create_directory(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    struct listener_wish listener;
    int error = wanted_listener(wish, &listener);
    struct ipcfs_wish native = *wish;
    native.mode &= 0666; /* the right to search follows from the others */
    int fd = -1;
    if (!error)
        error = nodes_create(&nodes, &native, out, &fd);
    if (error)
        return error;
    present(&out->found.stat);
    error = out->made ? listener_make(&out->found, &listener) : 0;
    if (error)
        nodes_take_back(&nodes, wish->name, out);
    return error;
}

static int create_node(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    AUTO_FD fd = -1;
    int error = nodes_create(&nodes, wish, out, &fd);
    if (error || !S_ISREG(wish->type))
        return error;
    error = sock_plain_new(&fd, &out->file);
    if (error)
        nodes_take_back(&nodes, wish->name, out);
    return error;
}

int sock_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    if (!(nodes.shows & ipcfs_type_bit(wish->type)))
        return -EPERM;
    pthread_mutex_lock(&names_lock);
    int error = S_ISDIR(wish->type) ? create_directory(wish, out) : create_node(wish, out);
    pthread_mutex_unlock(&names_lock);
    return error;
}

/* ---- names ---- */

static int remove_name(const char *name)
{
    struct ipcfs_found removed;
    int error = nodes_remove(&nodes, name, &removed);
    if (!error && S_ISDIR(removed.stat.stx_mode))
        listener_remove(removed.id);
    return error;
}

int sock_remove(unsigned directory, const char *name)
{
    (void)directory;
    pthread_mutex_lock(&names_lock);
    int error = remove_name(name);
    pthread_mutex_unlock(&names_lock);
    return error;
}

static int remove_if_meant(const struct ipcfs_ref *ref)
{
    struct statx stat;
    struct ipcfs_ref named = {.id = ref->id, .name = ref->name};
    int error = nodes_stat(&nodes, &named, &stat);
    return error ? error : remove_name(ref->name);
}

void sock_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    const struct ipcfs_ref ref = {.id = created->found.id, .name = name};
    pthread_mutex_lock(&names_lock);
    if (created->made)
        (void)remove_if_meant(&ref);
    pthread_mutex_unlock(&names_lock);
}

int sock_remove_meant(const struct ipcfs_ref *ref)
{
    pthread_mutex_lock(&names_lock);
    int error = remove_if_meant(ref);
    pthread_mutex_unlock(&names_lock);
    return error;
}

static bool is_directory(const char *name)
{
    struct ipcfs_found found;
    return nodes_find(&nodes, name, &found, NULL) == 0 && S_ISDIR(found.stat.stx_mode);
}

/* A directory keeps its name: where the daemon listens is known to native clients by it. */
int sock_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                unsigned flags)
{
    (void)directory;
    (void)to_directory;
    pthread_mutex_lock(&names_lock);
    int error = is_directory(name) || is_directory(to_name) ? -EPERM : 0;
    if (!error)
        error = nodes_rename(&nodes, name, to_name, flags);
    pthread_mutex_unlock(&names_lock);
    return error;
}

int sock_link(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)directory;
    pthread_mutex_lock(&names_lock);
    int error = nodes_link(&nodes, ref, name);
    pthread_mutex_unlock(&names_lock);
    return error;
}

/* ---- attributes ---- */

static int follow(const struct ipcfs_ref *ref)
{
    struct ipcfs_found now;
    int error = sock_stat(ref, &now.stat);
    if (error || now.stat.stx_nlink == 0)
        return error; /* removed, and so is its listener */
    now.id = nodes_object_id(&now.stat);
    return listener_follow(&now);
}

static int change_directory(const struct ipcfs_ref *ref, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_SIZE)
        return -EISDIR;
    struct ipcfs_change native = *change;
    native.mode &= 0666;
    pthread_mutex_lock(&names_lock);
    int error = nodes_change(&nodes, ref, -1, &native);
    if (!error && change->mask & (IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID))
        error = follow(ref);
    pthread_mutex_unlock(&names_lock);
    return error;
}

int sock_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    struct statx stat;
    int error = nodes_stat(&nodes, ref, &stat);
    if (error)
        return error;
    if (S_ISDIR(stat.stx_mode))
        return change_directory(ref, change);
    if (change->mask & IPCFS_CHANGE_SIZE && !S_ISREG(stat.stx_mode))
        return -EINVAL; /* as truncate(2) answers of a socket */
    return nodes_change(&nodes, ref, sock_plain_fd(file), change);
}

/* ---- regular files ---- */

static int check_regular(const struct ipcfs_ref *ref)
{
    struct statx stat;
    int error = nodes_stat(&nodes, ref, &stat);
    if (error || S_ISREG(stat.stx_mode))
        return error;
    return S_ISDIR(stat.stx_mode) ? -EISDIR : -ENXIO;
}

int sock_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    int error = check_regular(ref);
    AUTO_FD fd = error ? error : nodes_open_file(&nodes, ref, flags);
    return fd < 0 ? fd : sock_plain_new(&fd, out);
}

int sock_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out)
{
    int error = check_regular(ref);
    AUTO_FD fd = error ? error : fd_file_open_to_lock(ref->hold->fd);
    return fd < 0 ? fd : sock_plain_new(&fd, out);
}
