/* SPDX-License-Identifier: MIT */
/*
 * Requests of the kernel to the daemon's session, without a mount: kernel.c plays the kernel, an input is a program for it.
 * A byte chooses an instruction (instructions[]; new ones come last, as inputs are kept), and what it needs follows.
 */
#include "fuzz.h"
#include "kernel.h"

#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INSTRUCTIONS_MAX = 120, RAW = 250, REQUEST_SIZE_MAX = 64 * 1024 };

/* ---- what instructions need ---- */

/* New ones come last. */
static const char *const names[] = {
    "a",       "b",        "c",          "jobs",    "0",      "1",       "0x2a",  "0x00000001", "shm",
    "mq",      "sem",      "sysv",       "msg",     "by-id",  "by-key",  "ctl",   "pipe",       "sock",
    "proc",    "self",     "create",     "list",    "state",  "lines",   "value", "post",       "wait",
    "hold",    "op",       "values",     "zero",    "nsems",  "prio",    "type",  "peek",       "qbytes",
    "lock",    "capacity", "accept",     "connect", "socket", "backlog", "send",  "recv",       "reclaim",
    "native",  "limits",   "last-error", "events",  "ftok",   "-1",      "32767", "holders",    "waiters",
    "version", "README",   "4294967296", "sem.a",   "\377",   ".",       "..",    "",
};

static const char *const paths[] = {
    "shm",
    "shm/a",
    "mq",
    "mq/a",
    "sem",
    "sem/a",
    "sem/a/value",
    "sem/a/post",
    "sem/a/wait",
    "sem/a/hold",
    "sysv/msg/by-key",
    "sysv/msg/by-key/0x2a",
    "sysv/shm/by-key",
    "sysv/shm/by-key/0x2a",
    "sysv/sem/by-key",
    "sysv/sem/by-key/0x2a",
    "sysv/sem/by-key/0x2a/op",
    "sysv/sem/by-key/0x2a/values",
    "sysv/sem/by-key/0x2a/0/wait",
    "sysv/sem/by-key/0x2a/0/hold",
    "sysv/sem/by-key/0x2a/0/zero",
    "sysv/sem/by-key/0x2a/0/value",
    "sysv/sem/by-key/0x2a/0/post",
    "sysv/ftok",
    "sysv/msg/by-id",
    "sysv/sem/by-id",
    "sysv/shm/by-id",
    "pipe",
    "pipe/a",
    "sock",
    "sock/a",
    "sock/a/accept",
    "sock/a/connect",
    "sock/a/send",
    "sock/a/recv",
    "sock/a/type",
    "sock/a/backlog",
    "ctl/shm/create",
    "ctl/mq/create",
    "ctl/sem/create",
    "ctl/sysv/msg/create",
    "ctl/sysv/shm/create",
    "ctl/sysv/sem/create",
    "ctl/sock/create",
    "ctl/shm/list",
    "ctl/mq/list.json",
    "ctl/mq/a/state",
    "ctl/mq/a/lines",
    "ctl/mq/a/prio/5",
    "ctl/sysv/msg/by-key/0x2a/type/3",
    "ctl/sysv/msg/by-key/0x2a/type/-3",
    "ctl/sysv/msg/by-key/0x2a/lines",
    "ctl/sysv/msg/by-key/0x2a/peek/0",
    "ctl/sysv/msg/by-key/0x2a/qbytes",
    "ctl/sysv/shm/by-key/0x2a/lock",
    "ctl/pipe/a/capacity",
    "ctl/pipe/a/peek",
    "ctl/sock/a/reclaim",
    "ctl/shm/a/native",
    "ctl/last-error",
    "ctl/events",
    "ctl/events.json",
    "ctl/metrics",
    "ctl/limits",
    "ctl/version",
    "ctl/README",
    "proc",
    "proc/self",
    "ctl/list.json",
    "ctl/mq/a/holders",
    "ctl/mq/a/waiters",
    "ctl/waits",
};

