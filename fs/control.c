/* SPDX-License-Identifier: MIT */
#include "control.h"

#include "control_views.h"
#include "fields.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <string.h>

/* ---- files of an object ---- */

static int state_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                      const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    const struct ipcfs_backend *kind = kin->backend;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->render(ref, values);
    if (!error)
        fields_text(out, kind->fields, values);
    ipcfs_values_release(kind->fields, values);
    return error;
}

static int state_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                      const struct ipcfs_ref *ref, struct text *out)
{
    (void)fs;
    (void)caller;
    const struct ipcfs_backend *kind = kin->backend;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->render(ref, values);
    if (!error)
        error = fields_json(out, kind->fields, values);
    ipcfs_values_release(kind->fields, values);
    text_string(out, "\n");
    return error;
}

static const struct {
    struct ipcfs_verb verb;
    int (*read)(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                const struct ipcfs_ref *ref, struct text *out);
} common_verbs[] = {
    {{.name = "state", .mode = 0444, .help = "the object's fields, a line each"}, state_text},
    {{.name = "state.json", .mode = 0444, .help = "the same as one JSON object"}, state_json},
    {{.name = "holders",
      .mode = 0444,
      .slow = true,
      .help = "who has it open, mapped or attached, or waits for it"},
     holders_text},
    {{.name = "holders.json", .mode = 0444, .slow = true, .help = "the same as a JSON array"}, holders_json},
    {{.name = "waiters",
      .mode = 0444,
      .slow = true,
      .help = "who waits for it: since when, and in which call"},
     waiters_text},
    {{.name = "waiters.json", .mode = 0444, .slow = true, .help = "the same as a JSON array"}, waiters_json},
    {{.name = "lines",
      .type = IPCFS_VERB_FILE,
      .mode = 0666,
      .help = "a message per line: write sends, read receives",
      .unlisted = true},
     NULL},
};

/* The two that render() makes are the first, and `lines` is the last, so that kinds without messages have one less. */
enum {
    STATE_JSON_VERB = 1,
    COMMON_VERBS = sizeof common_verbs / sizeof *common_verbs,
    LINES_VERB = COMMON_VERBS - 1,
};

static unsigned common_count(const struct ipcfs_backend *kind)
{
    return kind->messages ? COMMON_VERBS : LINES_VERB;
}

/* Whether it is one that objects of all kinds have. */
static bool is_common(const struct ipcfs_backend *kind, enum node_type type, unsigned index)
{
    bool inside = node_is_part(type) || type == NODE_OBJECT_DIR;
    return !inside && index < common_count(kind);
}

bool control_verb_is_lines(const struct node_kin *kin)
{
    return is_common(kin->backend, kin->type, kin->verb) && kin->verb == LINES_VERB;
}

static const struct ipcfs_verb *verb_at(const struct ipcfs_verb *table, unsigned index)
{
    while (index && table->name) {
        table++;
        index--;
    }
    return table->name ? table : NULL;
}

const struct ipcfs_verb *control_verb(const struct ipcfs_backend *kind, enum node_type type, unsigned index)
{
    switch (type) {
    case NODE_OBJECT_DIR:
    case NODE_OBJECT_FILE:
        return verb_at(kind->files, index);
    case NODE_MEMBER:
    case NODE_MEMBER_FILE:
        return verb_at(kind->member_files, index);
    default:
        break;
    }
    if (is_common(kind, type, index))
        return &common_verbs[index].verb;
    return verb_at(kind->verbs, index - common_count(kind));
}

const struct ipcfs_verb *control_verb_of(const struct node_kin *kin)
{
    return control_verb(kin->backend, kin->type, kin->verb);
}

int control_verb_find(const struct ipcfs_backend *kind, enum node_type type, const char *name,
                      unsigned *index)
{
    const struct ipcfs_verb *verb = NULL;
    for (unsigned i = 0; (verb = control_verb(kind, type, i)); i++) {
        if (strcmp(verb->name, name) == 0) {
            *index = i;
            return 0;
        }
    }
    return -ENOENT;
}

bool control_verb_is_slow(const struct node_kin *kin)
{
    bool renders = is_common(kin->backend, kin->type, kin->verb) && kin->verb <= STATE_JSON_VERB;
    return control_verb_of(kin)->slow || (renders && kin->backend->slow_render);
}

int control_verb_read(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                      const struct ipcfs_ref *ref, struct text *out)
{
    if (is_common(kin->backend, kin->type, kin->verb)) {
        const bool has_text = common_verbs[kin->verb].read != NULL;
        return has_text ? common_verbs[kin->verb].read(fs, caller, kin, ref, out) : 0;
    }
    const struct ipcfs_verb *verb = control_verb_of(kin);
    return verb->read ? verb->read(ref, kin->number, out) : 0;
}

