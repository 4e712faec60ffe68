/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include "fd_directory.h"
#include "nodes.h"
#include "pipe_show.h"
#include "refuse.h"
#include "tmpfs_show.h"

#include "ipcfs/place.h"

#include <errno.h>

static struct nodes nodes = {.fd = -1, .shows = IPCFS_MAKES_FIFOS, .spares = true};

int pipe_nodes(void)
{
    return nodes.fd;
}

static const char *pipe_watched_name(const char *file, bool *passing)
{
    *passing = false;
    return nodes_watched_name(&nodes, file);
}

int pipe_resolve(const struct ipcfs_ref *ref, struct statx *stat)
{
    return nodes_resolve(&nodes, ref, stat);
}

static int start(void)
{
    int fd = place_open("nodes/pipe");
    return fd < 0 ? fd : nodes_open(&nodes, fd);
}

static void stop(void)
{
    nodes_close(&nodes);
}

/* ---- the directory ---- */

static int stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    return fd_directory_stat(nodes.fd, out);
}

static int stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(nodes.fd, out);
}

static int list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    return nodes_list_open(&nodes, out);
}

static int list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    return nodes_list_next(&nodes, lister, out);
}

/* ---- names ---- */

static int find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    return nodes_find(&nodes, name, out, hold);
}

static int create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    int fd = -1;
    return S_ISFIFO(wish->type) ? nodes_create(&nodes, wish, out, &fd) : -EPERM;
}

static void uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    nodes_uncreate(&nodes, name, created);
}

static int remove_name(unsigned directory, const char *name)
{
    (void)directory;
    return nodes_remove(&nodes, name, NULL);
}

static int rename_name(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                       unsigned flags)
{
    (void)directory;
    (void)to_directory;
    return nodes_rename(&nodes, name, to_name, flags);
}

static int link_name(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)directory;
    return nodes_link(&nodes, ref, name);
}

/* ---- objects ---- */

static int hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    return nodes_hold(&nodes, ref, out);
}

static int stat_object(const struct ipcfs_ref *ref, struct statx *out)
{
    return nodes_stat(&nodes, ref, out);
}

static int change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    (void)file;
    if (change->mask & IPCFS_CHANGE_SIZE)
        return -EINVAL; /* as truncate(2) answers of a FIFO */
    return nodes_change(&nodes, ref, -1, change);
}

/* ---- what ctl/ shows: backends/pipe_show.c ---- */

static int render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct statx stat;
    int error = nodes_stat(&nodes, ref, &stat);
    return error ? error : pipe_show_state(ref, &stat, values);
}

static int list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    int error = render(&ref, values);
    ipcfs_values_release(pipe_fields, values);
    return error;
}

/* What was in it is gone with the last who had it open. */
static int traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct statx stat;
    int error = nodes_stat(&nodes, ref, &stat);
    if (error)
        return error;
    tmpfs_traces(&stat, out);
    out->content_known = true;
    out->persistent = true;
    return 0;
}

static int limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    return pipe_show_limits(values);
}

static const struct ipcfs_field options[] = {{0}};

static const char *const directories[] = {"pipe", NULL};

const struct ipcfs_backend ipcfs_pipe_backend = {
    .kind = "pipe",
    .help = "named pipes (mkfifo): the kernel's own",
    .directories = directories,
    .fields = pipe_fields,
    .limit_fields = pipe_limit_fields,
    .limit_rows = pipe_limit_rows,
    .totals = pipe_totals,
    .options = options,
    .verbs = pipe_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .stat_system = stat_system,
    .find = find,
    .list_open = list_open,
    .list_seek = nodes_list_seek,
    .list_next = list_next,
    .list_close = nodes_list_close,
    .list_render = list_render,
    .create = create,
    .uncreate = uncreate,
    .remove = remove_name,
    .rename = rename_name,
    .link = link_name,
    .hold = hold,
    .release = nodes_release,
    .stat = stat_object,
    .change = change,
    .members = refuse_members,
    .render = render,
    .survey_fields = pipe_survey_fields,
    .survey = pipe_survey,
    .recognize = refuse_recognize,
    .traces = traces,
    .watched = pipe_nodes,
    .watched_name = pipe_watched_name,
    .look = refuse_look,
    .limits = limits,
    .open = refuse_open_node,
    .may_execute = refuse_execute,
    .close = refuse_close,
    .try_read = refuse_read,
    .try_write = refuse_write,
    .message_room = refuse_message_room,
    .lane = refuse_lane,
    .poll = refuse_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .makes = IPCFS_MAKES_FIFOS,
};
