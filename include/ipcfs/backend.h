/* SPDX-License-Identifier: MIT */
/*
 * The backend contract: what the FUSE side (fs/) asks of a kind of IPC object (backends/).
 *
 * A backend knows objects and errno. It knows no requests, no node ids and no FUSE header, so that it can be driven
 * by a test as well as by the daemon. Every slot of the table is filled; what a kind cannot do is a function that
 * refuses, so that callers never test for NULL.
 *
 * Errors        0 or a count on success, −errno otherwise: the errno that the native call would give.
 * Blocking      No operation blocks for another process. try_read, try_write and try_lock answer −EAGAIN where the native
 *               call would wait, and say in `struct ipcfs_wait` what to wait for. Only a keeper thread asks them to wait
 *               themselves (`struct ipcfs_wait`).
 * Identity      An operation acts with the credentials of the calling thread. Where the native call checks or records
 *               an identity, the FUSE side has already put on the caller's (fs/creds.h).
 * Threads       Every operation may be called from any thread at any time, also several at once on one object, hold or
 *               file; only close(), release() and list_close() are called when nothing else uses their argument.
 * Ownership     What an operation hands out (hold, file, lister) belongs to the FUSE side until it is given to
 *               release(), close() or list_close(). Strings passed in are borrowed for the call.
 */
#ifndef IPCFS_BACKEND_H
#define IPCFS_BACKEND_H

#include "ipcfs/caller.h"
#include "ipcfs/fields.h"
#include "ipcfs/limits.h"
#include "ipcfs/text.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

/*
 * What makes an object itself: equal for every name of one object, different for a later object under a used name.
 * `number` is below 2^48 and becomes part of the inode number; `birth` tells apart two users of one number.
 */
struct ipcfs_objid {
    uint64_t number;
    uint64_t birth;
};

/* An object as found: its identity, and what stat(2) would say of it (a struct statx, for the birth time). */
struct ipcfs_found {
    struct ipcfs_objid id;
    struct statx stat;
};

/* A hold keeps an object within reach, whatever happens to its names. Opaque to the FUSE side. */
struct ipcfs_hold;
/* An open file of an object, with the access mode it was opened with. */
struct ipcfs_file;
/* A walk through a naming directory. */
struct ipcfs_lister;

/*
 * How an operation is told which object is meant. With a hold the object is reached by it. Without, by the name it was
 * last seen under, and the operation answers −ESTALE where that name is gone or now means another object: the kernel
 * then looks the path up again (path_openat() and the retry_estale() loops of Linux fs/namei.c). An `id` of zeros
 * stands for whatever bears the name.
 */
struct ipcfs_ref {
    struct ipcfs_objid id;
    unsigned directory;      /* index into `directories` */
    const char *name;        /* borrowed */
    struct ipcfs_hold *hold; /* borrowed, or NULL */
};

/* A naming directory as it is natively. */
struct ipcfs_directory {
    uid_t uid;
    gid_t gid;
    bool sticky;      /* only owners remove and rename, as in /tmp */
    bool open_to_all; /* any user may search it: find() need not be asked as the caller, which costs more */
};

/* What create() made or opened. */
struct ipcfs_created {
    struct ipcfs_found found;
    bool made; /* it was not there before */
    struct ipcfs_hold *hold;
    struct ipcfs_file *file;
};

struct ipcfs_entry {
    const char *name; /* borrowed until the next call on the lister */
    uint64_t number;  /* the object's `id.number` */
    uint64_t next;    /* where to seek to go on after this entry; never 0 */
    mode_t type;      /* S_IFREG, S_IFDIR … */
};

/* A change of attributes: which members of `struct ipcfs_change` count. */
enum ipcfs_change_mask {
    IPCFS_CHANGE_MODE = 1 << 0,
    IPCFS_CHANGE_UID = 1 << 1,
    IPCFS_CHANGE_GID = 1 << 2,
    IPCFS_CHANGE_SIZE = 1 << 3,
    IPCFS_CHANGE_TIMES = 1 << 4, /* as utimensat(2): UTIME_NOW and UTIME_OMIT have their meaning */
};

struct ipcfs_change {
    unsigned mask;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    off_t size;
    struct timespec times[2];
};