static const char *const lines[] = {
    "a\n",
    "a maxmsg=2 msgsize=16 mode=0666\n",
    "a value=1 mode=0600\n",
    "0x2a\n",
    "0x2a nsems=2 mode=0666\n",
    "0x2a size=4096\n",
    "a type=stream backlog=1\n",
    "a type=dgram\n",
    "0:-1 1:+1\n",
    "0:0\n",
    "0:-1n\n",
    "1 2\n",
    "1\n",
    "0\n",
    "5\n",
    "-1\n",
    "one\ntwo\nthree\n",
    "/dev/shm 65\n",
    "/dev/shm/a x\n",
    "99999999999999999999\n",
    "32768\n",
    "",
    "\n",
    "a\\040b\n",
    "4096\n",
};

static const char *choose(struct input *input, const char *const *table, size_t count, char **raw)
{
    unsigned which = input_byte(input);
    *raw = NULL;
    if (which < RAW)
        return table[which % count];
    struct input part = input_part(input, input_byte(input));
    return *raw = input_string(&part);
}
#define CHOOSE(input, table, raw) choose(input, table, sizeof(table) / sizeof *(table), raw)

static void put_name(struct input *input)
{
    char *raw = NULL;
    add_name(CHOOSE(input, names, &raw));
    free(raw);
}

static uint64_t take_node(struct input *input)
{
    unsigned which = input_byte(input);
    return which < RAW ? kernel_node(which) : input_number(input, 1 + which % 8);
}

/* A handle, and mostly its own node. */
static struct kernel_handle take_handle(struct input *input)
{
    unsigned which = input_byte(input);
    const struct kernel_handle *known = kernel_handle(which);
    if (which < RAW && known)
        return *known;
    uint64_t handle = which < RAW && known ? known->handle : input_number(input, 1 + which % 8);
    return (struct kernel_handle){.node = take_node(input), .handle = handle};
}

/* Small, or anything. */
static uint64_t take_number(struct input *input)
{
    unsigned byte = input_byte(input);
    return byte < 240 ? byte : byte < RAW ? UINT64_C(1) << (8 + byte % 10) : input_number(input, 8);
}

static uint32_t take_size(struct input *input)
{
    uint64_t size = take_number(input);
    return size < REQUEST_SIZE_MAX ? (uint32_t)size : REQUEST_SIZE_MAX;
}

static uint32_t take_flags(struct input *input)
{
    unsigned byte = input_byte(input);
    uint32_t flags = byte & O_ACCMODE;
    flags |= byte & 4 ? O_NONBLOCK : 0;
    flags |= byte & 8 ? O_DIRECT : 0;
    flags |= byte & 16 ? O_APPEND : 0;
    flags |= byte & 32 ? O_TRUNC : 0;
    flags |= byte & 64 ? O_EXCL : 0;
    return byte & 128 ? (uint32_t)input_number(input, 4) : flags;
}

static mode_t take_mode(struct input *input)
{
    static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFLNK, S_IFCHR, S_IFBLK, 0};
    mode_t type = types[input_byte(input) % 8];
    return type | (mode_t)(input_number(input, 2) & 07777);
}

/* ---- instructions ---- */

static void do_a_walk(struct input *input)
{
    char *raw = NULL;
    kernel_walk(CHOOSE(input, paths, &raw));
    free(raw);
}

static void do_a_lookup(struct input *input)
{
    uint64_t node = take_node(input);
    begin(FUSE_LOOKUP, node);
    put_name(input);
    kernel_send(FUSE_LOOKUP, node, 0, 0);
}

static void do_a_forget(struct input *input)
{
    unsigned which = input_byte(input);
    kernel_forget(which, 1 + input_byte(input));
}

static void do_a_getattr(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    const struct fuse_getattr_in in = {.getattr_flags = input_byte(input) & FUSE_GETATTR_FH,
                                       .fh = handle.handle};
    begin(FUSE_GETATTR, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_GETATTR, handle.node, 0, 0);
}

