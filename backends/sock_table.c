/* SPDX-License-Identifier: MIT */
#include "sock_table.h"

#include <errno.h>
#include <stdlib.h>

/* By number. */
enum { BUCKETS = 1024 };
static LIST_HEAD(bucket, listener) buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void sock_table_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void sock_table_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

struct listener *sock_table_find_number(uint64_t number)
{
    struct listener *listener = NULL;
    LIST_FOREACH(listener, &buckets[number % BUCKETS], next)
    {
        if (listener->id.number == number)
            return listener;
    }
    return NULL;
}

struct listener *sock_table_find(struct ipcfs_objid id)
{
    struct listener *listener = sock_table_find_number(id.number);
    return listener && listener->id.birth == id.birth ? listener : NULL;
}

struct listener *sock_table_find_working(struct ipcfs_objid id)
{
    struct listener *listener = sock_table_find(id);
    return listener && listener->endpoint ? listener : NULL;
}

struct listener *sock_table_any(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        if (LIST_FIRST(&buckets[i]))
            return LIST_FIRST(&buckets[i]);
    return NULL;
}

size_t sock_table_count(uid_t uid)
{
    const struct listener *listener = NULL;
    size_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        LIST_FOREACH(listener, &buckets[i], next)
        {
            count += listener->owner.uid == uid;
        }
    }
    return count;
}

void sock_table_take_out(struct listener *listener)
{
    struct sock_member *member = NULL;
    LIST_REMOVE(listener, next);
    while ((member = LIST_FIRST(&listener->members))) {
        LIST_REMOVE(member, next);
        member->listed = false;
    }
}

struct listener *sock_table_put_in(struct listener *listener)
{
    struct listener *old = sock_table_find_number(listener->id.number);
    if (old)
        sock_table_take_out(old);
    LIST_INSERT_HEAD(&buckets[listener->id.number % BUCKETS], listener, next);
    return old;
}

/* ---- what others need of it ---- */

struct endpoint *listener_endpoint(struct ipcfs_objid id)
{
    sock_table_lock();
    struct listener *listener = sock_table_find_working(id);
    struct endpoint *endpoint = listener ? endpoint_get(listener->endpoint) : NULL;
    sock_table_unlock();
    return endpoint;
}

void listener_join(struct ipcfs_objid id, struct sock_member *member)
{
    sock_table_lock();
    struct listener *listener = sock_table_find(id);
    if (listener)
        LIST_INSERT_HEAD(&listener->members, member, next);
    member->listed = listener;
    sock_table_unlock();
}

void listener_leave(struct sock_member *member)
{
    sock_table_lock();
    if (member->listed)
        LIST_REMOVE(member, next);
    member->listed = false;
    sock_table_unlock();
}

static int copy_ends(const struct listener *listener, struct listener_look *out)
{
    const struct sock_member *member = NULL;
    size_t count = 0;
    LIST_FOREACH(member, &listener->members, next)
    {
        count++;
    }
    out->ends = calloc(count + 1, sizeof *out->ends);
    if (!out->ends)
        return -ENOMEM;
    LIST_FOREACH(member, &listener->members, next)
    {
        out->ends[out->count++] = member->end;
    }
    return 0;
}

int listener_look(struct ipcfs_objid id, struct listener_look *out)
{
    *out = (struct listener_look){0};
    sock_table_lock();
    struct listener *listener = sock_table_find_working(id);
    int error = listener ? copy_ends(listener, out) : -ESTALE;
    if (!error) {
        out->endpoint = endpoint_get(listener->endpoint);
        out->backlog = listener->endpoint->backlog;
    }
    sock_table_unlock();
    return error;
}

int listener_backlog(struct ipcfs_objid id, unsigned *out)
{
    sock_table_lock();
    const struct listener *listener = sock_table_find_working(id);
    if (listener)
        *out = listener->endpoint->backlog;
    sock_table_unlock();
    return listener ? 0 : -ESTALE;
}

static int visit_ends(const struct listener *listener, int (*visit)(void *data, uint64_t number, ino_t inode),
                      void *data)
{
    const struct sock_member *member = NULL;
    uint64_t number = listener->id.number;
    int result = listener->endpoint ? visit(data, number, listener->endpoint->inode) : 0;
    LIST_FOREACH(member, &listener->members, next)
    {
        if (!result)
            result = visit(data, number, member->end.inode);
    }
    return result;
}

int listeners_each_end(int (*visit)(void *data, uint64_t number, ino_t inode), void *data)
{
    const struct listener *listener = NULL;
    int result = 0;
    sock_table_lock();
    for (size_t i = 0; i < BUCKETS; i++) {
        LIST_FOREACH(listener, &buckets[i], next)
        {
            if (!result)
                result = visit_ends(listener, visit, data);
        }
    }
    sock_table_unlock();
    return result;
}