/* What a try_ operation waits for when it answers −EAGAIN. */
enum ipcfs_wait_source {
    IPCFS_WAIT_NONE,   /* never blocks: −EAGAIN is final */
    IPCFS_WAIT_POLL,   /* poll(2) `fd` for `events`, then try again; see `traffic` */
    IPCFS_WAIT_KEEPER, /* nothing to poll: a keeper thread calls again with `block` set */
    IPCFS_WAIT_TOLD,   /* never of a backend's: somebody calls wait_told() (fs/wait.h) */
};

/*
 * With `block` the calling thread is a keeper: the operation makes the native call that waits. A signal ends it with
 * −EINTR, and then nothing was taken, sent or locked. A kind whose source is never IPCFS_WAIT_KEEPER, and that never tells
 * traffic, is never so asked.
 *
 * Some objects have a line of their own for those in a native call, and serve them before anybody who polls; while somebody
 * is there, who polls may not even be woken. Such a kind tells, with IPCFS_WAIT_POLL, a number that changes as things go in
 * and out: who finds it changed when he fails again was passed over, and gets a keeper.
 */
struct ipcfs_wait {
    bool block; /* in */
    enum ipcfs_wait_source source;
    int fd; /* borrowed from the file */
    short events;
    uint64_t traffic; /* 0: not told */
    bool moved;       /* part of it was done before it would have had to wait */
};

/* What a control file is: in ctl/<object>/, or in an object that is a directory. */
enum ipcfs_verb_type {
    IPCFS_VERB_TEXT, /* `read` renders it at each read from its start; `write`, if any, is given each write */
    IPCFS_VERB_LINK, /* a symbolic link: `link` */
    IPCFS_VERB_FILE, /* `open` opens a file of the backend, and try_read and try_write carry the data, as messages */
    /*
     * `open` opens a file of the backend, and open(2) waits until try_lock() has locked it (as a whole, F_WRLCK).
     * close() gives the lock back, so it goes with the last descriptor, whatever ended its process. Nothing is read from
     * the file or written to it.
     */
    IPCFS_VERB_HOLD,
    /*
     * `prepare` makes a file of the backend of each write(2), and the write waits until try_write() has done it: all or
     * nothing. `read`, if any, as of TEXT.
     */
    IPCFS_VERB_COMMAND,
    /*
     * A connection: `open` opens a file of the backend, and open(2) waits until try_connect() says that it has another end.
     * Then try_read and try_write carry a stream of bytes, or of packets, in both directions at once. It is closed with
     * the last descriptor; before that, shutdown() follows the last descriptor of a direction.
     */
    IPCFS_VERB_CONNECTION,
};

/* Bits of one class of an object's permission bits. */
enum { IPCFS_NEEDS_READ = 4, IPCFS_NEEDS_WRITE = 2 };

/* What a write to a control file came with. Everything is borrowed for the call. */
struct ipcfs_written {
    const char *data; /* terminated */
    size_t size;
    const struct caller *caller; /* whose identity the thread has */
    struct text *reason;         /* where to say in a few words why it is refused */
    struct ipcfs_file *file;     /* of the descriptor, where the verb has an `open`; otherwise NULL */
};

struct ipcfs_verb {
    const char *name; /* NULL ends a table */
    enum ipcfs_verb_type type;
    mode_t mode; /* permission bits */
    /* Of a file in an object that is a directory: the owner, group and others of the object have those of the
     * permission bits above for which the object grants them all of these (IPCFS_NEEDS_). */
    unsigned read_needs;
    unsigned write_needs;
    const char *help; /* a phrase, for ctl/README */
    /* name/N instead of name: a directory, which lists nothing, of one file for each decimal number. */
    bool numbered;
    bool unlisted; /* consumes or blocks: found by name only */
    bool blank;    /* an empty line means something to `write` */
    bool slow;     /* `read` looks at all processes: it runs beside the threads that answer requests */
    /* `number` is 0 where the verb is not numbered; in a member it is the member's. −ENOENT for a number that can not be.
     * Each acts as the caller. */
    int (*read)(const struct ipcfs_ref *ref, int64_t number, struct text *out);
    /* One line, without its newline. */
    int (*write)(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written);
    /* The target into `target`, terminated. −ENAMETOOLONG where it does not fit. */
    int (*link)(const struct ipcfs_ref *ref, char *target, size_t room);
    /* The reference has a hold. `flags` as of open(2). TEXT may have it too: what is opened for writing has a file then,
     * so that not every write has to look for the object and ask for the right to it. */
    int (*open)(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out);
    /* All of one write(2), newlines included. The reference has a hold. try_write() is then given the
     * same size, and NULL for the bytes: what it needs of them is in the file. */
    int (*prepare)(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written,
                   struct ipcfs_file **out);
};

