/* SPDX-License-Identifier: MIT */
#include "graph.h"

#include "ipcfs/cleanup.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* ---- text within "…" ---- */

/* Names are cut where they are longer, in the middle: most that differ do so at one of their ends. */
enum { SHOWN_HEAD = 24, SHOWN_TAIL = 14 };

void graph_quote(struct text *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            text_string(out, "\\");
        text_bytes(out, &bytes[i], 1);
        if (bytes[i] == '&')
            text_string(out, "amp;");
    }
}

static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static void append_name(struct text *out, const char *name)
{
    AUTO_TEXT shown = {0};
    text_escape_line(&shown, name);
    if (text_error(&shown)) {
        out->error = text_error(&shown);
        return;
    }
    if (shown.length <= SHOWN_HEAD + SHOWN_TAIL + 3) {
        graph_quote(out, shown.data, shown.length);
        return;
    }
    size_t head = SHOWN_HEAD;
    size_t tail = shown.length - SHOWN_TAIL;
    while (is_inside_character(shown.data[head]))
        head--;
    while (is_inside_character(shown.data[tail]))
        tail++;
    graph_quote(out, shown.data, head);
    text_string(out, "…");
    graph_quote(out, shown.data + tail, shown.length - tail);
}

/* ---- objects ---- */

static void append_size(struct text *out, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    uint64_t unit = 1;
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof *units && bytes / unit >= 1024) {
        unit *= 1024;
        i++;
    }
    text_printf(out, "\\n%" PRIu64, bytes / unit);
    if (bytes % unit && bytes / unit < 10)
        text_printf(out, ".%" PRIu64, bytes % unit * 10 / unit);
    text_printf(out, " %s", units[i]);
}

/* What can be seen of it. Sockets have no size, and to ask for theirs is to walk through all. */
static void append_content(struct text *out, const struct inspected_object *object)
{
    struct ipcfs_traces traces;
    struct ipcfs_ref ref = {.id = {.number = object->number}, .name = object->name};
    struct ipcfs_found found;
    if (object->removed) {
        text_string(out, "\\n(removed)");
        return;
    }
    if (object->kind->find(0, object->name, &found, NULL) || found.id.number != object->number)
        return;
    ref.id = found.id;
    if (object->kind->traces(&ref, NULL, &traces))
        return;
    if (traces.memory)
        append_size(out, traces.bytes);
    else if (object->kind->messages && traces.content_known && traces.content)
        text_printf(out, "\\n%" PRIu64 " message%s", traces.content, traces.content == 1 ? "" : "s");
    else if (object->kind->messages && traces.content_known)
        text_string(out, "\\nempty");
}

static void append_object(struct text *out, const struct graph *graph, size_t index)
{
    const struct inspected_object *object = &graph->inspection->objects[index];
    bool is_id = object->kind && object->kind->directories[1];
    text_printf(out, "    o%zu [label=\"%s", index, is_id ? "id " : "");
    append_name(out, object->name ? object->name : "?");
    if (object->kind && !ipcfs_makes(object->kind, S_IFSOCK))
        append_content(out, object);
    text_string(out, "\"]\n");
}

/* What kind->help begins with, "named pipes (mkfifo): …", as a title. */
static void append_title(struct text *out, const struct ipcfs_backend *kind)
{
    const char first = (char)toupper((unsigned char)*kind->help);
    graph_quote(out, &first, 1);
    graph_quote(out, kind->help + 1, strcspn(kind->help, "(") - 2);
}

static void begin_cluster(struct text *out, size_t number, const struct ipcfs_backend *kind)
{
    static const char *const colours[] = {"#dbe9f6", "#fde3c8", "#ddf1d8", "#cfe3e6",
                                          "#f9d8d6", "#e3efc9", "#ece0f2", "#f7e1ee"};
    const char *colour = kind ? colours[number % (sizeof colours / sizeof *colours)] : "#e8e8e8";
    text_printf(out, "  subgraph cluster_%zu {\n    label=\"", number);
    if (kind)
        append_title(out, kind);
    else
        text_string(out, "Without a name");
    text_printf(out, "\"\n    node [fillcolor=\"%s\"]\n", colour);
}

