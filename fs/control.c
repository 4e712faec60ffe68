/* SPDX-License-Identifier: MIT */
#include "control.h"

#include "control_views.h"
#include "fields.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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

/* What the rows of a kind's lists have. */
static const struct ipcfs_field *list_fields(const struct ipcfs_backend *kind)
{
    return kind->survey_fields->name ? kind->survey_fields : kind->fields;
}

/* Calls `row` with the values of every object of a kind, or with what a survey finds. Objects that vanish meanwhile are
 * passed over. */
static int for_each_row(const struct ipcfs_backend *kind, ipcfs_survey_row *row, void *data)
{
    if (kind->survey_fields->name)
        return kind->survey(row, data);
    struct ipcfs_lister *lister = NULL;
    int error = kind->list_open(0, &lister);
    if (error)
        return error;
    struct ipcfs_entry entry;
    while (!error && (error = kind->list_next(lister, &entry)) == 1) {
        struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
        error = kind->list_render(lister, &entry, values);
        if (error == -ENOENT || error == -ESTALE)
            error = 0;
        else if (!error)
            error = row(data, values);
    }
    kind->list_close(lister);
    return error;
}

static int list_row(void *list, const struct ipcfs_value *values)
{
    fields_list_row(list, values);
    return 0;
}

static int render_list(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                       struct text *out)
{
    (void)caller;
    (void)fs;
    struct fields_list *list = fields_list_new(list_fields(kind));
    if (!list)
        return -ENOMEM;
    int error = for_each_row(kind, list_row, list);
    int finish_error = fields_list_finish(list, out);
    return error ? error : finish_error;
}

struct json_rows {
    const struct ipcfs_field *fields;
    struct text *out;
    bool some;
};

static int json_row(void *data, const struct ipcfs_value *values)
{
    struct json_rows *rows = data;
    text_string(rows->out, rows->some ? ",\n" : "\n");
    rows->some = true;
    return fields_json(rows->out, rows->fields, values);
}

static int render_list_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                            struct text *out)
{
    (void)caller;
    (void)fs;
    struct json_rows rows = {.fields = list_fields(kind), .out = out};
    text_string(out, "[");
    int error = for_each_row(kind, json_row, &rows);
    text_string(out, rows.some ? "\n]\n" : "]\n");
    return error;
}

static int render_limits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                         struct text *out)
{
    (void)fs;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->limits(caller, values);
    if (!error)
        fields_text(out, kind->limit_fields, values);
    return error;
}

const struct control_file control_kind_files[] = {
    {.name = "list",
     .help = "what there is, a line each, under a line of field names",
     .mode = 0444,
     .slow = true,
     .render = render_list},
    {.name = "list.json",
     .help = "the same as a JSON array",
     .mode = 0444,
     .slow = true,
     .render = render_list_json},
    {.name = "limits",
     .help = "what limits the objects, and how much of it is in use",
     .mode = 0444,
     .render = render_limits},
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
    return 0;
}

static int render_last_error(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                             struct text *out)
{
    (void)kind;
    last_error_text(&fs->last_errors, caller->uid, out);
    return 0;
}

/* ---- ctl/README ---- */

static void readme_line(struct text *out, const char *path, const char *help, const char *marks)
{
    int pad = 28 - (int)strlen(path);
    text_printf(out, "%s%*s %s%s\n", path, pad > 0 ? pad : 0, "", help, marks);
}

static void readme_files(struct text *out, const char *directory, const struct control_file *files)
{
    for (; files->name; files++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", directory, files->name);
        readme_line(out, path, files->help, files->unlisted ? " (unlisted)" : "");
    }
}

static void readme_fields(struct text *out, const struct ipcfs_field *fields)
{
    for (; fields->name; fields++)
        text_printf(out, "  %-26s %s%s%s\n", fields->name, fields->help, *fields->unit ? ", in " : "",
                    fields->unit);
}

static void readme_options(struct text *out, const struct ipcfs_backend *kind)
{
    if (!kind->options->name)
        return;
    text_string(out, "options of create (in numbers K, M and G are powers of 1024):\n");
    readme_fields(out, kind->options);
    text_printf(out, "  %-26s %s\n", "mode", "permission bits, octal; 0600 where it is not given");
}

/* The files of a place, which is at `place` in the object's directory. */
static void readme_verbs(struct text *out, const struct ipcfs_backend *kind, enum node_type type,
                         const char *place)
{
    const struct ipcfs_verb *verb = NULL;
    for (unsigned i = 0; (verb = control_verb(kind, type, i)); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/NAME/%s%s%s", kind->directories[0], place, verb->name,
                       verb->numbered ? "/N" : "");
        readme_line(out, path, verb->help, verb->unlisted ? " (unlisted)" : "");
    }
}

static void readme_kind(struct text *out, const struct ipcfs_backend *kind)
{
    char directory[64];
    text_printf(out, "\n%s: %s\n", kind->kind, kind->help);
    (void)snprintf(directory, sizeof directory, "%s/", kind->kind);
    readme_files(out, directory, control_kind_files);
    if (kind->options->name)
        readme_files(out, directory, control_create_files);
    readme_verbs(out, kind, NODE_CTL_DIR, "");
    readme_options(out, kind);
    text_string(out, "fields of a state:\n");
    readme_fields(out, kind->fields);
    if (kind->survey_fields->name) {
        text_string(out, "fields of a list:\n");
        readme_fields(out, kind->survey_fields);
    }
    text_string(out, "fields of limits:\n");
    readme_fields(out, kind->limit_fields);
}

static int render_readme(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                         struct text *out)
{
    (void)caller;
    (void)kind;
    text_string(
        out,
        "Control files. Reading any file that is listed here has no side effect and never blocks.\n"
        "Those marked (unlisted) are found by name only: reading them takes something or waits for it.\n"
        "A file that can be written takes a line at a time. Why a line was refused can be read from the\n"
        "same descriptor, or in last-error. In names, \\ooo stands for a byte, as in the lists.\n"
        "An object whose name is that of a fixed file has its directory under @NAME.\n\n");
    readme_files(out, "", control_files);
    for (size_t i = 0; fs->tree.kinds[i]; i++)
        readme_kind(out, fs->tree.kinds[i]);
    text_string(out, "\nNot under ctl, but in or beside the directories of objects:\n");
    for (size_t i = 0; fs->tree.kinds[i]; i++) {
        readme_verbs(out, fs->tree.kinds[i], NODE_OBJECT_DIR, "");
        readme_verbs(out, fs->tree.kinds[i], NODE_MEMBER, "N/");
    }
    readme_files(out, "sysv/", control_sysv_files);
    text_string(out, "  PATH is absolute, and as the daemon sees it; a path in this mount is refused.\n"
                     "  PROJ is a number of 1 to 255, or one character.\n");
    return 0;
}

const struct control_file control_files[] = {
    {.name = "README", .help = "this text", .mode = 0444, .render = render_readme},
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
    {.name = "metrics",
     .help = "counts, bytes and limits of every kind, and the daemon's own counters, as OpenMetrics text",
     .mode = 0444,
     .slow = true,
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
