/* SPDX-License-Identifier: MIT */
/* Command lines: what is accepted and as what, what is refused and with which words. */
#include "cmocka_api.h"
#include "failing.h"

#include "options.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16 };

/* Two directories to mount on, and the first as an absolute path. */
static char directory[64] = "/tmp/ipcfs-options-XXXXXX";
static char words[4096]; /* what went to stderr, libfuse's own log included */

__attribute__((format(printf, 2, 0))) static void log_to_stderr(enum fuse_log_level level, const char *format,
                                                                va_list arguments)
{
    (void)level;
    (void)vfprintf(stderr, format, arguments);
}

static int make_directory(void **state)
{
    (void)state;
    fuse_set_log_func(log_to_stderr);
    if (!mkdtemp(directory) || chdir(directory) < 0)
        return -1;
    return mkdir("mnt", 0700);
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir("mnt") || chdir("/") || rmdir(directory);
}

/* Splits `line` at spaces into an argv of "ipcfs" and its words; "''" is an empty word. */
struct command {
    char text[512];
    char *argv[ARGUMENTS_MAX + 1];
    int argc;
};

static void make_command(struct command *command, const char *line)
{
    (void)snprintf(command->text, sizeof command->text, "ipcfs %s", line);
    command->argc = 0;
    char *rest = NULL;
    for (char *word = strtok_r(command->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(command->argc < ARGUMENTS_MAX);
        command->argv[command->argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    command->argv[command->argc] = NULL;
}

static int begin_capture(FILE **file)
{
    *file = tmpfile();
    assert_non_null(*file);
    (void)fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(*file), STDERR_FILENO) >= 0);
    return saved;
}

static void end_capture(FILE *file, int saved)
{
    (void)fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    words[fread(words, 1, sizeof words - 1, file)] = '\0';
    (void)fclose(file);
}

static int parse(const char *line, struct options *options)
{
    static struct command command; /* the options may point into it */
    FILE *file = NULL;
    make_command(&command, line);
    int saved = begin_capture(&file);
    int error = options_parse(command.argc, command.argv, options);
    end_capture(file, saved);
    return error;
}

static void must_parse(const char *line, struct options *options)
{
    if (parse(line, options))
        fail_msg("refused: %s: %s", line, words);
    assert_string_equal(words, "");
}

/* ---- accepted ---- */

static const struct {
    const char *line;
    bool foreground, debug;
    enum passthrough_mode passthrough;
    enum log_level log_level;
    unsigned threads; /* 0: any sensible number */
} accepted[] = {
    {"mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"mnt/", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"-f mnt", true, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"mnt -f", true, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"-d mnt", true, true, PASSTHROUGH_AUTO, LOG_LEVEL_DEBUG, 0},
    {"-o debug mnt", true, true, PASSTHROUGH_AUTO, LOG_LEVEL_DEBUG, 0},
    {"-o passthrough=auto mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"-o passthrough=on mnt", false, false, PASSTHROUGH_ON, LOG_LEVEL_INFO, 0},
    {"-opassthrough=off mnt", false, false, PASSTHROUGH_OFF, LOG_LEVEL_INFO, 0},
    {"-o passthrough=on,passthrough=off mnt", false, false, PASSTHROUGH_OFF, LOG_LEVEL_INFO, 0},
    {"-o loglevel=error mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_ERROR, 0},
    {"-d -o loglevel=warning mnt", true, true, PASSTHROUGH_AUTO, LOG_LEVEL_WARNING, 0},
    {"-o max_threads=1 mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 1},
    {"-o max_threads=256 mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 256},
    {"-f -o ro,noexec,passthrough=off,max_threads=3,loglevel=debug mnt", true, false, PASSTHROUGH_OFF,
     LOG_LEVEL_DEBUG, 3},
    {"source mnt", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"source mnt -o rw,allow_other", false, false, PASSTHROUGH_AUTO, LOG_LEVEL_INFO, 0},
    {"-o ro,nosuid,nodev,noatime,sync,dirsync,fsname=x,subtype=y mnt", false, false, PASSTHROUGH_AUTO,
     LOG_LEVEL_INFO, 0},
};

static void test_accepted(void **state)
{
    (void)state;
    char absolute[PATH_MAX];
    (void)snprintf(absolute, sizeof absolute, "%s/mnt", directory);
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        struct options options;
        must_parse(accepted[i].line, &options);
        bool same = options.foreground == accepted[i].foreground && options.debug == accepted[i].debug &&
                    options.passthrough == accepted[i].passthrough &&
                    options.log_level == accepted[i].log_level && !options.help && !options.version;
        if (!same)
            fail_msg("misunderstood: %s", accepted[i].line);
        if (accepted[i].threads)
            assert_int_equal(options.threads, accepted[i].threads);
        else
            assert_int_equal(options.threads, 8);
        assert_string_equal(options.mountpoint, absolute);
        options_free(&options);
    }
}

static void test_poll(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned percent;
    } given[] = {{"-o poll=off mnt", 0},
                 {"-o poll=0 mnt", 0},
                 {"-o poll=1 mnt", 1},
                 {"-opoll=100 mnt", 100},
                 {"-o poll=7,poll=30 mnt", 30}};
    struct options options;
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        must_parse(given[i].line, &options);
        assert_int_equal(options.poll_percent, given[i].percent);
        options_free(&options);
    }
}

/* Where there is one CPU to run on, the default is off; it may be asked for all the same. */
static void test_poll_by_cpus(void **state)
{
    (void)state;
    struct options options;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    must_parse("mnt", &options);
    assert_int_equal(options.poll_percent, CPU_COUNT(&all) > 1 ? 50 : 0);
    options_free(&options);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    must_parse("mnt", &options);
    assert_int_equal(options.poll_percent, 0);
    options_free(&options);
    must_parse("-o poll=20 mnt", &options);
    assert_int_equal(options.poll_percent, 20);
    options_free(&options);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static void test_help_and_version_need_no_mount_point(void **state)
{
    (void)state;
    static const char *const lines[] = {"-h", "--help", "-h mnt", "-V", "--version", "--version nowhere"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct options options;
        must_parse(lines[i], &options);
        assert_int_equal(options.help, i < 3);
        assert_int_equal(options.version, i >= 3);
        assert_null(options.mountpoint);
        options_free(&options);
    }
}

static bool is_given(const struct options *options, const char *word)
{
    for (int i = 0; i < options->fuse.argc; i++)
        if (strstr(options->fuse.argv[i], word))
            return true;
    return false;
}

/* What libfuse is told without being asked for, and what it is not told. */
static void test_defaults_for_libfuse(void **state)
{
    (void)state;
    struct options options;
    must_parse("-f -o ro,passthrough=off,max_threads=2,loglevel=info mnt", &options);
    assert_string_equal(options.fuse.argv[0], "ipcfs");
    assert_true(is_given(&options, "default_permissions"));
    assert_true(is_given(&options, "ro"));
    assert_int_equal(is_given(&options, "allow_other"), geteuid() == 0);
    static const char *const ours[] = {"passthrough", "poll", "threads", "loglevel", "mnt", "-f"};
    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
        assert_false(is_given(&options, ours[i]));
    options_free(&options);
}

/* ---- refused ---- */

static const struct {
    const char *line;
    const char *message; /* part of the line on stderr */
} refused[] = {
    {"", "no mount point given"},
    {"-f", "no mount point given"},
    {"a b mnt", "more than one mount point given"},
    {"./mnt mnt", "more than one mount point given"},
    {"nowhere", "nowhere: No such file or directory"},
    {"nowhere/at/all", "No such file or directory"},
    {"''", "No such file or directory"},
    {"-o passthrough=yes mnt", "-o passthrough=yes: must be auto, on or off"},
    {"-o passthrough= mnt", "must be auto, on or off"},
    {"-o loglevel=loud mnt", "-o loglevel=loud: must be error, warning, info or debug"},
    {"-o poll=101 mnt", "-o poll=101: must be off or a percentage, 0 to 100"},
    {"-o poll=on mnt", "must be off or a percentage"},
    {"-o poll=-1 mnt", "must be off or a percentage"},
    {"-o poll=5% mnt", "must be off or a percentage"},
    {"-o poll= mnt", "must be off or a percentage"},
    {"-o max_threads=0 mnt", "-o max_threads=0: must be 1 to 256"},
    {"-o max_threads=257 mnt", "must be 1 to 256"},
    {"-o max_threads=-1 mnt", "must be 1 to 256"},
    {"-o max_threads=+1 mnt", "must be 1 to 256"},
    {"-o max_threads=2x mnt", "must be 1 to 256"},
    {"-o max_threads=0x2 mnt", "must be 1 to 256"},
    {"-o max_threads= mnt", "must be 1 to 256"},
    {"-o max_threads=18446744073709551617 mnt", "must be 1 to 256"},
    {"-h -o passthrough=yes", "must be auto, on or off"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct options options;
        int error = parse(refused[i].line, &options);
        options_free(&options);
        if (error != -EINVAL)
            fail_msg("not refused: %s", refused[i].line);
        if (!strstr(words, refused[i].message) || strncmp(words, "ipcfs: ", 7) != 0)
            fail_msg("%s: the message is \"%s\"", refused[i].line, words);
        assert_ptr_equal(strchr(words, '\n'), words + strlen(words) - 1); /* one line */
    }
}

/* Refused by options_parse() or, the unknown, by libfuse when the session is made. */
static bool is_refused(const char *line)
{
    static const struct fuse_lowlevel_ops none;
    struct options options;
    struct fuse_session *session = NULL;
    FILE *file = NULL;
    if (parse(line, &options) == 0) {
        int saved = begin_capture(&file);
        session = fuse_session_new(&options.fuse, &none, sizeof none, NULL);
        end_capture(file, saved);
    }
    bool is = !session;
    if (session)
        fuse_session_destroy(session);
    options_free(&options);
    return is;
}

static void test_unknown_options(void **state)
{
    (void)state;
    static const char *const unknown[] = {"--nonsense mnt",         "-x mnt",
                                          "-o nonsense mnt",        "-s mnt",
                                          "-o passthrough mnt",     "-o max_threads mnt",
                                          "-o foo=bar,ro mnt",      "-ff mnt",
                                          "-o passthroughs=on mnt", "-o"};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        if (!is_refused(unknown[i]))
            fail_msg("accepted: %s", unknown[i]);
        if (!*words)
            fail_msg("refused without a word: %s", unknown[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++)
        if (is_refused(accepted[i].line))
            fail_msg("libfuse refuses: %s: %s", accepted[i].line, words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_poll_by_cpus),
        cmocka_unit_test(test_help_and_version_need_no_mount_point),
        cmocka_unit_test(test_defaults_for_libfuse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unknown_options),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