static void do_a_setattr(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    struct fuse_setattr_in in = {.valid = (uint32_t)input_number(input, 2), .fh = handle.handle};
    in.size = take_number(input);
    in.mode = take_mode(input);
    in.uid = input_byte(input);
    in.gid = input_byte(input);
    in.atime = take_number(input);
    in.mtimensec = (uint32_t)take_number(input);
    in.lock_owner = input_byte(input) % 4;
    begin(FUSE_SETATTR, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_SETATTR, handle.node, in.valid & FATTR_FH ? handle.handle : 0, 0);
}

static void do_an_open(struct input *input)
{
    uint64_t node = take_node(input);
    uint32_t opcode = input_byte(input) & 1 ? FUSE_OPENDIR : FUSE_OPEN;
    const struct fuse_open_in in = {.flags = take_flags(input)};
    if (!kernel_has_room())
        return;
    begin(opcode, node);
    add(&in, sizeof in);
    kernel_send(opcode, node, 0, 0);
}

static void do_a_create(struct input *input)
{
    uint64_t node = take_node(input);
    const struct fuse_create_in in = {
        .flags = take_flags(input) | O_CREAT, .mode = take_mode(input), .umask = input_byte(input)};
    if (!kernel_has_room())
        return;
    begin(FUSE_CREATE, node);
    add(&in, sizeof in);
    put_name(input);
    kernel_send(FUSE_CREATE, node, 0, 0);
}

static void do_a_make(struct input *input)
{
    uint64_t node = take_node(input);
    const struct fuse_mknod_in mknod_in = {.mode = take_mode(input), .rdev = input_byte(input)};
    const struct fuse_mkdir_in mkdir_in = {.mode = mknod_in.mode & 07777};
    uint32_t opcode = S_ISDIR(mknod_in.mode) ? FUSE_MKDIR : FUSE_MKNOD;
    begin(opcode, node);
    if (opcode == FUSE_MKDIR)
        add(&mkdir_in, sizeof mkdir_in);
    else
        add(&mknod_in, sizeof mknod_in);
    put_name(input);
    kernel_send(opcode, node, 0, 0);
}

static void do_a_removal(struct input *input)
{
    uint64_t node = take_node(input);
    uint32_t opcode = input_byte(input) & 1 ? FUSE_RMDIR : FUSE_UNLINK;
    begin(opcode, node);
    put_name(input);
    kernel_send(opcode, node, 0, 0);
}

static void do_a_renaming(struct input *input)
{
    uint64_t node = take_node(input);
    const struct fuse_rename2_in in = {.newdir = take_node(input), .flags = input_byte(input) % 8};
    begin(FUSE_RENAME2, node);
    add(&in, sizeof in);
    put_name(input);
    put_name(input);
    kernel_send(FUSE_RENAME2, node, 0, 0);
}

static void do_a_link(struct input *input)
{
    uint64_t node = take_node(input);
    const struct fuse_link_in in = {.oldnodeid = take_node(input)};
    uint32_t opcode = input_byte(input) & 1 ? FUSE_SYMLINK : FUSE_LINK;
    begin(opcode, node);
    if (opcode == FUSE_LINK)
        add(&in, sizeof in);
    put_name(input);
    if (opcode == FUSE_SYMLINK)
        put_name(input);
    kernel_send(opcode, node, 0, 0);
}

static void do_a_reading(struct input *input)
{
    static const uint32_t opcodes[] = {FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS};
    struct kernel_handle handle = take_handle(input);
    unsigned how = input_byte(input);
    uint32_t opcode = handle.directory ? opcodes[1 + how % 2] : opcodes[how / 16 % 8 == 7 ? how % 3 : 0];
    struct fuse_read_in in = {.fh = handle.handle, .size = take_size(input), .offset = take_number(input)};
    in.flags = take_flags(input);
    if (opcode == FUSE_READDIRPLUS && in.size > 64 * 160)
        in.size = 64 * 160; /* no more entries than there is room for */
    if (!kernel_has_room())
        return;
    begin(opcode, handle.node);
    add(&in, sizeof in);
    kernel_send(opcode, handle.node, handle.handle, in.size);
}

