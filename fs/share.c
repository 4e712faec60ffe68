/* SPDX-License-Identifier: MIT */
#include "share.h"

#include "hash.h"

#include <errno.h>
#include <stdlib.h>

struct share {
    uid_t uid;
    unsigned count;
    UT_hash_handle hh;
};

static struct share *find_share(const struct shares *shares, uid_t uid)
{
    struct share *share = NULL;
    HASH_FIND(hh, shares->by_user, &uid, sizeof uid, share);
    return share;
}

static struct share *new_share(struct shares *shares, uid_t uid)
{
    struct share *share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->uid = uid;
    HASH_ADD(hh, shares->by_user, uid, sizeof share->uid, share);
    if (share->hh.tbl)
        return share;
    free(share);
    return NULL;
}

int share_take(struct shares *shares, uid_t uid)
{
    if (uid == 0)
        return 0;
    struct share *share = find_share(shares, uid);
    if (!share && shares->max)
        share = new_share(shares, uid);
    if (!share)
        return shares->max ? -ENOMEM : -EDQUOT;
    if (share->count >= shares->max)
        return -EDQUOT;
    share->count++;
    return 0;
}

void share_give_back(struct shares *shares, uid_t uid)
{
    struct share *share = uid ? find_share(shares, uid) : NULL;
    if (!share || --share->count > 0)
        return;
    HASH_DELETE(hh, shares->by_user, share);
    free(share);
}
