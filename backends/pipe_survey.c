/* SPDX-License-Identifier: MIT */
#include "pipe.h"
#include "pipe_ends.h"
#include "pipe_show.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/place.h"

enum {
    FIELD_KIND,
    FIELD_NAME,
    FIELD_INO,
    FIELD_CAPACITY,
    FIELD_QUEUED,
    FIELD_READERS,
    FIELD_WRITERS,
    FIELD_MODE,
    FIELD_UID,
    FIELD_PIDS,
    FIELDS,
};

/* So many processes are named in `pids`. */
enum { PIDS_SHOWN = 16 };

const struct ipcfs_field pipe_survey_fields[] = {
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "fifo or anonymous"},
    [FIELD_NAME] = {"name", IPCFS_NAME, "",
                    "of a FIFO: its name in pipe/, or where it lies elsewhere, which begins with a slash"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number, as in pipe:[INO] of /proc/PID/fd; see state"},
    [FIELD_CAPACITY] = {"capacity", IPCFS_UNSIGNED, "bytes", "so much may wait in it"},
    [FIELD_QUEUED] = {"queued", IPCFS_UNSIGNED, "bytes", "that wait to be read"},
    [FIELD_READERS] = {"readers", IPCFS_UNSIGNED, "",
                       "processes that have it open for reading, of those that you may see"},
    [FIELD_WRITERS] = {"writers", IPCFS_UNSIGNED, "", "the same for writing"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner; of an anonymous pipe, who made it"},
    [FIELD_PIDS] = {"pids", IPCFS_STRING, "",
                    "those processes, each with r, w or rw: 12r,34w; after the first 16, +N for N more"},
    {0},
};

/* A pipe, by the descriptors of it. */
struct group {
    size_t first; /* in `ends` of the survey */
    size_t count;
    bool named; /* it is one of pipe/, and has been shown */
};

struct survey {
    ipcfs_survey_row *row;
    void *data;
    struct pipe_ends ends;
    struct group *groups;            /* owned, in the order of `ends` */
    struct pipe_question *questions; /* owned, one of each group */
    size_t count;
};

static void free_survey(struct survey *survey)
{
    free(survey->groups);
    free(survey->questions);
    pipe_ends_free(&survey->ends);
}

/* ---- what there is, as the caller may see it ---- */

static size_t end_of_group(const struct pipe_ends *ends, size_t first)
{
    size_t next = first + 1;
    while (next < ends->count && ends->rows[next].device == ends->rows[first].device &&
           ends->rows[next].ino == ends->rows[first].ino)
        next++;
    return next;
}

static int make_groups(struct survey *survey)
{
    const struct pipe_ends *ends = &survey->ends;
    survey->groups = calloc(ends->count + 1, sizeof *survey->groups);
    survey->questions = calloc(ends->count + 1, sizeof *survey->questions);
    if (!survey->groups || !survey->questions)
        return -ENOMEM;
    for (size_t first = 0; first < ends->count;) {
        size_t count = end_of_group(ends, first) - first;
        size_t best = first + pipe_ends_best(ends->rows + first, count);
        survey->groups[survey->count] = (struct group){.first = first, .count = count};
        survey->questions[survey->count] = pipe_end_question(ends->rows + best, pipe_look);
        survey->count++;
        first += count;
    }
    return 0;
}

static const struct pipe_end *first_end(const struct survey *survey, size_t index)
{
    return &survey->ends.rows[survey->groups[index].first];
}

/* What it is that is asked about, the caller has seen. */
static int ask_as_daemon(struct survey *survey)
{
    AUTO_IDENTITY daemon;
    int error = identity_put_on(&daemon, NULL);
    return error ? error : pipe_ask(survey->questions, survey->count);
}

/* ---- rows ---- */

static void write_pids(const struct pipe_end *ends, size_t count, struct text *out)
{
    size_t shown = 0;
    size_t more = 0;
    for (size_t i = 0; i < count;) {
        struct pipe_process process;
        i += pipe_ends_process(ends + i, count - i, &process);
        if (shown == PIDS_SHOWN)
            more++;
        else
            text_printf(out, "%s%d%s", shown++ ? "," : "", process.pid,
                        pipe_access_word(process.reads, process.writes));
    }
    if (more)
        text_printf(out, ",+%zu", more);
    text_bytes(out, "", 1);
}

/* What is the same of all that somebody has open. */
static int show_group(const struct survey *survey, size_t index, struct ipcfs_value *values)
{
    const struct pipe_end *ends = first_end(survey, index);
    size_t count = survey->groups[index].count;
    const struct pipe_question *answer = &survey->questions[index];
    AUTO_TEXT pids = {0};
    size_t readers = 0;
    size_t writers = 0;
    write_pids(ends, count, &pids);
    if (text_error(&pids))
        return text_error(&pids);
    pipe_ends_count(ends, count, &readers, &writers);
    values[FIELD_READERS] = ipcfs_number(readers);
    values[FIELD_WRITERS] = ipcfs_number(writers);
    values[FIELD_PIDS] = ipcfs_string(pids.data);
    if (!answer->error) {
        values[FIELD_CAPACITY] = ipcfs_number(answer->capacity);
        values[FIELD_QUEUED] = ipcfs_number(answer->queued);
    }
    return survey->row(survey->data, values);
}

/* One that is not in pipe/, or has no name there any more. */
static int show_other(const struct survey *survey, size_t index)
{
    const struct pipe_end *end = first_end(survey, index);
    const struct pipe_question *answer = &survey->questions[index];
    struct ipcfs_value values[FIELDS] = {0};
    values[FIELD_KIND] = ipcfs_string(end->path ? "fifo" : "anonymous");
    if (end->path && *end->path)
        values[FIELD_NAME] = ipcfs_string(end->path);
    values[FIELD_INO] = ipcfs_number(pipe_end_is_own(end) ? pipe_end_number(end) : end->ino);
    if (!answer->error) {
        values[FIELD_MODE] = ipcfs_number(answer->mode);
        values[FIELD_UID] = ipcfs_number(answer->uid);
    }
    return show_group(survey, index, values);
}

static int show_others(const struct survey *survey)
{
    int error = 0;
    for (size_t i = 0; i < survey->count && !error; i++)
        if (!survey->groups[i].named)
            error = show_other(survey, i);
    return error;
}

/* ---- pipe/ ---- */

/* The groups of FIFOs of the mount stand together, in the order of the numbers: all these have the same high bits. SIZE_MAX
 * where there is none of that number. */
static size_t find_group(const struct survey *survey, uint64_t number)
{
    size_t low = 0;
    size_t high = survey->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pipe_end *end = first_end(survey, middle);
        if (pipe_end_is_own(end) && pipe_end_number(end) == number)
            return middle;
        bool before =
            end->device != place_device() ? end->device < place_device() : pipe_end_number(end) < number;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return SIZE_MAX;
}

static int show_object(const struct survey *survey, const char *name, const struct ipcfs_found *found)
{
    struct ipcfs_value values[FIELDS] = {0};
    values[FIELD_KIND] = ipcfs_string("fifo");
    values[FIELD_NAME] = ipcfs_string(name);
    values[FIELD_INO] = ipcfs_number(found->id.number);
    values[FIELD_MODE] = ipcfs_number(found->stat.stx_mode & 07777);
    values[FIELD_UID] = ipcfs_number(found->stat.stx_uid);
    size_t index = find_group(survey, found->id.number);
    if (index != SIZE_MAX) {
        survey->groups[index].named = true;
        return show_group(survey, index, values);
    }
    values[FIELD_READERS] = ipcfs_number(0);
    values[FIELD_WRITERS] = ipcfs_number(0);
    return survey->row(survey->data, values);
}

static int show_objects(const struct survey *survey)
{
    const struct ipcfs_backend *kind = &ipcfs_pipe_backend;
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int error = kind->list_open(0, &lister);
    if (error)
        return error;
    while (!error && (error = kind->list_next(lister, &entry)) == 1) {
        struct ipcfs_found found;
        error = kind->find(0, entry.name, &found, NULL);
        if (!error)
            error = show_object(survey, entry.name, &found);
        else if (error == -ENOENT)
            error = 0; /* removed by now */
    }
    kind->list_close(lister);
    return error;
}

int pipe_survey(ipcfs_survey_row *row, void *data)
{
    struct survey survey = {.row = row, .data = data};
    int error = pipe_ends_of_all(&survey.ends);
    if (!error)
        error = make_groups(&survey);
    if (!error)
        error = ask_as_daemon(&survey);
    if (!error)
        error = show_objects(&survey);
    if (!error)
        error = show_others(&survey);
    free_survey(&survey);
    return error;
}