/* ---- ctl/<kind>/ ---- */

const struct control_file control_kind_files[] = {
    {.name = "list",
     .help = "what there is, a line each, under a line of field names",
     .mode = 0444,
     .slow = true,
     .render = control_kind_list},
    {.name = "list.json",
     .help = "the same as a JSON array",
     .mode = 0444,
     .slow = true,
     .render = control_kind_list_json},
    {.name = "limits",
     .help = "what limits the objects, and how much of it is in use",
     .mode = 0444,
     .slow = true,
     .render = control_kind_limits},
    {.name = "limits.json",
     .help = "the same as one JSON object",
     .mode = 0444,
     .slow = true,
     .render = control_kind_limits_json},
    {0},
};

const struct control_file control_create_files[] = {
    {.name = "create",
     .help = "write NAME [option=value]...: makes an object",
     .mode = 0666,
     .write = control_create},
    {0},
};

const struct control_file control_sysv_files[] = {
    {.name = "ftok",
     .help = "write PATH PROJ, read the key that ftok(3) makes of them",
     .mode = 0666,
     .write = control_ftok},
    {0},
};

/* ---- ctl/ ---- */

static int render_version(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                          struct text *out)
{
    (void)caller;
    (void)kind;
    text_printf(out, "version: %s\n", IPCFS_VERSION);
    text_printf(out, "libfuse: %s\n", fuse_pkgversion());
    text_printf(out, "kernel_protocol: %u.%u\n", fs->protocol_major, fs->protocol_minor);
    text_printf(out, "passthrough: %s\n", fs->passthrough ? "on" : "off");
    text_printf(out, "passthrough_reason: %s\n", fs->passthrough_reason);
    text_printf(out, "left_out: %s\n", *fs->left_out ? fs->left_out : "nothing");
    text_printf(out, "default_request_timeout: %u\n", fs->default_request_timeout);
    text_printf(out, "max_request_timeout: %u\n", fs->max_request_timeout);
    text_printf(out, "threads: %u\n", atomic_load(&fs->threads));
    text_printf(out, "poll_percent: %u\n", fs->poll_percent);
    return 0;
}

static int render_last_error(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                             struct text *out)
{
    (void)kind;
    last_error_text(&fs->last_errors, caller->uid, out);
    return 0;
}

const struct control_file control_files[] = {
    {.name = "README", .help = "this text", .mode = 0444, .render = control_readme},
    {.name = "version", .help = "versions, and which mode is on", .mode = 0444, .render = render_version},
    {.name = "list.json",
     .help = "all there is of every kind, as one JSON object",
     .mode = 0444,
     .slow = true,
     .render = control_list_json},
    {.name = "limits",
     .help = "every limit of IPC, how much of it is in use, and where it is set",
     .mode = 0444,
     .slow = true,
     .render = control_limits},
    {.name = "limits.json",
     .help = "the same as a JSON array",
     .mode = 0444,
     .slow = true,
     .render = control_limits_json},
    /* Not slow: who reads a slow file is parked, and this one says how many are. */
    {.name = "metrics",
     .help = "counts, bytes and limits of every kind, and the daemon's own counters, as OpenMetrics text",
     .mode = 0444,
     .render = control_metrics},
    {.name = "orphans",
     .help = "what nobody holds: the evidence, a verdict, and the command that removes it",
     .mode = 0444,
     .slow = true,
     .render = control_orphans},
    {.name = "orphans.json",
     .help = "the same as a JSON array",
     .mode = 0444,
     .slow = true,
     .render = control_orphans_json},
    {.name = "waits",
     .help = "who waits for whom, and by what",
     .mode = 0444,
     .slow = true,
     .render = control_waits},
    {.name = "waits.json",
     .help = "the same as a JSON array",
     .mode = 0444,
     .slow = true,
     .render = control_waits_json},
    {.name = "waits.dot",
     .help = "the same as a graph for dot(1)",
     .mode = 0444,
     .slow = true,
     .render = control_waits_dot},
    {.name = "deadlocks",
     .help = "those who wait for each other and for nobody else, a sentence each",
     .mode = 0444,
     .slow = true,
     .render = control_deadlocks},
    {.name = "events",
     .help = "what happens to objects from now on, a line each; it has no end",
     .mode = 0444,
     .unlisted = true,
     .events = CONTROL_EVENTS},
    {.name = "events.json",
     .help = "the same as a JSON object a line",
     .mode = 0444,
     .unlisted = true,
     .events = CONTROL_EVENTS_JSON},
    {.name = "graph.dot",
     .help = "processes and what they use, as a graph for dot(1)",
     .mode = 0444,
     .slow = true,
     .render = control_graph},
    {.name = "last-error",
     .help = "why the last line that you wrote was refused, and when",
     .mode = 0444,
     .render = render_last_error},
    {0},
};