static void do_a_write(struct input *input)
{
    char *raw = NULL;
    struct kernel_handle handle = take_handle(input);
    const char *line = CHOOSE(input, lines, &raw);
    struct fuse_write_in in = {.fh = handle.handle, .flags = take_flags(input), .offset = take_number(input)};
    in.size = (uint32_t)strlen(line);
    in.write_flags = input_byte(input) & 1 ? FUSE_WRITE_KILL_SUIDGID : 0;
    if (kernel_has_room()) {
        begin(FUSE_WRITE, handle.node);
        add(&in, sizeof in);
        add(line, in.size);
        kernel_send(FUSE_WRITE, handle.node, handle.handle, in.size);
    }
    free(raw);
}

/* Much of one byte: a large message, many lines. */
static void do_a_long_write(struct input *input)
{
    static char much[REQUEST_SIZE_MAX];
    struct kernel_handle handle = take_handle(input);
    struct fuse_write_in in = {.fh = handle.handle, .size = take_size(input), .offset = take_number(input)};
    if (!kernel_has_room())
        return;
    memset(much, input_byte(input), in.size);
    begin(FUSE_WRITE, handle.node);
    add(&in, sizeof in);
    add(much, in.size);
    kernel_send(FUSE_WRITE, handle.node, handle.handle, in.size);
}

static void do_a_release(struct input *input)
{
    unsigned which = input_byte(input);
    unsigned how = input_byte(input);
    kernel_release(which, how & (FUSE_RELEASE_FLUSH | FUSE_RELEASE_FLOCK_UNLOCK), how >> 6);
}

static void do_a_flush(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    const struct fuse_flush_in in = {.fh = handle.handle, .lock_owner = input_byte(input) % 4};
    begin(FUSE_FLUSH, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_FLUSH, handle.node, handle.handle, 0);
}

static void do_a_lock(struct input *input)
{
    static const uint32_t opcodes[] = {FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW};
    static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK, 7};
    struct kernel_handle handle = take_handle(input);
    unsigned how = input_byte(input);
    uint32_t opcode = opcodes[how % 3];
    struct fuse_lk_in in = {.fh = handle.handle, .owner = how / 3 % 4};
    in.lk = (struct fuse_file_lock){.start = take_number(input), .end = take_number(input), .pid = how};
    in.lk.type = types[how / 16 % 4];
    in.lk_flags = how & 64 ? FUSE_LK_FLOCK : 0;
    if (in.lk.start > INT64_MAX || in.lk.end > INT64_MAX || in.lk.end < in.lk.start)
        in.lk.end = INT64_MAX, in.lk.start &= INT64_MAX;
    if (!kernel_has_room())
        return;
    begin(opcode, handle.node);
    add(&in, sizeof in);
    kernel_send(opcode, handle.node, handle.handle, 0);
}

static void do_a_poll(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    const struct fuse_poll_in in = {.fh = handle.handle,
                                    .kh = 1 + handle.handle,
                                    .flags = input_byte(input) & FUSE_POLL_SCHEDULE_NOTIFY,
                                    .events = input_byte(input)};
    begin(FUSE_POLL, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_POLL, handle.node, handle.handle, 0);
}

static void do_an_allocation(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    const struct fuse_fallocate_in in = {.fh = handle.handle,
                                         .offset = take_number(input),
                                         .length = take_number(input),
                                         .mode = input_byte(input)};
    begin(FUSE_FALLOCATE, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_FALLOCATE, handle.node, handle.handle, 0);
}

