/* SPDX-License-Identifier: MIT */
/* The table of listening sockets, and how they come and go. */
#include "sock_listeners.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

struct listener {
    LIST_ENTRY(listener) next;
    struct ipcfs_objid id;
    struct sock_owner owner;
    struct listener_wish wish; /* as it is kept */
    /* Counted. NULL: it could not be made at start. What is kept of it stays then, for the next start. */
    struct endpoint *endpoint;
    LIST_HEAD(, sock_member) members;
};

/*
 * By number. The lock is held over system calls, but over none that waits for anybody: the files of the runtime directory and
 * the sockets are the daemon's own. Nothing else is taken under it.
 */
enum { BUCKETS = 1024 };
/* One user may have this part of the descriptors there may be. */
enum { SHARE = 8 };
static LIST_HEAD(bucket, listener) buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_table(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void unlock_table(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static struct listener *find_number(uint64_t number)
{
    struct listener *listener = NULL;
    LIST_FOREACH(listener, &buckets[number % BUCKETS], next)
    if (listener->id.number == number)
        return listener;
    return NULL;
}

static struct listener *find(struct ipcfs_objid id)
{
    struct listener *listener = find_number(id.number);
    return listener && listener->id.birth == id.birth ? listener : NULL;
}

/* One that has its socket. */
static struct listener *find_working(struct ipcfs_objid id)
{
    struct listener *listener = find(id);
    return listener && listener->endpoint ? listener : NULL;
}

static struct sock_owner owner_of(const struct ipcfs_found *object)
{
    return (struct sock_owner){
        .uid = object->stat.stx_uid, .gid = object->stat.stx_gid, .mode = object->stat.stx_mode};
}

/* ---- coming and going ---- */

/* Takes it out of the table. Its connections stay as they are. */
static void take_out(struct listener *listener)
{
    struct sock_member *member = NULL;
    LIST_REMOVE(listener, next);
    while ((member = LIST_FIRST(&listener->members))) {
        LIST_REMOVE(member, next);
        member->listed = false;
    }
}

/* Of one that is in no table any more. */
static void end(struct listener *listener)
{
    if (!listener)
        return;
    if (listener->endpoint)
        endpoint_remove(listener->endpoint);
    endpoint_put(listener->endpoint);
    free(listener);
}

static struct listener *new_listener(const struct ipcfs_found *object, const struct listener_wish *wish)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    listener->id = object->id;
    listener->owner = owner_of(object);
    listener->wish = *wish;
    LIST_INIT(&listener->members);
    return listener;
}

/* Its socket, bound, where it has none. */
static int set_up(struct listener *listener)
{
    struct endpoint *endpoint = NULL;
    int error = endpoint_new(listener->wish.type, &endpoint);
    if (error)
        return error;
    error = endpoint_bind(endpoint, listener->id.number, &listener->owner, listener->wish.backlog);
    if (error)
        endpoint_put(endpoint);
    else
        listener->endpoint = endpoint;
    return error;
}

/* In place of one that had the number before: it went without a word, by the hand of an administrator. */
static struct listener *put_in(struct listener *listener)
{
    struct listener *old = find_number(listener->id.number);
    if (old)
        take_out(old);
    LIST_INSERT_HEAD(&buckets[listener->id.number % BUCKETS], listener, next);
    return old;
}

/* A socket is a descriptor of the daemon's, which others need as well: users other than root may have so many. */
static int check_share(uid_t uid)
{
    const struct listener *listener = NULL;
    struct rlimit limit;
    rlim_t count = 0;
    if (uid == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    for (size_t i = 0; i < BUCKETS; i++)
        LIST_FOREACH(listener, &buckets[i], next)
    count += listener->owner.uid == uid;
    return count < limit.rlim_cur / SHARE ? 0 : -EDQUOT;
}

static int make(struct listener *listener, struct listener **old)
{
    uint64_t number = listener->id.number;
    int error = check_share(listener->owner.uid);
    if (error)
        return error;
    error = sock_kept_write(number, &listener->wish);
    if (!error)
        error = set_up(listener);
    if (error)
        sock_kept_remove(number);
    else
        *old = put_in(listener);
    return error;
}

int listener_make(const struct ipcfs_found *object, const struct listener_wish *wish)
{
    if (wish->backlog > listener_backlog_max())
        return -EINVAL;
    AUTO_IDENTITY daemon = {0};
    int error = identity_put_on(&daemon, NULL);
    if (error)
        return error;
    struct listener *listener = new_listener(object, wish);
    if (!listener)
        return -ENOMEM;
    struct listener *old = NULL;
    lock_table();
    error = make(listener, &old);
    unlock_table();
    end(error ? listener : old);
    return error;
}

/* What nothing good is known of is as mkdir(2) makes it. */
static struct listener_wish kept_wish(uint64_t number)
{
    struct listener_wish wish = {.type = SOCK_STREAM};
    int error = sock_kept_read(number, &wish);
    if (error)
        log_warning("listening socket %llu: what is kept of it cannot be read, it is a stream now: %s",
                    (unsigned long long)number, strerror(-error));
    return wish;
}

int listener_restore(const struct ipcfs_found *object)
{
    struct listener_wish wish = kept_wish(object->id.number);
    struct listener *listener = new_listener(object, &wish);
    if (!listener)
        return -ENOMEM;
    lock_table();
    int error = set_up(listener);
    struct listener *old = put_in(listener);
    unlock_table();
    end(old);
    return error;
}

/* Without memory for an identity it is the caller's, who may not remove what is kept: the next start does. */
void listener_remove(struct ipcfs_objid id)
{
    AUTO_IDENTITY daemon = {0};
    (void)identity_put_on(&daemon, NULL);
    lock_table();
    struct listener *listener = find(id);
    if (listener) {
        take_out(listener);
        sock_kept_remove(id.number);
    }
    unlock_table();
    end(listener);
}

static int follow(struct listener *listener, const struct sock_owner *owner)
{
    struct sock_owner before = listener->owner;
    listener->owner = *owner;
    int error = sock_kept_own(listener->id.number, owner);
    if (error && error != -ENOENT) /* a node that was taken away has no owner to change */
        return error;
    bool same = before.uid == owner->uid && before.gid == owner->gid;
    return same ? 0 : endpoint_listen(listener->endpoint, owner, listener->wish.backlog);
}

int listener_follow(const struct ipcfs_found *object)
{
    AUTO_IDENTITY daemon = {0};
    int error = identity_put_on(&daemon, NULL);
    if (error)
        return error;
    struct sock_owner owner = owner_of(object);
    lock_table();
    struct listener *listener = find_working(object->id);
    error = listener ? follow(listener, &owner) : -ESTALE;
    unlock_table();
    return error;
}

/* ---- changes ---- */

/* While the old node is aside nobody comes to the old socket any more. */
static int swap(struct listener *listener, struct endpoint *fresh)
{
    uint64_t number = listener->id.number;
    struct listener_wish wish = {.type = fresh->type, .backlog = listener->wish.backlog};
    if (endpoint_is_busy(listener->endpoint))
        return -EBUSY;
    int error = sock_kept_write(number, &wish);
    if (!error)
        error = endpoint_bind(fresh, number, &listener->owner, wish.backlog);
    return error;
}

/* Puts `*fresh` in the place of the socket there is, which then is in *fresh. All or nothing. */
static int replace(struct listener *listener, struct endpoint **fresh)
{
    uint64_t number = listener->id.number;
    if (listener->endpoint->type == (*fresh)->type)
        return 0;
    if (endpoint_is_busy(listener->endpoint))
        return -EBUSY;
    int error = sock_kept_set_aside(number);
    if (error)
        return error;
    error = swap(listener, *fresh);
    if (error) {
        (void)sock_kept_put_back(number);
        (void)sock_kept_write(number, &listener->wish);
        return error;
    }
    sock_kept_forget_aside(number);
    struct endpoint *old = listener->endpoint;
    listener->endpoint = *fresh;
    listener->wish.type = (*fresh)->type;
    *fresh = old;
    return 0;
}

int listener_set_type(struct ipcfs_objid id, int type)
{
    AUTO_IDENTITY daemon = {0};
    int error = identity_put_on(&daemon, NULL);
    struct endpoint *fresh = NULL;
    if (!error)
        error = endpoint_new(type, &fresh);
    if (error)
        return error;
    lock_table();
    struct listener *listener = find_working(id);
    error = listener ? replace(listener, &fresh) : -ESTALE;
    unlock_table();
    endpoint_remove(fresh); /* the old one, or one that came to nothing */
    endpoint_put(fresh);
    return error;
}

static int change_backlog(struct listener *listener, unsigned backlog)
{
    struct listener_wish wish = {.type = listener->wish.type, .backlog = backlog};
    if (wish.type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    int error = sock_kept_write(listener->id.number, &wish);
    if (error)
        return error;
    listener->wish = wish;
    return endpoint_listen(listener->endpoint, &listener->owner, backlog);
}

int listener_set_backlog(struct ipcfs_objid id, unsigned backlog)
{
    if (backlog > listener_backlog_max())
        return -EINVAL;
    AUTO_IDENTITY daemon = {0};
    int error = identity_put_on(&daemon, NULL);
    if (error)
        return error;
    lock_table();
    struct listener *listener = find_working(id);
    error = listener ? change_backlog(listener, backlog) : -ESTALE;
    unlock_table();
    return error;
}

int listener_backlog(struct ipcfs_objid id, unsigned *out)
{
    lock_table();
    const struct listener *listener = find_working(id);
    if (listener)
        *out = listener->endpoint->backlog;
    unlock_table();
    return listener ? 0 : -ESTALE;
}

/* ---- what others need of it ---- */

struct endpoint *listener_endpoint(struct ipcfs_objid id)
{
    lock_table();
    struct listener *listener = find_working(id);
    struct endpoint *endpoint = listener ? endpoint_get(listener->endpoint) : NULL;
    unlock_table();
    return endpoint;
}

void listener_join(struct ipcfs_objid id, struct sock_member *member)
{
    lock_table();
    struct listener *listener = find(id);
    if (listener)
        LIST_INSERT_HEAD(&listener->members, member, next);
    member->listed = listener;
    unlock_table();
}

void listener_leave(struct sock_member *member)
{
    lock_table();
    if (member->listed)
        LIST_REMOVE(member, next);
    member->listed = false;
    unlock_table();
}

static int copy_ends(const struct listener *listener, struct listener_look *out)
{
    const struct sock_member *member = NULL;
    size_t count = 0;
    LIST_FOREACH(member, &listener->members, next)
    count++;
    out->ends = calloc(count + 1, sizeof *out->ends);
    if (!out->ends)
        return -ENOMEM;
    LIST_FOREACH(member, &listener->members, next)
    out->ends[out->count++] = member->end;
    return 0;
}

int listener_look(struct ipcfs_objid id, struct listener_look *out)
{
    *out = (struct listener_look){0};
    lock_table();
    struct listener *listener = find_working(id);
    int error = listener ? copy_ends(listener, out) : -ESTALE;
    if (!error) {
        out->endpoint = endpoint_get(listener->endpoint);
        out->backlog = listener->endpoint->backlog;
    }
    unlock_table();
    return error;
}

/* ---- start and stop ---- */

static bool is_known(uint64_t number)
{
    return find_number(number);
}

void listeners_sweep(void)
{
    lock_table();
    sock_kept_sweep(is_known);
    unlock_table();
}

int listeners_start(void)
{
    return sock_kept_start();
}

void listeners_stop(void)
{
    struct listener *listener = NULL;
    lock_table();
    for (size_t i = 0; i < BUCKETS; i++)
        while ((listener = LIST_FIRST(&buckets[i]))) {
            take_out(listener);
            end(listener);
        }
    unlock_table();
    sock_kept_stop();
}
