/* SPDX-License-Identifier: MIT */
/* ipcfs: start-up and end. */
#include "background.h"
#include "creds.h"
#include "ipcfs.h"
#include "mountpoint.h"
#include "ops.h"
#include "options.h"
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* What libfuse said last, on one line: it explains a failed start better than the errno. */
static char fuse_words[256];

/* libfuse's own log: during the start kept for the one line of a failure, afterwards in the daemon's log. */
static bool starting = true;

__attribute__((format(printf, 2, 0))) static void take_fuse_log(enum fuse_log_level level, const char *format,
                                                                va_list arguments)
{
    if (level == FUSE_LOG_DEBUG) {
        (void)vfprintf(stderr, format, arguments);
        return;
    }
    if (!starting) {
        log_vline(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, format, arguments);
        return;
    }
    size_t length = strlen(fuse_words);
    (void)vsnprintf(fuse_words + length, sizeof fuse_words - length, format, arguments);
}

static int fail(const char *what, int error)
{
    char *words = fuse_words;
    if (strncmp(words, "fuse: ", 6) == 0)
        words += 6;
    words[strcspn(words, "\n")] = '\0';
    (void)fprintf(stderr, "ipcfs: %s: %s\n", what, *words ? words : strerror(-error));
    return error;
}

/* As many descriptors as the administrator allows: every open file and every object in use takes one or two. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
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

/* Serves on a mounted session, until the end. `ready_fd`: see background_ready(); −1 in the foreground. */
static int serve(struct ipcfs *fs, const struct options *options, int ready_fd)
{
    int error = session_first_request(fs);
    if (error)
        return fail_start(fs, options, error);
    starting = false;
    if (ready_fd >= 0)
        background_ready(ready_fd);
    log_info("mounted on %s; passthrough is %s: %s", options->mountpoint, fs->passthrough ? "on" : "off",
             fs->passthrough_reason);
    error = session_serve(fs);
    if (error)
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

static int mount_and_serve(struct ipcfs *fs, struct options *options, int ready_fd)
{
    fs->session = fuse_session_new(&options->fuse, &ipcfs_operations, sizeof ipcfs_operations, fs);
    if (!fs->session)
        return fail("cannot start", -EINVAL);
    int error = mountpoint_prepare(options->mountpoint);
    if (error) {
        (void)fprintf(stderr, "ipcfs: %s: %s\n", options->mountpoint, mount_problem(error));
    } else if (fuse_session_mount(fs->session, options->mountpoint)) {
        error = fail_mount(options);
    } else {
        error = serve(fs, options, ready_fd);
        fuse_session_unmount(fs->session);
    }
    fuse_session_destroy(fs->session);
    return error;
}

static int run(struct options *options, int ready_fd)
{
    log_set_level(options->log_level);
    raise_descriptor_limit();
    (void)umask(0); /* modes come with the caller's umask taken off */
    int error = session_block_signals();
    if (!error)
        error = creds_init();
    if (error)
        return fail("cannot start", error);
    struct ipcfs fs = {
        .passthrough_wanted = options->passthrough,
        .threads = options->threads,
        .started = now(),
    };
    error = ipcfs_init(&fs);
    if (error)
        return fail("cannot start", error);
    error = mount_and_serve(&fs, options, ready_fd);
    ipcfs_destroy(&fs);
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
    fuse_set_log_func(take_fuse_log);
    struct options options;
    int error = options_parse(argc, argv, &options);
    if (!error)
        error = start(&options);
    options_free(&options);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
