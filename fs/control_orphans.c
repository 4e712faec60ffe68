/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "fields.h"
#include "inspect.h"
#include "ipcfs.h"
#include "inspect/orphans.h"

#include "ipcfs/cleanup.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum {
    FIELD_KIND,
    FIELD_NAME,
    FIELD_VERDICT,
    FIELD_AGE,
    FIELD_UID,
    FIELD_BYTES,
    FIELD_CONTENT,
    FIELD_CREATOR,
    FIELD_CREATOR_STATE,
    FIELD_USERS,
    FIELD_USERS_STATE,
    FIELD_UNSEEN,
    FIELD_EVIDENCE,
    FIELD_COMMAND,
    FIELDS,
};

static const struct ipcfs_field orphan_fields[] = {
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "where in the tree it is"},
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name there; of System V objects the id"},
    [FIELD_VERDICT] =
        {"verdict", IPCFS_STRING, "",
         "safe: all of whom the kernel remembers that they made or used it are dead, nothing in it "
         "would be lost; likely: nobody has it and who made it is gone, but anybody may come by its "
         "name; unknown: all else"},
    [FIELD_AGE] = {"age", IPCFS_UNSIGNED, "seconds", "since its last use that is recorded, or its creation"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_BYTES] = {"bytes", IPCFS_UNSIGNED, "bytes", "its size"},
    [FIELD_CONTENT] = {"content", IPCFS_UNSIGNED, "messages", "that wait in it and would be lost"},
    [FIELD_CREATOR] = {"creator", IPCFS_UNSIGNED, "", "process that made it, where that is recorded"},
    [FIELD_CREATOR_STATE] =
        {"creator_state", IPCFS_STRING, "",
         "dead; reused: a younger process has its pid; alive; gone: nothing is recorded, but "
         "all processes of the owner are younger; unknown"},
    [FIELD_USERS] = {"users", IPCFS_STRING, "", "processes that used it last, with commas between them"},
    [FIELD_USERS_STATE] = {"users_state", IPCFS_STRING, "",
                           "none, dead, reused, alive or unknown: the worst of all"},
    [FIELD_UNSEEN] =
        {"unseen", IPCFS_UNSIGNED, "",
         "processes into which you may not look: they may have it, where the kernel does not count"},
    [FIELD_EVIDENCE] = {"evidence", IPCFS_STRING, "",
                        "what the verdict follows from, with commas between the words"},
    [FIELD_COMMAND] = {"command", IPCFS_STRING, "", "what removes it, for a shell"},
    {0},
};

/* ---- command ---- */

/* The object's path under the mount point. */
static void append_path(const struct ipcfs *fs, const struct orphan *orphan, struct text *out)
{
    AUTO_TEXT path = {0};
    text_printf(&path, "%s/%s/%s", fs->mountpoint, orphan->kind->directories[0], orphan->name);
    text_bytes(&path, "", 1);
    if (text_error(&path))
        out->error = text_error(&path);
    else
        orphan_quote(out, path.data);
}

/* What takes the node away only if it still is a dead one. */
static void append_reclaim(const struct ipcfs *fs, const struct orphan *orphan, struct text *out)
{
    char name[NAME_MAX + 2];
    AUTO_TEXT path = {0};
    const struct tree_entry *controls = tree_controls(&fs->tree, orphan->kind, 0);
    if (!controls || tree_control_name(&fs->tree, controls, orphan->name, name, sizeof name)) {
        text_string(out, "rm -- ");
        append_path(fs, orphan, out);
        return;
    }
    text_printf(&path, "%s/ctl/%s/%s/reclaim", fs->mountpoint, orphan->kind->kind, name);
    text_bytes(&path, "", 1);
    text_string(out, "echo 1 > ");
    if (text_error(&path))
        out->error = text_error(&path);
    else
        orphan_quote(out, path.data);
}

static void append_command(const struct ipcfs *fs, const struct orphan *orphan, struct text *out)
{
    static const struct {
        const char *kind;
        const char *option;
    } sysv[] = {{"sysv/shm", "-m"}, {"sysv/msg", "-q"}, {"sysv/sem", "-s"}};
    for (size_t i = 0; i < sizeof sysv / sizeof *sysv; i++) {
        if (strcmp(orphan->kind->kind, sysv[i].kind) == 0) {
            text_printf(out, "ipcrm %s %s", sysv[i].option, orphan->name);
            return;
        }
    }
    if (orphan->traces.out_of_reach) {
        append_reclaim(fs, orphan, out);
        return;
    }
    text_string(out, ipcfs_is_directory(orphan->kind) ? "rmdir -- " : "rm -- ");
    append_path(fs, orphan, out);
}

