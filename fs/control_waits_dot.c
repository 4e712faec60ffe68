/* SPDX-License-Identifier: MIT */
/* ctl/waits.dot: processes are boxes, what they wait for are ellipses; who waits points to that, and that to those who could
 * end it. What is part of a deadlock is red. */
#include "control_views.h"

#include "control_waits.h"
#include "inspect/graph.h"
#include "ipcfs.h"
#include "wait_words.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

/* More of those who could end a wait are not drawn, but counted. */
enum { HOLDERS_MAX = 16 };

struct drawing {
    const struct waits *waits;
    const bool *waits_shown;
    bool *shown;      /* of each process: it is in the picture */
    bool *waited;     /* of each thing */
    bool *red;        /* of each process */
    bool *red_waits;  /* of each wait */
    bool *red_waited; /* of each thing */
    struct text *out;
};

/* What is in a quoted string of dot(1): words that are escaped already, whose backslashes are to be seen. */
static void quoted(struct text *out, const struct text *words)
{
    text_string(out, "\"");
    graph_quote(out, words->data, words->length);
    text_string(out, "\"");
}

static const char *color(bool red)
{
    return red ? ", color=red, fontcolor=red" : "";
}

static int draw_process(const struct drawing *drawing, size_t process)
{
    AUTO_TEXT label = {0};
    wait_who_words(&label, drawing->waits->inspection, process, 0);
    text_printf(drawing->out, "  p%zu [shape=box, label=", process);
    quoted(drawing->out, &label);
    text_printf(drawing->out, "%s];\n", color(drawing->red[process]));
    return text_error(&label);
}

static int draw_thing(const struct drawing *drawing, size_t index)
{
    const struct waited *waited = &drawing->waits->waited[index];
    AUTO_TEXT label = {0};
    wait_thing_words(&label, drawing->waits->inspection, waited);
    text_printf(drawing->out, "  w%zu [shape=ellipse, label=", index);
    quoted(drawing->out, &label);
    text_printf(drawing->out, "%s];\n", color(drawing->red_waited[index]));
    return text_error(&label);
}

static void draw_holders(const struct drawing *drawing, size_t index)
{
    const struct waited *waited = &drawing->waits->waited[index];
    const char *evidence = wait_evidence_words(waited->evidence);
    for (size_t i = 0; i < waited->count && i < HOLDERS_MAX; i++) {
        size_t process = drawing->waits->holders[waited->first + i].process;
        text_printf(drawing->out, "  w%zu -> p%zu [label=\"%s\"%s%s];\n", index, process,
                    evidence ? evidence : "", waited->presumed ? ", style=dashed" : "",
                    color(drawing->red_waited[index] && drawing->red[process]));
    }
    if (waited->count > HOLDERS_MAX) {
        text_printf(drawing->out, "  m%zu [shape=plaintext, label=\"%zu more\"];\n", index,
                    waited->count - HOLDERS_MAX);
        text_printf(drawing->out, "  w%zu -> m%zu;\n", index, index);
    }
}

static void draw_wait(const struct drawing *drawing, size_t index)
{
    const struct wait *wait = &drawing->waits->waits[index];
    const struct inspected_use *use = &drawing->waits->inspection->uses[wait->use];
    const struct waited *waited = &drawing->waits->waited[wait->waited];
    text_printf(drawing->out, "  p%zu -> w%zu [label=\"%s%s\"%s];\n", wait->process, wait->waited,
                wait_purpose_word(waited->purpose), use->timed ? ", timeout" : "",
                color(drawing->red_waits[index]));
}

static void mark_shown(const struct drawing *drawing)
{
    const struct waits *waits = drawing->waits;
    for (size_t i = 0; i < waits->count; i++) {
        if (!drawing->waits_shown[i])
            continue;
        drawing->shown[waits->waits[i].process] = true;
        drawing->waited[waits->waits[i].waited] = true;
    }
    for (size_t i = 0; i < waits->waited_count; i++)
        for (size_t j = 0; drawing->waited[i] && j < waits->waited[i].count && j < HOLDERS_MAX; j++)
            drawing->shown[waits->holders[waits->waited[i].first + j].process] = true;
}

static void mark_red(const struct drawing *drawing, const struct deadlocks *deadlocks)
{
    for (size_t i = 0; deadlocks && i < deadlocks->count; i++) {
        const struct deadlock *deadlock = &deadlocks->all[i];
        for (size_t j = deadlock->first; j < deadlock->first + deadlock->count; j++) {
            const struct wait *wait = &drawing->waits->waits[deadlocks->waits[j]];
            drawing->red_waits[deadlocks->waits[j]] = true;
            drawing->red[wait->process] = true;
            drawing->red_waited[wait->waited] = true;
        }
    }
}

static int draw(const struct drawing *drawing)
{
    const struct waits *waits = drawing->waits;
    int error = 0;
    text_string(drawing->out, "digraph waits {\n  rankdir=LR;\n");
    for (size_t i = 0; !error && i < waits->inspection->process_count; i++)
        if (drawing->shown[i])
            error = draw_process(drawing, i);
    for (size_t i = 0; !error && i < waits->waited_count; i++) {
        if (!drawing->waited[i])
            continue;
        error = draw_thing(drawing, i);
        draw_holders(drawing, i);
    }
    for (size_t i = 0; i < waits->count; i++)
        if (drawing->waits_shown[i])
            draw_wait(drawing, i);
    text_string(drawing->out, "}\n");
    return error ? error : text_error(drawing->out);
}

int control_waits_dot(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out)
{
    (void)kind;
    AUTO_WAITS_SEEN look = {0};
    AUTO_FREE bool *shown = NULL;
    int error = waits_look_for_deadlocks(fs, caller, &look);
    if (!error)
        error = waits_choose(&look, true, &shown);
    if (error)
        return error;
    size_t processes = look.waits->inspection->process_count;
    AUTO_FREE bool *marks =
        calloc(2 * processes + look.waits->count + 2 * look.waits->waited_count + 1, sizeof *marks);
    if (!marks)
        return -ENOMEM;
    const struct drawing drawing = {
        .waits = look.waits,
        .waits_shown = shown,
        .shown = marks,
        .red = marks + processes,
        .red_waits = marks + 2 * processes,
        .red_waited = marks + 2 * processes + look.waits->count,
        .waited = marks + 2 * processes + look.waits->count + look.waits->waited_count,
        .out = out,
    };
    mark_shown(&drawing);
    mark_red(&drawing, look.deadlocks);
    return draw(&drawing);
}
