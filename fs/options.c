/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * More than there are CPUs on a small machine: with several threads asleep the kernel finds one on a CPU that wakes
 * quickly. On an idle machine with two CPUs `ls -l` of 10,000 objects took 1.0 s with 2 threads, 0.5 s with 8, and no
 * less with more.
 */
enum { THREADS_DEFAULT = 8, THREADS_MAX = 256 };

enum { POLL_DEFAULT = 50 };

/* As fuse_opt fills them in. */
struct raw_options {
    int help;
    int version;
    int foreground;
    int debug;
    char *passthrough;
    char *loglevel;
    char *threads;
    char *poll;
    char *runtime;
    char *names[2]; /* arguments that are no options */
    int name_count;
};

#define RAW(template, member)                                                                                \
    {                                                                                                        \
        template, offsetof(struct raw_options, member), 1                                                    \
    }

static const struct fuse_opt option_table[] = {
    RAW("-h", help),
    RAW("--help", help),
    RAW("-V", version),
    RAW("--version", version),
    RAW("-f", foreground),
    RAW("-d", debug),
    RAW("debug", debug),
    RAW("passthrough=%s", passthrough),
    RAW("loglevel=%s", loglevel),
    RAW("max_threads=%s", threads),
    RAW("poll=%s", poll),
    RAW("runtime=%s", runtime),
    FUSE_OPT_END,
};

static int keep_name(void *data, const char *argument, int key, struct fuse_args *arguments)
{
    struct raw_options *raw = data;
    (void)arguments;
    if (key != FUSE_OPT_KEY_NONOPT)
        return 1; /* for libfuse, which refuses what it does not know */
    if (raw->name_count < 2)
        raw->names[raw->name_count] = strdup(argument);
    raw->name_count++;
    return 0;
}

static void free_raw(struct raw_options *raw)
{
    free(raw->passthrough);
    free(raw->loglevel);
    free(raw->threads);
    free(raw->poll);
    free(raw->runtime);
    free(raw->names[0]);
    free(raw->names[1]);
}
#define AUTO_RAW __attribute__((cleanup(free_raw))) struct raw_options

__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("ipcfs: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    return -EINVAL;
}

static int parse_number(const char *word, unsigned least, unsigned most, unsigned *out)
{
    char *end = NULL;
    unsigned long number = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || number < least || number > most)
        return -EINVAL;
    *out = (unsigned)number;
    return 0;
}

static int parse_poll(const char *word, unsigned *percent)
{
    *percent = 0;
    return strcmp(word, "off") == 0 ? 0 : parse_number(word, 0, 100, percent);
}

/* With one CPU only, whoever polls keeps it from those whose requests he waits for. */
static unsigned poll_default(void)
{
    cpu_set_t cpus;
    bool one = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) < 2;
    return one ? 0 : POLL_DEFAULT;
}

static int interpret(struct raw_options *raw, struct options *options)
{
    options->help = raw->help;
    options->version = raw->version;
    options->debug = raw->debug;
    options->foreground = raw->foreground || raw->debug;
    options->log_level = raw->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    options->threads = THREADS_DEFAULT;
    options->poll_percent = poll_default();
    if (raw->passthrough && passthrough_parse_mode(raw->passthrough, &options->passthrough))
        return complain("-o passthrough=%s: must be auto, on or off", raw->passthrough);
    if (raw->loglevel && log_parse_level(raw->loglevel, &options->log_level))
        return complain("-o loglevel=%s: must be error, warning, info or debug", raw->loglevel);
    if (raw->threads && parse_number(raw->threads, 1, THREADS_MAX, &options->threads))
        return complain("-o max_threads=%s: must be 1 to 256", raw->threads);
    if (raw->poll && parse_poll(raw->poll, &options->poll_percent))
        return complain("-o poll=%s: must be off or a percentage, 0 to 100", raw->poll);
    if (raw->runtime && *raw->runtime != '/')
        return complain("-o runtime=%s: must be an absolute path", raw->runtime);
    options->runtime = TAKE_PTR(raw->runtime);
    return 0;
}