/* What create() is asked for. Everything is borrowed for the call. */
struct ipcfs_wish {
    unsigned directory;
    const char *name;
    mode_t type;                       /* S_IFREG, S_IFDIR …: one of those that the kind `makes` */
    int flags;                         /* of open(2) */
    mode_t mode;                       /* the umask is taken off already */
    const struct caller *caller;       /* whose identity the thread has */
    const struct ipcfs_value *options; /* parallel to the backend's `options`; NULL: none is given */
    struct text *reason;               /* NULL, or where to say in a few words why it is refused */
};

/* A lock on an object: flock(2), or fcntl(2) with an open file description as its owner (F_OFD_SETLK). */
struct ipcfs_lock {
    bool whole;         /* flock(2): only `range.l_type` counts */
    struct flock range; /* l_whence is SEEK_SET; l_len 0: up to the end */
};

/* What objects can be: bits. */
enum {
    IPCFS_MAKES_FILES = 1 << 0,       /* regular files: read and written by open(), try_read() … */
    IPCFS_MAKES_DIRECTORIES = 1 << 1, /* directories of `files` */
    IPCFS_MAKES_FIFOS =
        1 << 2, /* nodes of the kernel's: it makes a pipe or a socket of them by itself, by their */
    IPCFS_MAKES_SOCKETS = 1 << 3, /* mode and inode, and no open(2) of them comes here */
};

/* Something that a process has open or mapped, as /proc tells of it. */
struct ipcfs_thing {
    dev_t device; /* and inode, as stat(2) tells them; both 0 where they are not told */
    ino_t ino;
    const char
        *path; /* borrowed: the link's text or the mapping's: "/dev/shm/NAME", "/SYSV0000002a (deleted)" */
    bool same_ipc; /* the process is in the daemon's IPC name space */
};

/* How many of those who used an object last can be told. */
enum { IPCFS_TRACES_USERS = 64 };

/*
 * What the kernel remembers of an object's past, and what is in it. Zero is: not told. Pids are as the daemon's pid name space
 * has them, and may be of other processes by now.
 */
struct ipcfs_traces {
    bool creator_recorded; /* the kernel records who creates objects of this kind: */
    pid_t creator;         /* 0: he is not visible from here */
    bool users_told; /* `users` are all whom the kernel remembers, and all of them are visible from here */
    pid_t users[IPCFS_TRACES_USERS]; /* who used it last, each once */
    size_t user_count;
    /* Times may be cut to whole seconds. */
    struct timespec created; /* or before: the earliest time by which it is known to have been there */
    struct timespec used;    /* last use that the kernel recorded; those of `users` were not later */
    bool bytes_known;
    uint64_t bytes; /* its size */
    bool memory;    /* that is its content, and means nothing to others than those who shared it */
    bool content_known;
    uint64_t content;   /* messages that wait in it and would be lost */
    bool holds_counted; /* the kernel counts all who hold it or wait for it, whoever asks: */
    uint64_t holds;
    bool persistent;   /* nobody is meant to hold it: a FIFO is there to be opened */
    bool out_of_reach; /* nobody can use it ever again: the node of a socket that is closed */
};

/* How full a queue is. */
enum ipcfs_fill { IPCFS_FILL_UNKNOWN, IPCFS_FILL_EMPTY, IPCFS_FILL_SOME, IPCFS_FILL_FULL };

