/* SPDX-License-Identifier: MIT */
#include "slow.h"

#include "ipcfs/identity.h"
#include "ops.h"

#include <errno.h>
#include <stddef.h>

static void slow_put(struct slow *slow)
{
    if (atomic_fetch_sub(&slow->users, 1) > 1)
        return;
    identity_free(slow->identity);
    if (slow->line)
        wait_line_put(slow->line);
    slow->ops->free(slow);
}

/* ---- the job ---- */

static int work_as_caller(struct slow *slow)
{
    AUTO_IDENTITY acting = {0};
    int error = identity_put_on(&acting, slow->identity);
    return error ? error : slow->ops->work(slow);
}

static void run(struct job *job)
{
    struct slow *slow = (struct slow *)((char *)job - offsetof(struct slow, job));
    slow->result = work_as_caller(slow);
    wait_line_lock(slow->line);
    slow->done = true;
    wait_line_unlock(slow->line);
    wait_told(slow->line);
    slow_put(slow);
}

/* ---- the waiter ---- */

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct slow *slow = (struct slow *)waiter;
    if (slow->done)
        return slow->result;
    wait->source = IPCFS_WAIT_TOLD;
    return -EAGAIN;
}

/* An EAGAIN of the work itself is an answer; otherwise it says that the limit has come. */
static bool is_done(struct slow *slow)
{
    wait_line_lock(slow->line);
    bool done = slow->done;
    wait_line_unlock(slow->line);
    return done;
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct slow *slow = (struct slow *)waiter;
    park_end(&slow->parked);
    if (jobs_cancel(slow->fs->jobs, &slow->job))
        slow_put(slow);
    if (result == -EAGAIN && slow->ops->firm && !is_done(slow))
        result = -ETIMEDOUT;
    slow->ops->answer(slow, &slow->parked.reply, (int)result);
    slow_put(slow);
}

static const struct waiter_ops slow_waiter_ops = {.attempt = attempt, .finish = finish};

/* ---- the request ---- */

static int identity_of_caller(fuse_req_t req, struct ipcfs_identity **out)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    return error ? error : identity_of_thread(out);
}

static int prepare(struct slow *slow, fuse_req_t req)
{
    static atomic_uint_fast64_t lines;
    const struct wait_key key = {.lane = atomic_fetch_add(&lines, 1)}; /* of no kind: a line of its own */
    int error = identity_of_caller(req, &slow->identity);
    return error ? error : wait_line_get(slow->fs->waits, &key, &slow->line);
}

static int submit(struct slow *slow)
{
    atomic_fetch_add(&slow->users, 1);
    int error = jobs_submit(slow->fs->jobs, &slow->job);
    if (error)
        slow_put(slow);
    return error;
}

void slow_run(struct slow *slow, struct ipcfs *fs, fuse_req_t req, struct reply *reply)
{
    atomic_init(&slow->users, 1);
    slow->fs = fs;
    slow->caller = caller_of(req);
    slow->parked.waiter = (struct waiter){
        .ops = &slow_waiter_ops, .uid = slow->caller.uid, .limit_ms = slow->ops->firm ? SLOW_FIRM_MS : 0};
    slow->job = (struct job){.run = run, .uid = slow->caller.uid};
    int error = prepare(slow, req);
    if (!error)
        error = submit(slow);
    if (error) {
        slow->ops->answer(slow, reply, error);
        slow_put(slow);
    } else if (slow->ops->firm) {
        park_firmly(&slow->parked, slow->line, reply);
    } else {
        park(&slow->parked, slow->line, reply);
    }
}
