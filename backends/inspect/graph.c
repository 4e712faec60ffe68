/* SPDX-License-Identifier: MIT */
#include "graph.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- which objects are one ---- */

/* One end of a connection. */
struct end {
    uint32_t socket;
    size_t object;
};

static int compare_ends(const void *a, const void *b)
{
    const struct end *left = a;
    const struct end *right = b;
    return (left->socket > right->socket) - (left->socket < right->socket);
}

static uint32_t socket_of(const struct inspected_object *object)
{
    if (object->socket)
        return object->socket;
    return object->type == INSPECTED_SOCKET ? (uint32_t)object->number : 0;
}

/* What stands for a connection: of its two ends the one in the tree, or else the first. */
static size_t stand_in(const struct inspection *inspection, size_t object, size_t peer)
{
    const struct inspected_object *all = inspection->objects;
    bool own = all[object].type == INSPECTED_OBJECT;
    bool others = all[peer].type == INSPECTED_OBJECT;
    if (own != others)
        return own ? object : peer;
    return own || object < peer ? object : peer;
}

/* `stands[i]`: the object that is shown for object i. */
static int join_ends(const struct inspection *inspection, size_t *stands)
{
    size_t count = 0;
    AUTO_FREE struct end *ends = calloc(inspection->object_count + 1, sizeof *ends);
    if (!ends)
        return -ENOMEM;
    for (size_t i = 0; i < inspection->object_count; i++)
        if (socket_of(&inspection->objects[i]))
            ends[count++] = (struct end){.socket = socket_of(&inspection->objects[i]), .object = i};
    qsort(ends, count, sizeof *ends, compare_ends);
    for (size_t i = 0; i < inspection->object_count; i++) {
        struct end key = {.socket = inspection->objects[i].peer};
        const struct end *peer = key.socket ? bsearch(&key, ends, count, sizeof *ends, compare_ends) : NULL;
        stands[i] = peer ? stand_in(inspection, i, peer->object) : i;
    }
    return 0;
}

/* ---- what is shown ---- */

/* Who is at one side of something. */
struct side {
    bool any, many;
    size_t first; /* process */
};

static void add_to_side(struct side *side, size_t process)
{
    if (!side->any)
        side->first = process;
    side->many = side->many || (side->any && side->first != process);
    side->any = true;
}

struct sides {
    struct side one, other;
};

static bool is_connected(const struct sides *sides)
{
    return sides->one.any && sides->other.any &&
           (sides->one.many || sides->other.many || sides->one.first != sides->other.first);
}

/* A pipe connects who reads with who writes, a connection those at its two ends, memory all who have it. */
static void add_use(const struct inspection *inspection, const struct inspected_use *use, size_t stand,
                    struct sides *sides)
{
    enum inspected_type type = inspection->objects[stand].type;
    bool both = type != INSPECTED_PIPE && type != INSPECTED_SOCKET;
    bool one = type == INSPECTED_PIPE ? use->reads : use->object == stand;
    bool other = type == INSPECTED_PIPE ? use->writes : use->object != stand;
    if (one || both)
        add_to_side(&sides->one, use->process);
    if (other || both)
        add_to_side(&sides->other, use->process);
}

/* Marks those who use something in the tree, and then what connects two of them. */
static int choose(const struct inspection *inspection, const size_t *stands, bool *shown)
{
    AUTO_FREE bool *users = calloc(inspection->process_count + 1, sizeof *users);
    AUTO_FREE struct sides *sides = calloc(inspection->object_count + 1, sizeof *sides);
    if (!users || !sides)
        return -ENOMEM;
    for (size_t i = 0; i < inspection->use_count; i++) {
        const struct inspected_use *use = &inspection->uses[i];
        size_t stand = stands[use->object];
        if (inspection->objects[stand].type == INSPECTED_OBJECT)
            shown[stand] = users[use->process] = true;
    }
    for (size_t i = 0; i < inspection->use_count; i++) {
        const struct inspected_use *use = &inspection->uses[i];
        if (users[use->process])
            add_use(inspection, use, stands[use->object], &sides[stands[use->object]]);
    }
    for (size_t i = 0; i < inspection->object_count; i++) {
        enum inspected_type type = inspection->objects[i].type;
        if (type != INSPECTED_OBJECT && type != INSPECTED_EXIT)
            shown[i] = is_connected(&sides[i]);
    }
    return 0;
}

/* ---- edges ---- */

static int compare_edges(const void *a, const void *b)
{
    const struct graph_edge *left = a;
    const struct graph_edge *right = b;
    if (left->process != right->process)
        return left->process < right->process ? -1 : 1;
    return (left->object > right->object) - (left->object < right->object);
}

static struct graph_edge edge_of(const struct inspected_use *use, size_t object)
{
    bool waits = use->how == USE_WAITING;
    return (struct graph_edge){.process = use->process,
                               .object = object,
                               .reads = use->reads,
                               .writes = use->writes,
                               .maps = use->how == USE_MAPPING,
                               .attaches = use->how == USE_ATTACHMENT,
                               .waits = waits,
                               .call = waits ? use->call : NULL,
                               .part = use->part};
}

static void merge(struct graph_edge *into, const struct graph_edge *edge)
{
    into->reads |= edge->reads;
    into->writes |= edge->writes;
    into->maps |= edge->maps;
    into->attaches |= edge->attaches;
    into->waits |= edge->waits;
    into->call = into->call ? into->call : edge->call;
    if (!into->part || !edge->part || strcmp(into->part, edge->part) != 0)
        into->part = NULL;
}

