/* SPDX-License-Identifier: MIT */
/* Looking at who waits. A line's lock is held while its waiters are copied, and nothing is allocated meanwhile. */
#include "wait_line.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <utlist.h>

struct look {
    struct wait_seen *seen;
    size_t count, room;
};

/* Copies as many as there is room for; gives how many did not fit. */
static size_t copy_line(struct wait_line *line, struct look *look)
{
    size_t left = 0;
    const struct waiter *waiter = NULL;
    if (!line->key.kind)
        return 0; /* of no object: who opens ctl/events waits in one */
    lock_take(&line->lock);
    DL_FOREACH(line->first, waiter) {
        if (!waiter->about.call)
            continue;
        if (look->count == look->room)
            left++;
        else
            look->seen[look->count++] = (struct wait_seen){
                .kind = line->key.kind, .number = line->key.object.number, .about = waiter->about};
    }
    lock_release(&line->lock);
    return left;
}

static int look_at(struct wait_line *line, struct look *look)
{
    size_t before = look->count;
    size_t left = 0;
    while ((left = copy_line(line, look))) {
        size_t room = 2 * (look->room + left);
        struct wait_seen *seen = realloc(look->seen, room * sizeof *seen);
        if (!seen)
            return -ENOMEM;
        look->seen = seen;
        look->room = room;
        look->count = before; /* the line once more, as it is by now */
    }
    return 0;
}

int wait_look(struct wait_engine *engine, struct wait_seen **out, size_t *count)
{
    AUTO_FREE struct wait_line **lines = wait_engine_lines(engine);
    struct look look = {0};
    int error = lines ? 0 : -ENOMEM;
    for (size_t i = 0; lines && lines[i]; i++) {
        if (!error)
            error = look_at(lines[i], &look);
        wait_line_put(lines[i]);
    }
    if (error) {
        free(look.seen);
        return error;
    }
    *out = look.seen;
    *count = look.count;
    return 0;
}