/* ---- rows ---- */

/* What the values of a row are in. */
struct words {
    struct text users, evidence, command;
};

static void words_release(struct words *words)
{
    text_reset(&words->users);
    text_reset(&words->evidence);
    text_reset(&words->command);
}
#define AUTO_WORDS __attribute__((cleanup(words_release))) struct words

static int words_of(const struct ipcfs *fs, const struct orphan *orphan, struct words *out)
{
    for (size_t i = 0; i < orphan->traces.user_count; i++)
        text_printf(&out->users, "%s%d", i ? "," : "", orphan->traces.users[i]);
    orphan_evidence(orphan, &out->evidence);
    append_command(fs, orphan, &out->command);
    struct text *all[] = {&out->users, &out->evidence, &out->command};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        text_bytes(all[i], "", 1);
        if (text_error(all[i]))
            return text_error(all[i]);
    }
    return 0;
}

static uint64_t age_of(const struct ipcfs_traces *traces)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    time_t last = traces->used.tv_sec > traces->created.tv_sec ? traces->used.tv_sec : traces->created.tv_sec;
    return now.tv_sec > last ? (uint64_t)(now.tv_sec - last) : 0;
}

static const char *creator_word(const struct orphan *orphan)
{
    return orphan->creator == PAST_UNKNOWN && orphan->gone ? "gone" : orphan_past_word(orphan->creator);
}

static struct ipcfs_value number_if(bool known, uint64_t number)
{
    return (struct ipcfs_value){.known = known, .number = number};
}

static void fill_values(const struct orphan *orphan, const struct words *words, struct ipcfs_value *values)
{
    const struct ipcfs_traces *traces = &orphan->traces;
    values[FIELD_KIND] = ipcfs_string(orphan->kind->kind);
    values[FIELD_NAME] = ipcfs_string(orphan->name);
    values[FIELD_VERDICT] = ipcfs_string(orphan_verdict_word(orphan->verdict));
    values[FIELD_AGE] = ipcfs_number(age_of(traces));
    values[FIELD_UID] = ipcfs_number(orphan->uid);
    values[FIELD_BYTES] = number_if(traces->bytes_known, traces->bytes);
    values[FIELD_CONTENT] = number_if(traces->content_known, traces->content);
    values[FIELD_CREATOR] = number_if(traces->creator, (uint64_t)traces->creator);
    values[FIELD_CREATOR_STATE] = ipcfs_string(creator_word(orphan));
    values[FIELD_USERS] = (struct ipcfs_value){.known = traces->user_count, .string = words->users.data};
    values[FIELD_USERS_STATE] = ipcfs_string(orphan_past_word(orphan->users));
    values[FIELD_UNSEEN] = ipcfs_number(orphan->unseen);
    values[FIELD_EVIDENCE] = ipcfs_string(words->evidence.data);
    values[FIELD_COMMAND] = ipcfs_string(words->command.data);
}

/* ---- the files ---- */

struct rows {
    struct ipcfs *fs;
    struct fields_list *list; /* NULL: as JSON */
    struct fields_rows json;
};

static int add_row(void *data, const struct orphan *orphan)
{
    struct rows *rows = data;
    AUTO_WORDS words = {0};
    struct ipcfs_value values[FIELDS];
    int error = words_of(rows->fs, orphan, &words);
    if (error)
        return error;
    fill_values(orphan, &words, values);
    if (rows->list)
        fields_list_row(rows->list, values);
    else
        fields_rows_add(&rows->json, values);
    return 0;
}

static int add_all(struct rows *rows, const struct caller *caller)
{
    AUTO_INSPECTED *look = NULL;
    int error = inspect(rows->fs, caller, INSPECT_HOLDERS | INSPECT_WAITERS, &look);
    return error ? error : orphans_find(rows->fs->tree.kinds, inspected(look), add_row, rows);
}

int control_orphans(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out)
{
    (void)kind;
    struct rows rows = {.fs = fs, .list = fields_list_new(orphan_fields)};
    if (!rows.list)
        return -ENOMEM;
    int error = add_all(&rows, caller);
    int finish_error = fields_list_finish(rows.list, out);
    return error ? error : finish_error;
}

int control_orphans_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                         struct text *out)
{
    (void)kind;
    struct rows rows = {.fs = fs, .json = fields_rows_begin(orphan_fields, out)};
    int error = add_all(&rows, caller);
    fields_rows_end(&rows.json);
    text_string(out, "\n");
    return error;
}
