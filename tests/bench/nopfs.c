/* SPDX-License-Identifier: MIT */
/*
 * nopfs: the floor under every request to a FUSE daemon.
 *
 * A file system that does no work at all: a fixed set of files, every request answered from constants.
 * What it costs is what the kernel, libfuse and the wake-ups cost; the difference to ipcfs is ipcfs's own.
 *
 *   null      a write is accepted and a read gives zeroes, at once
 *   ctl       a control file: a short text
 *   data      with --backing: that file, its data carried by the kernel (passthrough)
 *   stream    as null, but opened as a message queue is
 *   ping, pong  each a pipe for one message
 *   fifo      a named pipe of the kernel's
 *   fresh/    with ctl and another fresh/, FRESH_LEVELS deep: asked for each time, as the directories of objects are
 *   dir/      --files static regular files, for ls and ls -l
 *
 * The loop is libfuse's own multi-threaded one, or that of ipcfs.
 */
#include "nopfs_loop.h"
#include "nopfs_message.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRESH_LEVELS 3

/* Node ids; they never go away, so FORGET has nothing to do. */
enum {
    INO_ROOT = FUSE_ROOT_ID,
    INO_NULL,
    INO_CTL,
    INO_DATA,
    INO_STREAM,
    INO_PIPE0,
    INO_FIFO = INO_PIPE0 + PIPES,
    INO_FRESH,
    INO_DIR = INO_FRESH + FRESH_LEVELS,
    INO_FILE0
};

#define NAME_FMT "f%06u"
#define NAME_LEN 7

static const char ctl_text[] = "name: nothing\nsize: 4096\nmode: 0644\nuid: 0\ngid: 0\n";

static struct {
    unsigned files;
    double entry_timeout;
    double attr_timeout;
    double dir_timeout;
    struct loop loop;
    const char *backing;
    off_t backing_size;
} cfg = {.files = 10000, .dir_timeout = 3600};

static char (*names)[NAME_LEN + 1];

/* ---- answers ------------------------------------------------------------------------------------------------- */

static bool is_fresh(fuse_ino_t ino)
{
    return ino >= INO_FRESH && ino < INO_FRESH + FRESH_LEVELS;
}

static bool is_dir(fuse_ino_t ino)
{
    return ino == INO_ROOT || ino == INO_DIR || is_fresh(ino);
}

/* A directory that may be kept for as long as those of the tree itself. */
static bool is_kept(fuse_ino_t ino)
{
    return ino == INO_ROOT || ino == INO_DIR;
}

static double attr_timeout(fuse_ino_t ino)
{
    if (is_dir(ino))
        return is_kept(ino) ? cfg.dir_timeout : 0;
    return cfg.attr_timeout;
}

static bool is_pipe(fuse_ino_t ino)
{
    return ino >= INO_PIPE0 && ino < INO_PIPE0 + PIPES;
}

static mode_t mode_of(fuse_ino_t ino)
{
    if (is_dir(ino))
        return S_IFDIR | 0755;
    return (ino == INO_FIFO ? S_IFIFO : S_IFREG) | 0644;
}

static bool attr_of(fuse_ino_t ino, struct stat *st)
{
    if (ino < INO_ROOT || ino >= INO_FILE0 + (fuse_ino_t)cfg.files)
        return false;
    *st = (struct stat){.st_ino = ino,
                        .st_mode = mode_of(ino),
                        .st_nlink = is_dir(ino) ? 2 : 1,
                        .st_size = ino == INO_DATA ? cfg.backing_size : 0,
                        .st_blksize = 4096};
    return true;
}

static struct fuse_entry_param entry_of(fuse_ino_t ino)
{
    struct fuse_entry_param e = {.ino = ino,
                                 .generation = 1,
                                 .attr_timeout = attr_timeout(ino),
                                 .entry_timeout = is_kept(ino) ? cfg.dir_timeout : cfg.entry_timeout};
    attr_of(ino, &e.attr);
    return e;
}

/* What is in the root directory. */
static const struct {
    const char *name;
    fuse_ino_t ino;
} root_entries[] = {{"null", INO_NULL},  {"ctl", INO_CTL},        {"dir", INO_DIR},   {"stream", INO_STREAM},
                    {"ping", INO_PIPE0}, {"pong", INO_PIPE0 + 1}, {"fifo", INO_FIFO}, {"fresh", INO_FRESH}};
#define ROOT_ENTRIES (sizeof root_entries / sizeof *root_entries)