/* Those of a kind; NULL: those that are not in the tree. */
static void append_cluster(struct text *out, const struct graph *graph, size_t number,
                           const struct ipcfs_backend *kind)
{
    bool begun = false;
    for (size_t i = 0; i < graph->inspection->object_count; i++) {
        const struct inspected_object *object = &graph->inspection->objects[i];
        bool own = object->type == INSPECTED_OBJECT ? kind == object->kind : !kind;
        if (!graph->shown[i] || !own)
            continue;
        if (!begun)
            begin_cluster(out, number, kind);
        begun = true;
        append_object(out, graph, i);
    }
    if (begun)
        text_string(out, "  }\n");
}

/* ---- processes ---- */

enum { PIDS_SHOWN = 3 };

static void append_pids(struct text *out, const struct graph *graph, const struct graph_group *group)
{
    text_string(out, group->count > 1 ? "\\npids" : "\\npid");
    for (size_t i = 0; i < group->count && i < PIDS_SHOWN; i++)
        text_printf(out, "%s %d", i ? "," : "", graph->inspection->processes[group->processes[i]].pid);
    text_string(out, group->count > PIDS_SHOWN ? " …" : "");
}

static void append_group(struct text *out, const struct graph *graph, const struct graph_group *group)
{
    size_t first = group->processes[0];
    text_printf(out, "  p%zu [label=\"", first);
    append_name(out, graph->inspection->processes[first].command);
    if (group->count > 1)
        text_printf(out, " ×%zu", group->count);
    append_pids(out, graph, group);
    text_string(out, group->count > 1 ? "\", peripheries=2]\n" : "\"]\n");
}

/* ---- edges ---- */

static void append_edge_looks(struct text *out, const struct graph_edge *edge)
{
    if (edge->maps || edge->attaches)
        text_string(out, ", penwidth=2");
    if (edge->waits)
        text_printf(out, ", label=\"%s\", style=dashed, color=\"#c00000\", fontcolor=\"#c00000\"",
                    edge->call ? edge->call : "waits");
    else if (edge->part)
        text_printf(out, ", label=\"%s\"", edge->part);
}

/* From left to right as the data goes: who only reads stands behind what he reads from. */
static void append_edge(struct text *out, const struct graph_edge *edge)
{
    bool reads_only = edge->reads && !edge->writes;
    const char *direction = edge->reads && edge->writes   ? "both"
                            : edge->reads || edge->writes ? "forward"
                                                          : "none";
    if (reads_only)
        text_printf(out, "  o%zu -> p%zu [dir=%s", edge->object, edge->process, direction);
    else
        text_printf(out, "  p%zu -> o%zu [dir=%s", edge->process, edge->object, direction);
    append_edge_looks(out, edge);
    text_string(out, "]\n");
}

static void append_edges(struct text *out, const struct graph *graph, const struct graph_group *group)
{
    for (size_t i = 0; i < group->edge_count; i++)
        if (graph->shown[group->edges[i].object])
            append_edge(out, &group->edges[i]);
}

/* ---- all of it ---- */

static const char head[] =
    "digraph ipcfs {\n"
    "  graph [rankdir=LR, ranksep=1.1, nodesep=0.18, fontname=Helvetica, fontsize=11, style=rounded, "
    "color=\"#b0b0b0\", fontcolor=\"#505050\",\n"
    "    label=\"Arrows: the way of the data. Thick: mapped or attached. Dashed: waits, in that call.\"]\n"
    "  node [fontname=Helvetica, fontsize=11, style=filled, color=\"#606060\", shape=box, "
    "fillcolor=\"#ffffff\"]\n"
    "  edge [fontname=Helvetica, fontsize=9, color=\"#606060\", fontcolor=\"#606060\", arrowsize=0.7]\n";

int graph_dot(const struct inspection *inspection, struct text *out)
{
    AUTO_GRAPH graph = {0};
    int error = graph_make(inspection, &graph);
    if (error)
        return error;
    size_t kinds = 0;
    text_string(out, head);
    for (size_t i = 0; i < graph.group_count; i++)
        append_group(out, &graph, &graph.groups[i]);
    text_string(out, "  node [shape=ellipse]\n");
    for (; ipcfs_backends[kinds]; kinds++)
        append_cluster(out, &graph, kinds, ipcfs_backends[kinds]);
    append_cluster(out, &graph, kinds, NULL);
    for (size_t i = 0; i < graph.group_count; i++)
        append_edges(out, &graph, &graph.groups[i]);
    text_string(out, "}\n");
    return text_error(out);
}
