/* SPDX-License-Identifier: MIT */
/*
 * The graph has a node of each stuck thread, of each thing that is waited for, and of each process: a thread leads to what it
 * waits for, that to those who could end it, and a process to its threads. Deadlocks are strongly connected parts of it
 * (Tarjan, Depth-first search and linear graph algorithms, 1972) that nothing outside keeps stuck.
 */
#include "deadlocks.h"

#include "stuck.h"

#include "mq.h"
#include "sysv_msg.h"

#include "ipcfs/cleanup.h"

#include <string.h>

/* Nodes are numbered: waits, then what is waited for, then processes. */
enum { NO_NODE = -1 };

struct node {
    size_t order, low; /* 0: not visited */
    size_t part;       /* 0: not known yet */
};

struct frame {
    size_t node;
    size_t edge;
};

struct graph {
    const struct waits *waits;
    struct stuck stuck;
    size_t first_process, node_count; /* numbers; what is waited for begins at waits->count */
    struct node *nodes;
    struct frame *frames; /* the way to where the walk is */
    size_t depth;
    size_t *open; /* nodes whose part is not known yet */
    size_t open_count;
    size_t visited, parts;
    struct deadlocks *out;
    size_t told; /* how many waits are in it */
};

/* ---- edges ---- */

static size_t node_of_holder(const struct graph *graph, const struct wait_holder *holder)
{
    return holder->tid ? (size_t)holder->wait : graph->first_process + holder->process;
}

static bool is_wait(const struct graph *graph, size_t node)
{
    return node < graph->waits->count;
}

static bool is_waited(const struct graph *graph, size_t node)
{
    return node >= graph->waits->count && node < graph->first_process;
}

static const struct waited *waited_of(const struct graph *graph, size_t node)
{
    return &graph->waits->waited[node - graph->waits->count];
}

static bool edge_of_waited(const struct graph *graph, const struct waited *waited, size_t edge, ptrdiff_t *to)
{
    if (edge == waited->count)
        return false;
    const struct wait_holder *holder = &graph->waits->holders[waited->first + edge];
    *to = stuck_holder(&graph->stuck, holder) ? (ptrdiff_t)node_of_holder(graph, holder) : NO_NODE;
    return true;
}

/* The edge of that number, from 0 on. False: there are no more. NO_NODE: it leads to somebody who is not stuck. */
static bool edge_of(const struct graph *graph, size_t node, size_t edge, ptrdiff_t *to)
{
    const struct waits *waits = graph->waits;
    if (is_wait(graph, node)) {
        *to = (ptrdiff_t)(waits->count + waits->waits[node].waited);
        return edge == 0;
    }
    if (is_waited(graph, node))
        return edge_of_waited(graph, waited_of(graph, node), edge, to);
    size_t count = 0;
    *to = (ptrdiff_t)(waits_of_process(waits, node - graph->first_process, &count) + edge);
    return edge < count;
}

/* ---- what is a deadlock ---- */

/* What everybody may put something into, and many wait for who have nothing to do. */
static bool is_idle_wait(const struct graph *graph, const struct wait *wait)
{
    const struct waited *waited = &graph->waits->waited[wait->waited];
    const struct inspected_object *object = &graph->waits->inspection->objects[waited->object];
    bool is_queue = object->type == INSPECTED_OBJECT &&
                    (object->kind == &ipcfs_mq_backend || object->kind == &ipcfs_sysv_msg_backend);
    return waited->purpose == WAITS_FOR_DATA && (is_queue || wait->serves);
}

/* What depends on who has something open, and not on a record of who has taken it. */
static bool is_by_use(enum wait_evidence evidence)
{
    return evidence != EVIDENCE_LOCK_TABLE && evidence != EVIDENCE_LOCK_WORD && evidence != EVIDENCE_CHILD;
}

/* What a part is made of. */
struct make_up {
    const struct waited *first; /* that is not the end of a child */
    bool several;               /* there are others, of other things */
    bool closed;                /* it is stuck by itself */
    bool idle;                  /* some wait for somebody else to come */
    bool taken;                 /* something that somebody has and others want */
    unsigned doubts;
};

/* What is waited for is told for each who waits, where it is a lock. */
static bool is_same_thing(const struct waited *a, const struct waited *b)
{
    return a->object == b->object && a->member == b->member && a->offset == b->offset &&
           a->purpose == b->purpose;
}

static void add_waited(const struct graph *graph, const struct waited *waited, struct make_up *sum)
{
    const struct inspection *inspection = graph->waits->inspection;
    if (waited->purpose != WAITS_FOR_CHILD) {
        sum->taken |= waited->purpose != WAITS_FOR_DATA;
        sum->several |= sum->first && !is_same_thing(sum->first, waited);
        sum->first = waited;
    }
    sum->doubts |= waited->open ? DOUBT_OPEN : 0U;
    sum->doubts |= waited->presumed ? DOUBT_PRESUMED : 0U;
    if (is_by_use(waited->evidence) && inspection->unreadable + inspection->stuck > 0)
        sum->doubts |= DOUBT_UNSEEN;
}

/* Whether all its edges stay in the part; one is enough where each holder has to let go. */
static bool stays(const struct graph *graph, size_t node)
{
    ptrdiff_t to = NO_NODE;
    if (is_waited(graph, node) && waited_of(graph, node)->every)
        return true;
    for (size_t edge = 0; edge_of(graph, node, edge, &to); edge++)
        if (to == NO_NODE || graph->nodes[to].part != graph->nodes[node].part)
            return false;
    return true;
}