/* The directory's absolute path. A stale mount point can not be looked at, only its parent can. */
static char *absolute_path(const char *path)
{
    char *real = realpath(path, NULL);
    if (real || errno != ENOTCONN)
        return real;
    AUTO_FREE char *copy = strdup(path);
    if (!copy)
        return NULL;
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *last = slash ? slash + 1 : copy;
    AUTO_FREE char *parent = slash ? strndup(copy, (size_t)(slash - copy) + 1) : strdup(".");
    AUTO_FREE char *real_parent = parent ? realpath(parent, NULL) : NULL;
    if (!real_parent)
        return NULL;
    const char *separator = strcmp(real_parent, "/") == 0 ? "" : "/";
    return asprintf(&real, "%s%s%s", real_parent, separator, last) < 0 ? NULL : real;
}

static int take_names(const struct raw_options *raw, struct options *options)
{
    if (raw->name_count == 0)
        return complain("no mount point given; see ipcfs --help");
    /* With two, the first is the source, as mount(8) passes it on from fstab(5): a word, not a path. */
    if (raw->name_count > 2 || (raw->name_count == 2 && raw->names[0] && strchr(raw->names[0], '/')))
        return complain("more than one mount point given; see ipcfs --help");
    const char *path = raw->names[raw->name_count - 1];
    if (!path)
        return complain("%s", strerror(ENOMEM));
    options->mountpoint = absolute_path(path);
    if (options->mountpoint)
        return 0;
    return complain("%s: %s", path, strerror(errno));
}

static int add_defaults(struct options *options)
{
    /* Before what the user gave, so that his word counts where both say something. */
    int failed = fuse_opt_insert_arg(&options->fuse, 1, "-odefault_permissions,fsname=ipcfs,subtype=ipcfs");
    if (!failed && geteuid() == 0)
        failed = fuse_opt_insert_arg(&options->fuse, 1, "-oallow_other");
    if (!failed && options->debug)
        failed = fuse_opt_add_arg(&options->fuse, "-d");
    return failed ? complain("%s", strerror(ENOMEM)) : 0;
}

int options_parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){0};
    struct fuse_args given = FUSE_ARGS_INIT(argc, argv);
    AUTO_RAW raw = {0};
    if (fuse_opt_parse(&given, &raw, option_table, keep_name) < 0)
        return -EINVAL;
    options->fuse = given;
    int error = interpret(&raw, options);
    if (error || options->help || options->version)
        return error;
    error = take_names(&raw, options);
    return error ? error : add_defaults(options);
}

void options_free(struct options *options)
{
    free(options->runtime);
    free(options->mountpoint);
    fuse_opt_free_args(&options->fuse);
}

void options_help(void)
{
    (void)printf(
        "usage: ipcfs [options] MOUNTPOINT\n"
        "\n"
        "Shows the machine's IPC objects as files.\n"
        "\n"
        "    -h, --help              print this and exit\n"
        "    -V, --version           print versions and exit\n"
        "    -f                      stay in the foreground, log to stderr\n"
        "    -d                      like -f, and print every request\n"
        "    -o OPTION[,OPTION...]   mount options:\n"
        "       passthrough=auto     let the kernel carry the data of shared memory where it can (default);\n"
        "                            here and now: %s; ctl/version tells what a mount has\n"
        "       passthrough=on       the same, but do not start where it cannot\n"
        "       passthrough=off      never: read and write go through the daemon, shared mappings are refused\n"
        "       runtime=DIR          where pipes and sockets are kept while there is no mount\n"
        "                            (default: /run/ipcfs, for ordinary users $XDG_RUNTIME_DIR/ipcfs)\n"
        "       max_threads=N        threads that answer requests (default: %d)\n"
        "       poll=PERCENT         how much of one CPU may be spent in waiting for the next request awake;\n"
        "                            off: none (default: %d, with one CPU off)\n"
        "       loglevel=LEVEL       error, warning, info (default) or debug\n"
        "       allow_other          let all users in, each with his own rights (always on for root)\n"
        "       ro, noexec, noatime, fsname=NAME, ...\n"
        "                            mount options that FUSE file systems have in common\n"
        "\n"
        "Unmount with `umount MOUNTPOINT`, or `fusermount3 -u MOUNTPOINT` as an ordinary user.\n",
        passthrough_expected() ? "it can" : "it cannot (needs Linux 6.9 and CAP_SYS_ADMIN)", THREADS_DEFAULT,
        POLL_DEFAULT);
}
