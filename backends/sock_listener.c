/* SPDX-License-Identifier: MIT */
/* How listening sockets come and go, and change. */
#include "sock_table.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* One user may have this part of the descriptors there may be. */
enum { SHARE = 8 };

static struct sock_owner owner_of(const struct ipcfs_found *object)
{
    return (struct sock_owner){
        .uid = object->stat.stx_uid, .gid = object->stat.stx_gid, .mode = object->stat.stx_mode};
}

/* ---- coming and going ---- */

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

/* A socket is a descriptor of the daemon's, which others need as well: users other than root may have so many. */
static int check_share(uid_t uid)
{
    struct rlimit limit;
    if (uid == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    return sock_table_count(uid) < limit.rlim_cur / SHARE ? 0 : -EDQUOT;
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
        *old = sock_table_put_in(listener);
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
    sock_table_lock();
    error = make(listener, &old);
    sock_table_unlock();
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
    sock_table_lock();
    int error = set_up(listener);
    struct listener *old = sock_table_put_in(listener);
    sock_table_unlock();
    end(old);
    return error;
}

/* Without memory for an identity it is the caller's, who may not remove what is kept: the next start does. */
void listener_remove(struct ipcfs_objid id)
{
    AUTO_IDENTITY daemon = {0};
    (void)identity_put_on(&daemon, NULL);
    sock_table_lock();
    struct listener *listener = sock_table_find(id);
    if (listener) {
        sock_table_take_out(listener);
        sock_kept_remove(id.number);
    }
    sock_table_unlock();
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
    sock_table_lock();
    struct listener *listener = sock_table_find_working(object->id);
    error = listener ? follow(listener, &owner) : -ESTALE;
    sock_table_unlock();
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
    sock_table_lock();
    struct listener *listener = sock_table_find_working(id);
    error = listener ? replace(listener, &fresh) : -ESTALE;
    sock_table_unlock();
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
    sock_table_lock();
    struct listener *listener = sock_table_find_working(id);
    error = listener ? change_backlog(listener, backlog) : -ESTALE;
    sock_table_unlock();
    return error;
}

/* ---- start and stop ---- */

static bool is_known(uint64_t number)
{
    return sock_table_find_number(number);
}

void listeners_sweep(void)
{
    sock_table_lock();
    sock_kept_sweep(is_known);
    sock_table_unlock();
}

int listeners_start(void)
{
    return sock_kept_start();
}

void listeners_stop(void)
{
    struct listener *listener = NULL;
    sock_table_lock();
    while ((listener = sock_table_any())) {
        sock_table_take_out(listener);
        end(listener);
    }
    sock_table_unlock();
    sock_kept_stop();
}
