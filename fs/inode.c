/* SPDX-License-Identifier: MIT */
#include "inode.h"

#include "control.h"

/* The bits of an object's number (struct ipcfs_objid). */
static const uint64_t OBJECT_NUMBER = (UINT64_C(1) << 48) - 1;

enum {
    INODE_OBJECT = 0,
    INODE_CONTROL = 1,
    INODE_VERB = 2,           /* and the verb's index: in ctl/ */
    INODE_OBJECT_VERB = 0x60, /* the same in an object */
    INODE_MEMBER = 0x80,      /* a member of an object */
    INODE_MEMBER_VERB = 0x81, /* and the verb's index: in that */
    INODE_LOOK = 0xA0,        /* and the verb's index, INODE_LOOKS times: a look at a connection */
    INODE_PROCESS = 0xFD,
    INODE_PROCESS_LINK = 0xFE,
    INODE_FIXED = 0xFF,
};

/* Where in the object's number that of a member stands. */
enum { MEMBER_SHIFT = 32 };

static uint64_t kind_number(const struct ipcfs_backend *backend)
{
    uint64_t number = 0;
    while (ipcfs_backends[number] && ipcfs_backends[number] != backend)
        number++;
    return number;
}

static const struct ipcfs_backend *kind_of_number(uint64_t number)
{
    for (uint64_t i = 0; ipcfs_backends[i]; i++)
        if (i == number)
            return ipcfs_backends[i];
    return NULL;
}

static uint64_t inode(uint64_t what, const struct ipcfs_backend *backend, uint64_t number)
{
    return what << 56 | kind_number(backend) << 48 | number;
}

uint64_t entry_inode(const struct tree_entry *entry)
{
    return (uint64_t)INODE_FIXED << 56 | entry->id;
}

uint64_t object_inode(const struct ipcfs_backend *backend, uint64_t number)
{
    return inode(INODE_OBJECT, backend, number);
}

uint64_t control_inode(const struct ipcfs_backend *backend, uint64_t number)
{
    return inode(INODE_CONTROL, backend, number);
}

static uint64_t member_bits(const struct node_kin *kin)
{
    return (uint64_t)kin->number << MEMBER_SHIFT & OBJECT_NUMBER;
}

/* Numbers are shown nowhere together: no two that are near each other are the same here, and none is that of the directory. */
static uint64_t number_bits(const struct node_kin *kin)
{
    uint64_t scattered = (2 * (uint64_t)kin->number + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 16;
    return (1 + scattered % 0xFFFF) << MEMBER_SHIFT;
}

uint64_t part_inode(const struct node_kin *kin)
{
    uint64_t object = kin->object.number;
    switch (kin->type) {
    case NODE_OBJECT_FILE:
        return inode(INODE_OBJECT_VERB + kin->verb, kin->backend, object);
    case NODE_MEMBER:
        return inode(INODE_MEMBER, kin->backend, object) | member_bits(kin);
    case NODE_MEMBER_FILE:
        return inode(INODE_MEMBER_VERB + kin->verb, kin->backend, object) | member_bits(kin);
    default:
        break;
    }
    uint64_t all = inode(INODE_VERB + kin->verb, kin->backend, object);
    return kin->type == NODE_CTL_FILE && control_verb_of(kin)->numbered ? all | number_bits(kin) : all;
}

uint64_t look_inode(const struct node_kin *kin, unsigned look)
{
    return inode(INODE_LOOK + kin->verb * INODE_LOOKS + look % INODE_LOOKS, kin->backend, kin->object.number);
}

uint64_t process_inode(pid_t pid)
{
    return (uint64_t)INODE_PROCESS << 56 | (uint64_t)pid;
}

uint64_t process_link_inode(pid_t pid, const char *name)
{
    uint64_t hash = (uint64_t)pid ^ UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001B3);
    return (uint64_t)INODE_PROCESS_LINK << 56 | hash >> 8;
}

/* ---- back ---- */

static void take_member(struct node_kin *kin)
{
    kin->number = (int64_t)(kin->object.number >> MEMBER_SHIFT);
    kin->object.number = (uint32_t)kin->object.number;
}

/* Sets what the first 8 bits say; false where they say nothing. */
static bool read_what(unsigned what, struct node_kin *kin)
{
    if (what >= INODE_LOOK) {
        kin->type = NODE_OBJECT_FILE;
        kin->verb = (what - INODE_LOOK) / INODE_LOOKS;
    } else if (what >= INODE_MEMBER) {
        kin->type = what == INODE_MEMBER ? NODE_MEMBER : NODE_MEMBER_FILE;
        kin->verb = what == INODE_MEMBER ? 0 : what - INODE_MEMBER_VERB;
        take_member(kin);
    } else if (what >= INODE_OBJECT_VERB) {
        kin->type = NODE_OBJECT_FILE;
        kin->verb = what - INODE_OBJECT_VERB;
    } else if (what >= INODE_VERB) {
        kin->type = NODE_CTL_FILE;
        kin->verb = what - INODE_VERB;
    } else {
        kin->type = what == INODE_CONTROL ? NODE_CTL_DIR : NODE_OBJECT;
    }
    return !node_is_control_file(kin->type) || control_verb_of(kin);
}

bool inode_meaning(uint64_t ino, struct node_kin *out)
{
    unsigned what = (unsigned)(ino >> 56);
    const struct ipcfs_backend *backend = kind_of_number(ino >> 48 & 0xFF);
    *out = (struct node_kin){.backend = backend, .object.number = ino & OBJECT_NUMBER};
    if (!backend || what >= INODE_PROCESS || !read_what(what, out))
        return false;
    if (out->type != NODE_CTL_FILE || !control_verb_of(out)->numbered)
        return true;
    out->type = out->object.number >> MEMBER_SHIFT ? NODE_CTL_FILE : NODE_CTL_NUMBERS;
    out->object.number = (uint32_t)out->object.number;
    return true;
}