static fuse_ino_t find_fresh(fuse_ino_t parent, const char *name)
{
    if (strcmp(name, "ctl") == 0)
        return INO_CTL;
    return strcmp(name, "fresh") == 0 && is_fresh(parent + 1) ? parent + 1 : 0;
}

static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
    if (parent == INO_ROOT) {
        for (size_t i = 0; i < ROOT_ENTRIES; i++)
            if (strcmp(name, root_entries[i].name) == 0)
                return root_entries[i].ino;
        return cfg.backing && strcmp(name, "data") == 0 ? INO_DATA : 0;
    }
    if (is_fresh(parent))
        return find_fresh(parent, name);
    if (parent != INO_DIR || name[0] != 'f')
        return 0;
    unsigned long i = strtoul(name + 1, NULL, 10);
    return i < cfg.files && strcmp(name, names[i]) == 0 ? INO_FILE0 + i : 0;
}

static void nop_init(void *data, struct fuse_conn_info *conn)
{
    (void)data;
    fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS);
    fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS_AUTO);
    /* Without it, and with an answer to getxattr, the kernel asks for security.capability before a write. */
    fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
    fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
    conn->max_backing_stack_depth = 1;
}

static void nop_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    fuse_ino_t ino = find(parent, name);
    if (ino == 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    struct fuse_entry_param e = entry_of(ino);
    fuse_reply_entry(req, &e);
}

static void nop_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    (void)ino;
    (void)count;
    fuse_reply_none(req);
}

static void nop_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count;
    (void)forgets;
    fuse_reply_none(req);
}

static void nop_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    if (attr_of(ino, &st))
        fuse_reply_attr(req, &st, attr_timeout(ino));
    else
        fuse_reply_err(req, ENOENT);
}

/* `>` truncates: the size never changes, the answer is what getattr says. */
static void nop_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                        struct fuse_file_info *fi)
{
    (void)attr;
    (void)to_set;
    nop_getattr(req, ino, fi);
}

/* All opens of a passed-through file share one backing id; it is made at the first and kept. */
static int backing_id(fuse_req_t req)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int id;
    pthread_mutex_lock(&lock);
    if (id <= 0 && cfg.backing) {
        int fd = open(cfg.backing, O_RDWR | O_CLOEXEC);
        if (fd != -1) {
            id = fuse_passthrough_open(req, fd);
            close(fd);
        }
    }
    pthread_mutex_unlock(&lock);
    return id;
}

static void nop_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (ino == INO_STREAM || is_pipe(ino)) {
        open_stream(req);
        return;
    }
    fi->noflush = 1;
    if (ino == INO_DATA)
        fi->backing_id = backing_id(req);
    else
        fi->direct_io = 1;
    if (ino == INO_DATA && fi->backing_id <= 0)
        fuse_reply_err(req, ENODEV);
    else
        fuse_reply_open(req, fi);
}

static void nop_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    if (ino == INO_STREAM) {
        stream_read(req, size, fi->flags);
        return;
    }
    if (is_pipe(ino)) {
        pipe_read(req, (unsigned)(ino - INO_PIPE0), size);
        return;
    }
    if (ino != INO_CTL) {
        fuse_reply_buf(req, no_data, size < sizeof no_data ? size : sizeof no_data);
        return;
    }
    size_t len = sizeof ctl_text - 1;
    size_t skip = (size_t)off < len ? (size_t)off : len;
    fuse_reply_buf(req, ctl_text + skip, size < len - skip ? size : len - skip);
}

static void nop_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
                      struct fuse_file_info *fi)
{
    (void)off;
    (void)fi;
    if (is_pipe(ino))
        pipe_write(req, (unsigned)(ino - INO_PIPE0), buf, size);
    else
        fuse_reply_write(req, size);
}

static void nop_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, 0);
}

/* The entry at position `i` of a directory: its node id and name, or 0 after the last. */
static fuse_ino_t entry_at(fuse_ino_t dir, unsigned i, const char **name)
{
    if (dir == INO_ROOT) {
        if (i >= ROOT_ENTRIES)
            return 0;
        *name = root_entries[i].name;
        return root_entries[i].ino;
    }
    if (i >= cfg.files || dir != INO_DIR)
        return 0; /* what is in the others is only looked up */
    *name = names[i];
    return INO_FILE0 + i;
}

static void nop_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)fi;
    char *buf = malloc(size);
    if (!buf) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    size_t used = 0;
    const char *name;
    fuse_ino_t ino;
    struct stat st;
    for (unsigned i = (unsigned)off; (ino = entry_at(dir, i, &name)) != 0; i++) {
        attr_of(ino, &st);
        size_t n = fuse_add_direntry(req, buf + used, size - used, name, &st, i + 1);
        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, buf, used);
    free(buf);
}

