/* SPDX-License-Identifier: MIT */
/*
 * The fixed part of the tree: directories and files that are always there. It is made once, at start, from the tables
 * of the backends and of fs/control.c; its entries have the first node ids and never change.
 */
#ifndef IPCFS_FS_TREE_H
#define IPCFS_FS_TREE_H

#include "ipcfs/backend.h"
#include "ipcfs/text.h"

struct ipcfs;

/* Whether a file is a log of events, and in which form. */
enum control_events { CONTROL_NO_EVENTS, CONTROL_EVENTS, CONTROL_EVENTS_JSON };

/* A file that stands in ctl/, in ctl/<kind>/, or beside the directories of objects. */
struct control_file {
    const char *name; /* NULL ends a table */
    const char *help; /* a phrase, for ctl/README */
    mode_t mode;      /* permission bits */
    bool slow;     /* `render` looks at all objects or processes: it runs beside those who answer requests */
    bool unlisted; /* waits: found by name only */
    enum control_events events; /* it has no text, but is a log (fs/events.h) */
    /* Writes the file's text; `kind` is NULL where the file is not of one. Acts as the caller. NULL: it has none. */
    int (*render)(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                  struct text *out);
    /* One line written to it (fs/transaction.h): 0, with what the same handle then reads in `answer`; or −errno, with the
     * reason, without a newline. Acts as the caller. NULL: the file is only read. */
    int (*write)(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                 const char *line, size_t length, struct text *answer);
};

struct tree_entry {
    uint64_t id;
    uint64_t parent; /* the root's is its own */
    char *name;      /* owned */
    bool directory;
    bool processes; /* directory: proc/ */
    bool self;      /* a symbolic link to the directory of whoever reads it; neither a directory nor a file */
    const struct ipcfs_backend *objects;   /* directory: its objects are named here, beside fixed entries */
    const struct ipcfs_backend *controls;  /* directory: the control directories of its objects are here */
    const struct ipcfs_backend *lister_of; /* either of the two, or NULL */
    unsigned naming;                       /* which of the backend's directories */
    const struct control_file *file;       /* file; otherwise NULL */
    const struct ipcfs_backend *kind;      /* file: of ctl/<kind>/ */
};

struct tree {
    struct tree_entry *entries; /* entry i has node id i + 1 */
    size_t count;
    const struct ipcfs_backend **kinds; /* that started, NULL-terminated */
};

enum { TREE_ROOT_ID = 1 }; /* FUSE_ROOT_ID */

/* Builds the tree of the kinds in `kinds` (NULL-terminated, borrowed). 0 or −ENOMEM. */
int tree_init(struct tree *tree, const struct ipcfs_backend **kinds);
void tree_destroy(struct tree *tree);

/* NULL for an id that is not of the fixed tree. */
const struct tree_entry *tree_by_id(const struct tree *tree, uint64_t id);
const struct tree_entry *tree_child(const struct tree *tree, const struct tree_entry *parent,
                                    const char *name);
/* The first child after `after` (NULL: the first of all); NULL at the end. */
const struct tree_entry *tree_next_child(const struct tree *tree, const struct tree_entry *parent,
                                         const struct tree_entry *after);

/* S_IFDIR, S_IFREG or S_IFLNK. */
mode_t tree_type(const struct tree_entry *entry);

/* The directory in which the control directories of a kind's objects are. */
const struct tree_entry *tree_controls(const struct tree *tree, const struct ipcfs_backend *kind,
                                       unsigned naming);
/* The directory in which a kind's objects are named. */
const struct tree_entry *tree_objects(const struct tree *tree, const struct ipcfs_backend *kind,
                                      unsigned naming);
/* Appends the entry's path below the mount point: "ctl/shm/list". */
void tree_path(const struct tree *tree, const struct tree_entry *entry, struct text *out);

/*
 * An object may be called what a fixed entry of ctl/<kind>/ is called ("list"). Its control directory then has a '@'
 * before the name; and so have "@list", "@@list" …, so that every name there means one thing. tree_control_name() makes
 * the shown name of an object's; tree_object_name() goes back, NULL where there is no such name.
 */
int tree_control_name(const struct tree *tree, const struct tree_entry *parent, const char *object,
                      char *shown, size_t room);
const char *tree_object_name(const struct tree *tree, const struct tree_entry *parent, const char *shown);

#endif
