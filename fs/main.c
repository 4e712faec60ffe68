/* SPDX-License-Identifier: MIT */
/* ipcfs: start-up and end. */
#include "background.h"
#include "creds.h"
#include "deliver.h"
#include "ipcfs.h"
#include "mountpoint.h"
#include "ops.h"
#include "options.h"
#include "session.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What libfuse said last, on one line: it explains a failed start better than the errno. */
static char fuse_words[256];

/* libfuse's own log: until the mount answers, kept for the one line of a failure; afterwards in the daemon's log. */
static bool starting = true;

static enum log_level own_level(enum fuse_log_level level)
{
    if (level <= FUSE_LOG_ERR)
        return LOG_LEVEL_ERROR;
    return level <= FUSE_LOG_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
}

__attribute__((format(printf, 2, 0))) static void take_fuse_log(enum fuse_log_level level, const char *format,
                                                                va_list arguments)
{
    if (level == FUSE_LOG_DEBUG) {
        (void)vfprintf(stderr, format, arguments);
        return;
    }
    char words[sizeof fuse_words];
    (void)vsnprintf(words, sizeof words, format, arguments);
    words[strcspn(words, "\n")] = '\0';
    if (deliver_heed_log(words))
        return;
    if (!starting) {
        log_line(own_level(level), "%s", words);
    } else if (*words) {
        /* A message comes in pieces: each is kept, up to the room there is. */
        size_t length = strlen(fuse_words);
        (void)snprintf(fuse_words + length, sizeof fuse_words - length, "%s", words);
    }
}

static int fail(const char *what, int error)
{
    char *words = fuse_words;
    if (strncmp(words, "fuse: ", 6) == 0)
        words += 6;
    (void)fprintf(stderr, "ipcfs: %s: %s\n", what, *words ? words : strerror(-error));
    return error;
}

static void raise_limit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(resource, &limit);
    }
}

/* As many descriptors as the administrator allows, because every open file and every object in use takes one or two;
 * and objects as large as callers may make them. */
static void raise_limits(void)
{
    raise_limit(RLIMIT_NOFILE);
    raise_limit(RLIMIT_FSIZE);
}

/* What is opened later must not become stdin, stdout or stderr. */
static void fill_standard_descriptors(void)
{
    int fd = 0;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static struct statx_timestamp now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (uint32_t)time.tv_nsec};
}

static const char *mount_problem(int error)
{
    if (error == -EBUSY)
        return "an ipcfs is mounted there already";
    return strerror(-error);
}

static int fail_start(const struct ipcfs *fs, const struct options *options, int error)
{
    if (error != -EOPNOTSUPP)
        return fail(options->mountpoint, error);
    (void)fprintf(stderr, "ipcfs: %s: no passthrough, and -o passthrough=on asks for it: %s\n",
                  options->mountpoint, fs->passthrough_reason);
    return error;
}

/* What serving says when it has begun. */
struct start_report {
    const struct ipcfs *fs;
    const struct options *options;
    int ready_fd; /* see background_ready(); −1 in the foreground */
    bool begun;
};

static void report_ready(void *data)
{
    struct start_report *report = data;
    report->begun = true;
    if (report->ready_fd >= 0)
        background_ready(report->ready_fd);
    log_info("mounted on %s; passthrough is %s: %s", report->options->mountpoint,
             report->fs->passthrough ? "on" : "off", report->fs->passthrough_reason);
    place_report();
    if (*report->fs->left_out)
        log_warning("left out: %s", report->fs->left_out);
}

/* Serves on a mounted session, until the end. */
static int serve(struct ipcfs *fs, const struct options *options, int ready_fd)
{
    int error = session_first_request(fs);
    if (error)
        return fail_start(fs, options, error);
    starting = false; /* before there are threads that read it */
    struct start_report report = {.fs = fs, .options = options, .ready_fd = ready_fd};
    error = session_serve(fs, report_ready, &report);
    if (error && !report.begun)
        return fail(options->mountpoint, error);
    if (error == -ETIMEDOUT)
        log_error("a thread is stuck in a native call; unmounted all the same");
    else if (error)
        log_error("%s", strerror(-error));
    return error;
}