/* An object as look() sees it. Strings are borrowed for the call. */
struct ipcfs_seen {
    const char *name; /* in the first of the kind's directories */
    const char *key;  /* in the second; NULL: it has none there */
    enum ipcfs_fill fill;
    /* The rest only of a kind without a directory to watch. */
    uint64_t number; /* `id.number` */
    bool sized;
    uint64_t size;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    pid_t creator; /* 0: it is not recorded, or not visible from here */
};
/* Called by look() with each; anything but 0 ends the walk, which returns it. */
typedef int ipcfs_seen_row(void *data, const struct ipcfs_seen *seen);

/* Called by survey() with each thing there is to show; anything but 0 ends the walk, which returns it. */
typedef int ipcfs_survey_row(void *data, const struct ipcfs_value *values);

struct ipcfs_backend {
    /* Path of the kind below the mount point and below ctl/: "shm", "sysv/msg". */
    const char *kind;
    const char *help; /* a phrase, for ctl/README */
    /* Paths of the directories in which objects are named, NULL-terminated: {"shm"}, {"sysv/msg/by-id", …/by-key}. */
    const char *const *directories;
    const struct ipcfs_field *fields;       /* of an object's state */
    const struct ipcfs_field *limit_fields; /* of ctl/<kind>/limits */
    /* What of them is a limit, and what a total: for ctl/limits and ctl/metrics. */
    const struct ipcfs_limit *limit_rows;
    const struct ipcfs_total *totals;
    /* What may follow the name in a line written to ctl/<kind>/create, beside mode=. An empty table: there is no such
     * file, because objects of this kind have nothing that is fixed at creation. */
    const struct ipcfs_field *options;
    const struct ipcfs_verb
        *verbs; /* of ctl/<object>/, beside state and state.json, which every object has */
    /* What is in an object that is a directory. */
    const struct ipcfs_verb *files;
    /* What is in each of its members, which are directories 0, 1 … (the semaphores of a set). */
    const struct ipcfs_verb *member_files;
    /* Gets ready, once, before any other call; stop() undoes it. A kind that cannot start is left out of the tree. */
    int (*start)(void);
    void (*stop)(void);

    /* What a naming directory stands for. */
    int (*stat_directory)(unsigned directory, struct ipcfs_directory *out);
    /* statfs(2) of what carries the kind's objects. */
    int (*stat_system)(struct statvfs *out);

    /*
     * −ENOENT where there is no such object, and for everything that is not shown. Of a kind with `messages` the size is
     * not told: stat() does that, to those who may know it. Where `hold` is not NULL, also holds
     * what was found, with no moment in between in which the name could change.
     */
    int (*find)(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold);

    /* Walks a naming directory. list_next: 1 with an entry, 0 at the end. Position 0 is the start. */
    int (*list_open)(unsigned directory, struct ipcfs_lister **out);
    int (*list_seek)(struct ipcfs_lister *lister, uint64_t position);
    int (*list_next)(struct ipcfs_lister *lister, struct ipcfs_entry *out);
    void (*list_close)(struct ipcfs_lister *lister);
    /* render() of the entry that list_next() has just given, as it was then or as it is now; but no tables. */
    int (*list_render)(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values);

    /*
     * Creates the name, or opens it where it exists and the flags have no O_EXCL. On success `out->hold` and `out->file`
     * are the caller's (there is a file of a regular file only); on error nothing is left behind. uncreate() takes back the
     * name of what create() made, where the caller fails later; it releases nothing.
     */
    int (*create)(const struct ipcfs_wish *wish, struct ipcfs_created *out);
    void (*uncreate)(unsigned directory, const char *name, const struct ipcfs_created *created);
    int (*remove)(unsigned directory, const char *name);
    /* `flags` are those of renameat2(2). */
    int (*rename)(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                  unsigned flags);
    int (*link)(const struct ipcfs_ref *ref, unsigned directory, const char *name);

    int (*hold)(const struct ipcfs_ref *ref, struct ipcfs_hold **out);
    void (*release)(struct ipcfs_hold *hold);