/* Told so once, ls asks for no more; told ENOSYS, it gets "no data" from the kernel and asks for every file. */
static void nop_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    (void)ino;
    (void)name;
    (void)size;
    fuse_reply_err(req, EOPNOTSUPP);
}

/* No opendir, flush, access: libfuse answers ENOSYS, and the kernel then does without. */
static const struct fuse_lowlevel_ops nop_ops = {
    .init = nop_init,
    .lookup = nop_lookup,
    .forget = nop_forget,
    .forget_multi = nop_forget_multi,
    .getattr = nop_getattr,
    .setattr = nop_setattr,
    .open = nop_open,
    .read = nop_read,
    .write = nop_write,
    .release = nop_release,
    .getxattr = nop_getxattr,
    .readdir = nop_readdir,
};

/* ---- start-up ------------------------------------------------------------------------------------------------ */

static void usage(FILE *out)
{
    fprintf(out, "usage: nopfs [options] MOUNTPOINT   (stays in the foreground)\n"
                 "  --files=N           files in dir/ (10000)\n"
                 "  --entry-timeout=S   seconds the kernel may keep a name (0)\n"
                 "  --attr-timeout=S    seconds the kernel may keep attributes (0)\n"
                 "  --dir-timeout=S     the same, both, for directories (3600)\n"
                 "  --backing=FILE      what is behind the file data\n"
                 "  --loop=KIND         mt (libfuse's, default), crew (that of ipcfs)\n"
                 "  --threads=N         for mt: at most; for crew: exactly\n"
                 "  --poll-percent=N    for crew: of one CPU, to be spent in polling (0)\n");
}

static const char *parse_args(int argc, char **argv)
{
    static const struct option opts[] = {{"files", 1, NULL, 'f'},        {"entry-timeout", 1, NULL, 'e'},
                                         {"attr-timeout", 1, NULL, 'a'}, {"loop", 1, NULL, 'l'},
                                         {"threads", 1, NULL, 't'},      {"dir-timeout", 1, NULL, 'd'},
                                         {"backing", 1, NULL, 'b'},      {"poll-percent", 1, NULL, 'p'},
                                         {"help", 0, NULL, 'h'},         {0}};
    int c;
    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'f':
            cfg.files = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            cfg.entry_timeout = strtod(optarg, NULL);
            break;
        case 'a':
            cfg.attr_timeout = strtod(optarg, NULL);
            break;
        case 'd':
            cfg.dir_timeout = strtod(optarg, NULL);
            break;
        case 'l':
            if (!loop_parse(&cfg.loop, optarg)) {
                fprintf(stderr, "nopfs: no such loop: %s\n", optarg);
                exit(2);
            }
            break;
        case 't':
            cfg.loop.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            cfg.loop.percent = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            cfg.backing = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind + 1 != argc || cfg.files > 999999 || cfg.loop.threads > LOOP_THREADS_MAX) {
        usage(stderr);
        exit(2);
    }
    return argv[optind];
}

static bool prepare(void)
{
    struct stat st = {0};
    if (cfg.backing && stat(cfg.backing, &st) == -1)
        return false;
    cfg.backing_size = st.st_size;
    names = calloc(cfg.files ? cfg.files : 1, sizeof *names);
    for (unsigned i = 0; names && i < cfg.files; i++)
        snprintf(names[i], sizeof *names, NAME_FMT, i % 1000000);
    return names != NULL;
}

static int serve(struct fuse_session *se, const char *mountpoint)
{
    if (fuse_set_signal_handlers(se) != 0)
        return 1;
    int rc = 1;
    if (fuse_session_mount(se, mountpoint) == 0) {
        rc = loop_run(&cfg.loop, se) < 0;
        fuse_session_unmount(se);
    }
    fuse_remove_signal_handlers(se);
    return rc;
}

int main(int argc, char **argv)
{
    const char *mountpoint = parse_args(argc, argv);
    if (!prepare()) {
        perror("nopfs");
        return 1;
    }
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *se = NULL;
    int rc = 1;
    if (fuse_opt_add_arg(&args, argv[0]) == 0 &&
        fuse_opt_add_arg(&args, "-ofsname=nopfs,default_permissions,allow_other") == 0)
        se = fuse_session_new(&args, &nop_ops, sizeof nop_ops, NULL);
    if (se) {
        rc = serve(se, mountpoint);
        fuse_session_destroy(se);
    }
    fuse_opt_free_args(&args);
    free(names);
    return rc;
}