/* libfuse tells no errno, but says why in its log; or fusermount3, which it uses for ordinary users, has said it. */
static int fail_mount(const struct options *options)
{
    if (!*fuse_words)
        (void)strcpy(fuse_words, "could not be mounted");
    return fail(options->mountpoint, -EIO);
}

/* Out of memory for the mount's source, libfuse gives 0 for the device (fuse_mount_sys(), lib/mount.c): that is /dev/null. */
static int mount_session(struct fuse_session *session, const char *mountpoint)
{
    int error = fuse_session_mount(session, mountpoint);
    return error || fuse_session_fd(session) > STDERR_FILENO ? error : -ENOMEM;
}

static int mount_and_serve(struct ipcfs *fs, struct options *options, int ready_fd)
{
    fs->session = fuse_session_new(&options->fuse, &ipcfs_operations, sizeof ipcfs_operations, fs);
    if (!fs->session)
        return fail("cannot start", -EINVAL);
    int error = mountpoint_prepare(options->mountpoint);
    fs->mountpoint = realpath(options->mountpoint, NULL); /* while nobody has to answer for what is there */
    if (error) {
        (void)fprintf(stderr, "ipcfs: %s: %s\n", options->mountpoint, mount_problem(error));
    } else if (mount_session(fs->session, options->mountpoint)) {
        error = fail_mount(options);
    } else {
        error = mountpoint_device(options->mountpoint, &fs->device);
        place_set_device(fs->device);
        error = error ? fail(options->mountpoint, error) : serve(fs, options, ready_fd);
        fuse_session_unmount(fs->session);
        (void)mountpoint_clear(options->mountpoint); /* libfuse leaves an aborted mount where it is */
        if (error == -ETIMEDOUT)
            _exit(EXIT_FAILURE); /* a stuck thread still uses everything that would be freed now */
    }
    fuse_session_destroy(fs->session);
    return error;
}

/* Where what carries the objects is mounted noexec, as hardened systems have it, the mount must not be a way round. */
static int keep_noexec(const struct ipcfs *fs, struct options *options)
{
    for (size_t i = 0; fs->tree.kinds[i]; i++) {
        struct statvfs system;
        if (!fs->tree.kinds[i]->programs)
            continue;
        if (fs->tree.kinds[i]->stat_system(&system) || !(system.f_flag & ST_NOEXEC))
            continue;
        if (fuse_opt_add_arg(&options->fuse, "-onoexec"))
            return fail("cannot start", -ENOMEM);
        break;
    }
    return 0;
}

/* Bytes that malloc(3) keeps for the next who wants them, in each of its arenas. */
enum { KEPT_FREE = 2 * 1024 * 1024 };

static int run(struct options *options, int ready_fd)
{
    log_set_level(options->log_level);
    /* Fixed thresholds: large texts go back to the system when they are freed. What a request needs, 1 MiB and a head at
     * most, does not: to have its pages made and unmade costs each large read and write more than to copy the data. */
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_FREE);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    raise_limits();
    (void)umask(0); /* modes come with the caller's umask taken off */
    int error = session_block_signals();
    if (!error)
        error = creds_init();
    if (error)
        return fail("cannot start", error);
    struct ipcfs fs = {
        .passthrough_wanted = options->passthrough,
        .threads_wanted = options->threads,
        .poll_percent = options->poll_percent,
        .started = now(),
    };
    place_init(options->runtime, options->mountpoint);
    error = ipcfs_init(&fs);
    if (error)
        return fail("cannot start", error);
    error = keep_noexec(&fs, options);
    if (!error)
        error = mount_and_serve(&fs, options, ready_fd);
    ipcfs_destroy(&fs);
    place_end();
    return error;
}

static int start(struct options *options)
{
    if (options->help) {
        options_help();
        return 0;
    }
    if (options->version) {
        (void)printf("ipcfs %s\nlibfuse %s\n", IPCFS_VERSION, fuse_pkgversion());
        return 0;
    }
    int ready_fd = -1;
    if (!options->foreground) {
        ready_fd = background_start();
        if (ready_fd < 0)
            return fail("cannot go into the background", ready_fd);
    }
    return run(options, ready_fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    fuse_set_log_func(take_fuse_log);
    struct options options;
    int error = options_parse(argc, argv, &options);
    if (!error)
        error = start(&options);
    else if (*fuse_words)
        (void)fail("cannot start", error);
    options_free(&options);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