    /* The low 48 bits of stx_ino are the object's `id.number`; of a file that had no object when it was created (create()
     * of a kind with `fixed_size`), that of the object it has by now. */
    int (*stat)(const struct ipcfs_ref *ref, struct statx *out);
    /* `file` is the descriptor the change came by (ftruncate(2)), or NULL where it came by the name. */
    int (*change)(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change);
    /* How many members the object has. */
    int (*members)(const struct ipcfs_ref *ref);
    /* Fills the values of `fields`, which are zero before. Tables (fields.h) are the caller's, also on error. */
    int (*render)(const struct ipcfs_ref *ref, struct ipcfs_value *values);
    /* Where ctl/<kind>/list shows more than the objects: its fields, and a walk over all there is of the sort on the
     * machine that the calling thread may see. An empty table: lists show the objects, with `fields`. */
    const struct ipcfs_field *survey_fields;
    int (*survey)(ipcfs_survey_row *row, void *data);
    /*
     * Whether that is natively an object of the kind; then `*number` is its `id.number`. (What is open through the mount is
     * known by its inode there.) Called for all that all processes have: it asks nobody.
     */
    bool (*recognize)(const struct ipcfs_thing *thing, uint64_t *number);
    /* What it tells of its past, as the calling thread may know it; it changes nothing, no times either. −EOPNOTSUPP of
     * what is no object of its own to be left behind: a file beside sockets, a socket that the daemon itself listens on.
     * `kept` is NULL; or of one walk over many objects, whose first call finds a NULL pointer there. Then the kind may look
     * once for all of them, and not at each moment; what it leaves there the caller gives to free(3). */
    int (*traces)(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out);
    /*
     * For ctl/events, which learns in two ways of what is done natively.
     *
     * watched(): a descriptor, borrowed, of the directory in which objects are files, for inotify(7) and fanotify(7);
     * −EOPNOTSUPP: there is none, and look() tells all. watched_name() gives the name of the object that a file of that
     * name there is, if it is of the right type; NULL: it is none. `*passing`: it may be a name that the C library gives
     * a file only until it is ready.
     *
     * look(): a walk over all objects, with what changes without notice. It asks no other process and leaves no trace.
     * −EOPNOTSUPP: nothing does. Both are called with the daemon's own credentials.
     */
    int (*watched)(void);
    const char *(*watched_name)(const char *file, bool *passing);
    int (*look)(ipcfs_seen_row *row, void *data);
    /* Fills the values of `limit_fields`, as they are for the caller. */
    int (*limits)(const struct caller *caller, struct ipcfs_value *values);

    /* Opens the object of a reference that has a hold. `flags` as open(2), without O_CREAT and O_EXCL. */
    int (*open)(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);
    /* Whether the calling thread may execute the object of a reference that has a hold: 0, or −EACCES. */
    int (*may_execute)(const struct ipcfs_ref *ref);
    void (*close)(struct ipcfs_file *file);
    /* `flags` are the descriptor's status flags of this moment (fcntl(2) F_SETFL): O_APPEND, O_NONBLOCK, O_DIRECT. */
    ssize_t (*try_read)(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait);
    ssize_t (*try_write)(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait);
    /* Of a kind with `messages`: room that a try_read needs so that no message is too large. One that is given less, or
     * meets a larger message all the same, answers −E2BIG, has taken nothing, and this has grown. */
    size_t (*message_room)(struct ipcfs_file *file);
    /* Those who wait to read from (or write to) files of one object in one lane are served one after another; those in
     * different lanes do not wait for each other. */
    uint64_t (*lane)(struct ipcfs_file *file, bool writing);
    /* Which of POLLIN, POLLOUT, POLLERR … hold now; and what to wait for until that changes. */
    int (*poll)(struct ipcfs_file *file, struct ipcfs_wait *wait);

    /*
     * Of an IPCFS_VERB_CONNECTION's file: 0 when it is connected, from then on always. Until then those who wait for it are
     * in lane(file, true), a small number, it is called by one thread at a time, and nothing else but lane() and close() is
     * called with the file; from then on who waits for data, or for room, waits for this connection alone, and never
     * needs a keeper.
     * shutdown() is shutdown(2), with SHUT_RD or SHUT_WR: nobody is left who could read, or write, here; the other end
     * learns of it, and what waits in that direction ends. It is called of what is connected; again where a direction
     * that was over was opened once more.
     */
    int (*try_connect)(struct ipcfs_file *file, struct ipcfs_wait *wait);
    void (*shutdown)(struct ipcfs_file *file, int how);