static struct make_up look_at(const struct graph *graph, const size_t *nodes, size_t count)
{
    struct make_up sum = {.closed = count > 1};
    for (size_t i = 0; i < count; i++) {
        sum.closed &= stays(graph, nodes[i]);
        if (is_waited(graph, nodes[i]))
            add_waited(graph, waited_of(graph, nodes[i]), &sum);
        else if (is_wait(graph, nodes[i]))
            sum.idle |= is_idle_wait(graph, &graph->waits->waits[nodes[i]]);
    }
    return sum;
}

static bool is_deadlock(const struct make_up *sum)
{
    if (!sum->closed)
        return false;
    bool firm = !(sum->doubts & (DOUBT_OPEN | DOUBT_PRESUMED));
    return firm || (sum->several && (sum->taken || !sum->idle));
}

static int compare_indices(const void *one, const void *two)
{
    size_t a = *(const size_t *)one;
    size_t b = *(const size_t *)two;
    return (a > b) - (a < b);
}

bool deadlock_has(const struct deadlocks *deadlocks, const struct deadlock *deadlock, size_t wait)
{
    return bsearch(&wait, deadlocks->waits + deadlock->first, deadlock->count, sizeof wait, compare_indices);
}

/* Its waits go behind those of the deadlocks found before. */
static void add_deadlock(struct graph *graph, const size_t *nodes, size_t count, unsigned doubts)
{
    struct deadlocks *out = graph->out;
    struct deadlock deadlock = {.first = graph->told, .doubts = doubts};
    for (size_t i = 0; i < count; i++)
        if (is_wait(graph, nodes[i]))
            out->waits[deadlock.first + deadlock.count++] = nodes[i];
    qsort(out->waits + deadlock.first, deadlock.count, sizeof *out->waits, compare_indices);
    graph->told += deadlock.count;
    out->all[out->count++] = deadlock;
}

/* ---- the walk ---- */

static void enter(struct graph *graph, size_t node)
{
    graph->nodes[node].order = graph->nodes[node].low = ++graph->visited;
    graph->open[graph->open_count++] = node;
    graph->frames[graph->depth++] = (struct frame){.node = node};
}

static void lower(struct node *node, size_t low)
{
    if (low < node->low)
        node->low = low;
}

/* All nodes from `root` on, where it is the first of its part. */
static void end_part(struct graph *graph, size_t root)
{
    size_t begin = graph->open_count;
    graph->parts++;
    do
        graph->nodes[graph->open[--begin]].part = graph->parts;
    while (graph->open[begin] != root);
    const size_t *nodes = graph->open + begin;
    size_t count = graph->open_count - begin;
    graph->open_count = begin;
    struct make_up sum = look_at(graph, nodes, count);
    if (is_deadlock(&sum))
        add_deadlock(graph, nodes, count, sum.doubts);
}

static void leave(struct graph *graph)
{
    size_t node = graph->frames[--graph->depth].node;
    const struct node *state = &graph->nodes[node];
    if (graph->depth)
        lower(&graph->nodes[graph->frames[graph->depth - 1].node], state->low);
    if (state->low == state->order)
        end_part(graph, node);
}

static void step(struct graph *graph)
{
    struct frame *frame = &graph->frames[graph->depth - 1];
    ptrdiff_t to = NO_NODE;
    if (!edge_of(graph, frame->node, frame->edge++, &to)) {
        leave(graph);
        return;
    }
    if (to == NO_NODE)
        return;
    if (!graph->nodes[to].order)
        enter(graph, (size_t)to);
    else if (!graph->nodes[to].part)
        lower(&graph->nodes[frame->node], graph->nodes[to].order);
}

static void walk(struct graph *graph)
{
    for (size_t i = 0; i < graph->waits->count; i++) {
        if (!graph->stuck.waits[i] || graph->nodes[i].order)
            continue;
        enter(graph, i);
        while (graph->depth)
            step(graph);
    }
}

/* ---- all ---- */

static int make_graph(struct graph *graph)
{
    const struct waits *waits = graph->waits;
    graph->first_process = waits->count + waits->waited_count;
    graph->node_count = graph->first_process + waits->inspection->process_count;
    graph->nodes = calloc(graph->node_count + 1, sizeof *graph->nodes);
    graph->frames = calloc(graph->node_count + 1, sizeof *graph->frames);
    graph->open = calloc(graph->node_count + 1, sizeof *graph->open);
    graph->out->all = calloc(waits->count + 1, sizeof *graph->out->all);
    graph->out->waits = calloc(waits->count + 1, sizeof *graph->out->waits);
    if (!graph->nodes || !graph->frames || !graph->open || !graph->out->all || !graph->out->waits)
        return -ENOMEM;
    return stuck_find(waits, &graph->stuck);
}

int deadlocks_find(const struct waits *waits, struct deadlocks **out)
{
    struct deadlocks *deadlocks = calloc(1, sizeof *deadlocks);
    if (!deadlocks)
        return -ENOMEM;
    struct graph graph = {.waits = waits, .out = deadlocks};
    int error = make_graph(&graph);
    if (!error)
        walk(&graph);
    stuck_release(&graph.stuck);
    free(graph.nodes);
    free(graph.frames);
    free(graph.open);
    if (error)
        deadlocks_free(deadlocks);
    else
        *out = deadlocks;
    return error;
}

void deadlocks_free(struct deadlocks *deadlocks)
{
    if (!deadlocks)
        return;
    free(deadlocks->all);
    free(deadlocks->waits);
    free(deadlocks);
}
