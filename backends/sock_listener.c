/* SPDX-License-Identifier: MIT */
#include "sock_listener.h"

#include <errno.h>

const struct ipcfs_verb listener_files[] = {{0}};
const struct ipcfs_field listener_peer_fields[] = {{0}};

int listeners_start(void)
{
    return 0;
}

void listeners_stop(void)
{
}

int listener_make(const struct ipcfs_found *object, const struct listener_wish *wish)
{
    (void)object;
    (void)wish;
    return 0;
}

int listener_restore(const struct ipcfs_found *object)
{
    (void)object;
    return 0;
}

void listener_remove(struct ipcfs_objid id)
{
    (void)id;
}

int listener_follow(const struct ipcfs_found *object)
{
    (void)object;
    return 0;
}

int listener_state(struct ipcfs_objid id, struct listener_state *out)
{
    (void)id;
    (void)out;
    return -ESTALE;
}