    /*
     * Locks. lock_owner() makes an open file description of the object, for a reference that has a hold, that may have any
     * lock on it; its locks go with it when it is closed. −EOPNOTSUPP where the kind has no `range_locks`. try_lock()
     * takes, changes or (F_UNLCK) gives back a lock of the file's; get_lock() is F_OFD_GETLK, with l_pid −1 where a file
     * description has the lock.
     */
    int (*lock_owner)(const struct ipcfs_ref *ref, struct ipcfs_file **out);
    int (*try_lock)(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait);
    int (*get_lock)(struct ipcfs_file *file, struct flock *range);

    /* fallocate(2) and lseek(2) with SEEK_DATA or SEEK_HOLE. */
    int (*allocate)(struct ipcfs_file *file, int mode, off_t offset, off_t length);
    off_t (*seek)(struct ipcfs_file *file, off_t offset, int whence);

    /*
     * A descriptor of the object itself, for the kernel to carry read, write and mmap on without asking the daemon
     * (FUSE passthrough). A new descriptor, the caller's; −EOPNOTSUPP where the kind has none. Called with the
     * daemon's own credentials, because the kernel keeps those for all opens that use it; of a kind with `fixed_size`
     * after open() or create(), otherwise before open().
     */
    int (*backing)(const struct ipcfs_ref *ref);

    /*
     * Objects are queues of messages: one try_write sends one, one try_read takes one whole, `offset` means nothing.
     * The FUSE side makes of them what DESIGN says of messages: pieces, ends, packets, ctl/<object>/lines.
     */
    bool messages;

    /*
     * The size is given once, at creation or by the first that sets it. O_TRUNC means nothing then; and as a write(2) on a
     * backing file could make that larger behind the kind's back, passthrough carries mappings and what is opened for
     * reading only, while the writes of others come to try_write().
     */
    bool fixed_size;

    /* render() looks at all processes: it runs beside the threads that answer requests. */
    bool slow_render;

    /* There are fcntl(2) locks, not only those of flock(2): the FUSE side then has to hear of every close(2). */
    bool range_locks;

    /* Objects may be executed: where what carries them is mounted noexec, the mount has to be as well. */
    bool programs;

    unsigned makes; /* IPCFS_MAKES_ */
};

/* The kinds, NULL-terminated, in the order in which they are shown. */
extern const struct ipcfs_backend *const ipcfs_backends[];

/* Whether all objects of the kind are directories. */
static inline bool ipcfs_is_directory(const struct ipcfs_backend *kind)
{
    return kind->makes == IPCFS_MAKES_DIRECTORIES;
}

/* The bit (IPCFS_MAKES_) of a type of file (S_IFMT); 0 of what no object is. */
static inline unsigned ipcfs_type_bit(mode_t type)
{
    return S_ISREG(type)    ? IPCFS_MAKES_FILES
           : S_ISDIR(type)  ? IPCFS_MAKES_DIRECTORIES
           : S_ISFIFO(type) ? IPCFS_MAKES_FIFOS
           : S_ISSOCK(type) ? IPCFS_MAKES_SOCKETS
                            : 0U;
}

/* Whether objects of the kind can be of this type (S_IFMT). */
static inline bool ipcfs_makes(const struct ipcfs_backend *kind, mode_t type)
{
    return kind->makes & ipcfs_type_bit(type);
}

/* The mode of such an object with these permission bits: who may read or write it may look into its directory. */
static inline mode_t ipcfs_directory_mode(mode_t mode)
{
    mode_t bits = mode & 0666;
    return S_IFDIR | bits | ((bits >> 2 | bits >> 1) & 0111);
}

/* The object's `id.number`, as stat() tells it. */
static inline uint64_t ipcfs_stat_number(const struct statx *stat)
{
    return stat->stx_ino & ((UINT64_C(1) << 48) - 1);
}

static inline bool ipcfs_same_object(struct ipcfs_objid a, struct ipcfs_objid b)
{
    return a.number == b.number && a.birth == b.birth;
}

#endif