static void do_a_seek(struct input *input)
{
    struct kernel_handle handle = take_handle(input);
    const struct fuse_lseek_in in = {
        .fh = handle.handle, .offset = take_number(input), .whence = input_byte(input) % 6};
    begin(FUSE_LSEEK, handle.node);
    add(&in, sizeof in);
    kernel_send(FUSE_LSEEK, handle.node, handle.handle, 0);
}

/* Those of a node alone. */
static void do_a_look(struct input *input)
{
    static const uint32_t opcodes[] = {FUSE_STATFS, FUSE_READLINK, FUSE_ACCESS};
    uint64_t node = take_node(input);
    unsigned how = input_byte(input);
    const struct fuse_access_in in = {.mask = how / 3 % 8};
    uint32_t opcode = opcodes[how % 3];
    begin(opcode, node);
    if (opcode == FUSE_ACCESS)
        add(&in, sizeof in);
    kernel_send(opcode, node, 0, PATH_MAX);
}

static void do_an_xattr(struct input *input)
{
    static const uint32_t opcodes[] = {FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_REMOVEXATTR};
    uint64_t node = take_node(input);
    uint32_t opcode = opcodes[input_byte(input) % 3];
    const struct fuse_getxattr_in in = {.size = take_size(input)};
    begin(opcode, node);
    if (opcode != FUSE_REMOVEXATTR)
        add(&in, sizeof in);
    if (opcode != FUSE_LISTXATTR)
        put_name(input);
    kernel_send(opcode, node, 0, in.size ? in.size : sizeof(struct fuse_getxattr_out));
}

static void do_an_interrupt(struct input *input)
{
    kernel_interrupt(input_byte(input));
}

/* Who asks from now on. */
static void do_an_asker(struct input *input)
{
    static const uint32_t ids[] = {0, 54321, 1000, 65534, UINT32_MAX};
    unsigned how = input_byte(input);
    wire.asker.uid = ids[how % 5];
    wire.asker.gid = ids[how / 5 % 5];
    wire.asker.pid = how & 128 ? 0 : (uint32_t)getpid();
}

/*
 * Any other request, with a body of any bytes. libfuse takes the length of the body for granted, as it comes from the kernel:
 * what is missing is zeros.
 */
static void do_anything(struct input *input)
{
    static const char zeros[128];
    uint32_t opcode = input_byte(input);
    uint64_t node = take_node(input);
    struct input body = input_part(input, input_byte(input));
    switch (opcode) {
    case FUSE_SETXATTR: /* with a length in it */
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_BMAP:
    case FUSE_IOCTL:
    case FUSE_COPY_FILE_RANGE:
    case FUSE_TMPFILE:
    case FUSE_SYNCFS:
    case OPCODE_STATX:
        break;
    default:
        if (opcode < 60)
            return; /* the others have instructions of their own; or are of the mount's begin and end */
    }
    begin(opcode, node);
    if (opcode == FUSE_SETXATTR)
        add(zeros, sizeof(struct fuse_setxattr_in)); /* a size of 0 */
    add(body.data ? (const void *)body.data : zeros, body.size);
    add(zeros, sizeof zeros);
    kernel_send(opcode, node, 0, REQUEST_SIZE_MAX);
}

typedef void instruction(struct input *input);
static instruction *const instructions[] = {
    do_a_walk,    do_a_lookup,     do_a_forget,   do_a_getattr, do_a_setattr,     do_an_open, do_a_create,
    do_a_make,    do_a_removal,    do_a_renaming, do_a_link,    do_a_reading,     do_a_write, do_a_long_write,
    do_a_release, do_a_flush,      do_a_lock,     do_a_poll,    do_an_allocation, do_a_seek,  do_a_look,
    do_an_xattr,  do_an_interrupt, do_an_asker,   do_anything,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    kernel_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    kernel_begin();
    for (int i = 0; input.size && i < INSTRUCTIONS_MAX; i++)
        instructions[input_byte(&input) % (sizeof instructions / sizeof *instructions)](&input);
    kernel_end();
    return 0;
}