/* How many there are: one for each process and object. */
static size_t collect(const struct inspection *inspection, const size_t *stands, const bool *shown,
                      struct graph_edge *edges)
{
    size_t count = 0;
    size_t merged = 0;
    for (size_t i = 0; i < inspection->use_count; i++) {
        const struct inspected_use *use = &inspection->uses[i];
        if (shown[stands[use->object]])
            edges[count++] = edge_of(use, stands[use->object]);
    }
    qsort(edges, count, sizeof *edges, compare_edges);
    for (size_t i = 0; i < count; i++) {
        if (merged && compare_edges(&edges[merged - 1], &edges[i]) == 0)
            merge(&edges[merged - 1], &edges[i]);
        else
            edges[merged++] = edges[i];
    }
    return merged;
}

/* ---- groups ---- */

/* A process with its edges. */
struct actor {
    const struct process *process;
    size_t index;
    const struct graph_edge *edges;
    size_t count;
};

static int compare_words(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static unsigned edge_bits(const struct graph_edge *edge)
{
    return (unsigned)edge->reads | (unsigned)edge->writes << 1 | (unsigned)edge->maps << 2 |
           (unsigned)edge->attaches << 3 | (unsigned)edge->waits << 4;
}

static int compare_use(const struct graph_edge *a, const struct graph_edge *b)
{
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (edge_bits(a) != edge_bits(b))
        return edge_bits(a) < edge_bits(b) ? -1 : 1;
    int order = compare_words(a->call, b->call);
    return order ? order : compare_words(a->part, b->part);
}

/* 0: they are one node. */
static int compare_roles(const struct actor *a, const struct actor *b)
{
    int order = strcmp(a->process->command, b->process->command);
    if (!order)
        order = (a->process->parent > b->process->parent) - (a->process->parent < b->process->parent);
    if (!order)
        order = (a->count > b->count) - (a->count < b->count);
    for (size_t i = 0; !order && i < a->count; i++)
        order = compare_use(&a->edges[i], &b->edges[i]);
    return order;
}

static int compare_actors(const void *a, const void *b)
{
    int order = compare_roles(a, b);
    size_t left = ((const struct actor *)a)->index;
    size_t right = ((const struct actor *)b)->index;
    return order ? order : (left > right) - (left < right);
}

static size_t list_actors(const struct inspection *inspection, const struct graph_edge *edges, size_t count,
                          struct actor *actors)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || edges[i].process != edges[i - 1].process)
            actors[found++] = (struct actor){.process = &inspection->processes[edges[i].process],
                                             .index = edges[i].process,
                                             .edges = &edges[i]};
        actors[found - 1].count++;
    }
    qsort(actors, found, sizeof *actors, compare_actors);
    return found;
}

static int make_groups(const struct graph_edge *edges, size_t count, struct graph *graph)
{
    AUTO_FREE struct actor *actors = calloc(count + 1, sizeof *actors);
    AUTO_FREE size_t *members = calloc(count + 1, sizeof *members);
    AUTO_FREE struct graph_group *groups = calloc(count + 1, sizeof *groups);
    if (!actors || !members || !groups)
        return -ENOMEM;
    size_t found = list_actors(graph->inspection, edges, count, actors);
    for (size_t i = 0; i < found; i++) {
        members[i] = actors[i].index;
        if (i == 0 || compare_roles(&actors[i - 1], &actors[i]) != 0)
            groups[graph->group_count++] = (struct graph_group){
                .processes = &members[i], .edges = actors[i].edges, .edge_count = actors[i].count};
        groups[graph->group_count - 1].count++;
    }
    graph->groups = groups;
    graph->memory[0] = TAKE_PTR(groups);
    graph->memory[1] = TAKE_PTR(members);
    return 0;
}

/* What connects nothing but the members of one group says nothing. */
static int drop_lonely(struct graph *graph)
{
    AUTO_FREE unsigned char *groups_of = calloc(graph->inspection->object_count + 1, 1);
    if (!groups_of)
        return -ENOMEM;
    for (size_t i = 0; i < graph->group_count; i++)
        for (size_t k = 0; k < graph->groups[i].edge_count; k++)
            if (groups_of[graph->groups[i].edges[k].object] < 2)
                groups_of[graph->groups[i].edges[k].object]++;
    for (size_t i = 0; i < graph->inspection->object_count; i++)
        graph->shown[i] =
            graph->shown[i] && (graph->inspection->objects[i].type == INSPECTED_OBJECT || groups_of[i] > 1);
    return 0;
}

int graph_make(const struct inspection *inspection, struct graph *out)
{
    *out = (struct graph){.inspection = inspection};
    AUTO_GRAPH graph = *out;
    AUTO_FREE size_t *stands = calloc(inspection->object_count + 1, sizeof *stands);
    struct graph_edge *edges = calloc(inspection->use_count + 1, sizeof *edges);
    graph.memory[2] = edges;
    graph.shown = calloc(inspection->object_count + 1, sizeof *graph.shown);
    if (!stands || !edges || !graph.shown)
        return -ENOMEM;
    int error = join_ends(inspection, stands);
    if (!error)
        error = choose(inspection, stands, graph.shown);
    if (!error)
        error = make_groups(edges, collect(inspection, stands, graph.shown, edges), &graph);
    if (!error)
        error = drop_lonely(&graph);
    if (error)
        return error;
    *out = graph;
    graph = (struct graph){0};
    return 0;
}

void graph_free(struct graph *graph)
{
    for (size_t i = 0; i < sizeof graph->memory / sizeof *graph->memory; i++)
        free(graph->memory[i]);
    free(graph->shown);
    *graph = (struct graph){0};
}
