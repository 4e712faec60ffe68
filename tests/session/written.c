/* SPDX-License-Identifier: MIT */
/*
 * Control files that are written, by raw requests. The only kind here is one of the test's own: the objects "one" and
 * "list", which have a level that can be written, and creation with an option.
 */
#include "wire.h"

#include "creds.h"
#include "failing.h"
#include "ops.h"
#include "private_shm.h"
#include "session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the kind ---- */

static struct {
    uint64_t level;
    uid_t writer;
    char created[64];
    uid_t creator;
    mode_t mode;
    int holds, files;
    bool gone;
} native;

struct ipcfs_hold {
    int unused;
};
struct ipcfs_file {
    int unused;
};
static struct ipcfs_hold the_hold;
static struct ipcfs_file the_file;

static int start(void)
{
    return 0;
}

static void stop(void)
{
}

static int stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    *out = (struct ipcfs_directory){.open_to_all = true};
    return 0;
}

static int find_object(unsigned directory, const char *name, struct ipcfs_found *out,
                       struct ipcfs_hold **hold)
{
    (void)directory;
    (void)hold;
    if (strcmp(name, "one") != 0 && strcmp(name, "list") != 0)
        return -ENOENT;
    uint64_t number = 1 + (*name == 'l');
    *out = (struct ipcfs_found){.id = {.number = number},
                                .stat = {.stx_ino = number, .stx_mode = S_IFREG | 0600}};
    return 0;
}

static int create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    native.creator = geteuid();
    native.mode = wish->mode;
    (void)snprintf(native.created, sizeof native.created, "%u/%s", wish->directory, wish->name);
    if (wish->options[0].known && wish->options[0].number > 10) {
        text_printf(wish->reason, "depth=%" PRIu64 ": over the limit (10)", wish->options[0].number);
        return -EINVAL;
    }
    native.holds++;
    native.files++;
    *out = (struct ipcfs_created){.made = true, .hold = &the_hold, .file = &the_file};
    return 0;
}

static void release(struct ipcfs_hold *hold)
{
    assert_ptr_equal(hold, &the_hold);
    native.holds--;
}

static void close_file(struct ipcfs_file *file)
{
    assert_ptr_equal(file, &the_file);
    native.files--;
}

static int render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    values[0] = (struct ipcfs_value){.known = true, .string = ref->name};
    return 0;
}

static int read_level(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)ref;
    (void)number;
    if (native.gone)
        return -ESTALE;
    text_printf(out, "%" PRIu64 "\n", native.level);
    return 0;
}

static int write_level(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)ref;
    (void)number;
    const char *data = written->data;
    struct text *reason = written->reason;
    assert_int_equal(strlen(data), written->size);
    if (native.gone)
        return -ESTALE;
    if (strcmp(data, "full") == 0)
        return -ENOSPC;
    text_string(reason, "half a reason");
    if (*data < '0' || *data > '9') {
        text_printf(reason, ", %s", data);
        return -EINVAL;
    }
    native.level = strtoull(data, NULL, 10);
    native.writer = geteuid();
    return 0;
}

static int read_peek(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)ref;
    if (number < 0 || number > 2)
        return -ENOENT;
    text_printf(out, "message %" PRId64, number);
    return 0;
}

static const struct ipcfs_field fields[] = {{"name", IPCFS_NAME, "", "its name"}, {0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const struct ipcfs_field options[] = {{"depth", IPCFS_UNSIGNED, "", "how deep it is"}, {0}};
static const char *const directories[] = {"fake", "fakes/by-key", NULL};
static const struct ipcfs_verb verbs[] = {
    {.name = "level", .mode = 0644, .help = "how high it is", .read = read_level, .write = write_level},
    {.name = "knock", .mode = 0222, .help = "anything", .write = write_level},
    {.name = "peek",
     .mode = 0444,
     .help = "message N",
     .numbered = true,
     .unlisted = true,
     .read = read_peek},
    {0},
};

static const struct ipcfs_verb no_files[] = {{0}};

/* render() by the entry's name. */
static int list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    return render(&ref, values);
}

static const struct ipcfs_backend kind = {
    .kind = "fake",
    .help = "a kind of the test's own",
    .directories = directories,
    .fields = fields,
    .limit_fields = no_fields,
    .options = options,
    .verbs = verbs,
    .files = no_files,
    .member_files = no_files,
    .survey_fields = no_fields,
    .list_render = list_render,
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .find = find_object,
    .create = create,
    .release = release,
    .close = close_file,
    .render = render,
    .messages = true,
    .makes = IPCFS_MAKES_FILES,
};

const struct ipcfs_backend *const ipcfs_backends[] = {&kind, NULL};

static int begin_written(void **state)
{
    memset(&native, 0, sizeof native);
    native.level = 5;
    return begin_test(state);
}

static int end_written(void **state)
{
    return native.holds || native.files ? -1 : end_test(state);
}

/* ---- handles ---- */

struct open_file {
    uint64_t node, handle;
    uint32_t flags;
};

static struct open_file must_open(const char *path, int flags)
{
    struct fuse_open_out out;
    struct open_file file = {.node = walk(path)};
    int error = do_open(file.node, flags, &out);
    if (error)
        fail_msg("%s: %s", path, strerror(-error));
    file.handle = out.fh;
    file.flags = out.open_flags;
    return file;
}

static void must_close(const struct open_file *file)
{
    assert_int_equal(do_release(file->node, file->handle), 0);
}

static int write_to(const struct open_file *file, const char *text)
{
    return do_write(file->node, file->handle, text, strlen(text), 4711, O_RDWR);
}

static void must_read(const struct open_file *file, uint32_t size, const char *expected)
{
    struct answer answer = do_read(file->node, file->handle, size, 12345);
    assert_int_equal(answer.error, 0);
    if (answer.size != strlen(expected) || memcmp(answer.data, expected, answer.size) != 0)
        fail_msg("read \"%.*s\", expected \"%s\"", (int)answer.size, answer.data, expected);
}

/* Reads from its start a file that is open for reading only. */
static void must_contain(const char *path, const char *words)
{
    struct open_file file = must_open(path, O_RDONLY);
    char text[8192];
    struct answer answer = do_read(file.node, file.handle, sizeof text - 1, 0);
    assert_int_equal(answer.error, 0);
    (void)snprintf(text, sizeof text, "%.*s", (int)answer.size, answer.data);
    if (*words ? !strstr(text, words) : *text != '\0')
        fail_msg("%s does not say \"%s\":\n%s", path, words, text);
    must_close(&file);
}

/* ---- opening ---- */

static void test_open(void **state)
{
    (void)state;
    static const char *const written[] = {"sysv/ftok", "ctl/fake/create", "ctl/fake/one/level",
                                          "ctl/fake/one/knock"};
    static const char *const read_only[] = {"ctl/version",         "ctl/last-error", "ctl/fake/list",
                                            "ctl/fake/one/peek/1", "ctl/README",     "ctl/fake/one/state"};
    static const int flags[] = {O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND,
                                O_RDWR | O_CREAT | O_TRUNC};
    const uint32_t stream = FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6;
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(written); j++) {
            struct open_file file = must_open(written[j], flags[i]);
            assert_int_equal(file.flags, stream);
            must_close(&file);
        }
        struct fuse_open_out out;
        for (size_t j = 0; j < ARRAY_LENGTH(read_only); j++)
            assert_int_equal(do_open(walk(read_only[j]), flags[i], &out), -EPERM);
    }
    struct fuse_open_out out;
    assert_int_equal(do_open(walk("ctl/version"), O_RDONLY | O_TRUNC, &out), -EPERM);
    struct open_file file = must_open("ctl/fake/one/level", O_RDONLY | O_TRUNC);
    assert_int_equal(file.flags & FOPEN_STREAM, 0);
    assert_int_equal(write_to(&file, "6"), -EBADF);
    must_close(&file);
    assert_int_equal(native.level, 5);
    assert_int_equal(handles(), 0);
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        uint32_t mode;
    } modes[] = {
        {"sysv/ftok", S_IFREG | 0666},          {"ctl/fake/create", S_IFREG | 0666},
        {"ctl/last-error", S_IFREG | 0444},     {"ctl/fake/one/level", S_IFREG | 0644},
        {"ctl/fake/one/knock", S_IFREG | 0222}, {"ctl/fake/one/lines", S_IFREG | 0666},
        {"ctl/fake/one/peek", S_IFDIR | 0555},  {"ctl/fake/one/peek/-7", S_IFREG | 0444},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct fuse_attr attr;
        assert_int_equal(do_getattr(walk(modes[i].path), &attr), 0);
        assert_int_equal(attr.mode, modes[i].mode);
    }
}

/* ---- transactions ---- */

static void test_create(void **state)
{
    (void)state;
    wire.asker = stranger;
    struct open_file file = must_open("ctl/fake/create", O_RDWR);
    must_read(&file, 100, "");
    assert_int_equal(write_to(&file, "a\\040b depth=3 mode=0640\n"), 25);
    assert_string_equal(native.created, "1/a b");
    assert_true(native.creator == stranger.uid && native.mode == 0640);
    assert_int_equal(geteuid(), 0);
    must_read(&file, 100, "");
    assert_int_equal(write_to(&file, "first\nsecond depth=11\nthird\n"), 6);
    assert_string_equal(native.created, "1/second");
    must_read(&file, 10, "depth=11: ");
    must_read(&file, 100, "over the limit (10)\n");
    must_read(&file, 100, "");
    must_read(&file, 100, "");
    assert_int_equal(write_to(&file, "second depth=11\nthird\n"), -EINVAL);
    assert_int_equal(write_to(&file, "third deep=1"), -EINVAL);
    must_read(&file, 100, "deep=1: no such option (depth mode)\n");
    must_close(&file);
    must_contain("ctl/last-error", "Z ctl/fake/create: deep=1: no such option (depth mode)\n");
}

static void test_level(void **state)
{
    (void)state;
    struct open_file file = must_open("ctl/fake/one/level", O_RDWR);
    must_read(&file, 100, "5\n");
    must_read(&file, 100, "");
    native.level = 6;
    must_read(&file, 1, "6");
    must_read(&file, 1, "\n");
    assert_int_equal(write_to(&file, "17\n"), 3);
    assert_int_equal(native.level, 17);
    must_read(&file, 100, "17\n"); /* nothing was answered: the file's own text */
    must_read(&file, 100, "");
    assert_int_equal(write_to(&file, "high\n"), -EINVAL);
    must_read(&file, 100, "half a reason, high\n");
    assert_int_equal(write_to(&file, "full\n"), -ENOSPC);
    must_read(&file, 100, "full: No space left on device\n");
    native.gone = true;
    assert_int_equal(write_to(&file, "1\n"), -ENOENT);
    must_read(&file, 100, "1: No such file or directory\n");
    must_read(&file, 100, "");
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENOENT);
    must_close(&file);
}

static void test_level_read_only(void **state)
{
    (void)state;
    struct open_file file = must_open("ctl/fake/one/level", O_RDONLY);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).size, 2);
    assert_int_equal(do_read(file.node, file.handle, 100, 2).size, 0);
    native.level = 12345;
    assert_int_equal(do_read(file.node, file.handle, 100, 0).size, 6);
    must_close(&file);
    file = must_open("ctl/fake/one/knock", O_RDWR);
    must_read(&file, 100, "");
    wire.asker = stranger;
    assert_int_equal(write_to(&file, "8\n"), 2);
    assert_int_equal(native.writer, stranger.uid);
    must_read(&file, 100, "");
    must_close(&file);
}

static void test_numbers(void **state)
{
    (void)state;
    must_contain("ctl/fake/one/peek/2", "message 2");
    struct open_file file = must_open("ctl/fake/one/peek/3", O_RDONLY);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENOENT);
    must_close(&file);
    struct fuse_entry_out entry;
    static const char *const wrong[] = {"02", "+2", "x", "2x", "9223372036854775808", " 2", "-0"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(do_lookup(walk("ctl/fake/one/peek"), wrong[i], &entry), -ENOENT);
}

static void test_ftok(void **state)
{
    (void)state;
    char expected[16];
    struct open_file file = must_open("sysv/ftok", O_RDWR | O_TRUNC);
    (void)snprintf(expected, sizeof expected, "0x%08x\n", (unsigned)ftok("/dev/null", 'A'));
    assert_int_equal(write_to(&file, "/dev/null A\n"), 12);
    must_read(&file, 4, "0x41");
    must_read(&file, 100, expected + 4);
    must_read(&file, 100, "");
    assert_int_equal(mkdir("/dev/shm/closed", 0700), 0);
    wire.asker = stranger;
    assert_int_equal(write_to(&file, "/dev/shm/closed/x 1\n"), -EACCES);
    must_read(&file, 100, "/dev/shm/closed/x: Permission denied\n");
    assert_int_equal(rmdir("/dev/shm/closed"), 0);
    must_close(&file);
}

static void test_too_much(void **state)
{
    (void)state;
    char text[4200];
    struct open_file file = must_open("sysv/ftok", O_RDWR);
    memset(text, '\n', sizeof text);
    text[4097] = '\0';
    assert_int_equal(write_to(&file, text), -EINVAL);
    must_read(&file, 100, "line too long\n");
    text[4096] = '\0';
    assert_int_equal(write_to(&file, text), 4096);
    assert_int_equal(do_write(file.node, file.handle, "/\0 1", 4, 0, O_RDWR), -EINVAL);
    must_read(&file, 100, "a NUL byte in the line\n");
    assert_int_equal(write_to(&file, ""), 0);
    must_close(&file);
}

/* ---- ctl/last-error ---- */

static void test_last_error(void **state)
{
    (void)state;
    must_contain("ctl/last-error", "");
    struct open_file file = must_open("ctl/fake/@list/level", O_WRONLY);
    assert_int_equal(write_to(&file, "x"), -EINVAL);
    must_contain("ctl/last-error", "Z ctl/fake/@list/level: half a reason, x\n");
    wire.asker = stranger;
    must_contain("ctl/last-error", "");
    struct open_file theirs = must_open("sysv/ftok", O_WRONLY);
    assert_int_equal(write_to(&theirs, "x 1"), -EINVAL);
    must_contain("ctl/last-error", "Z sysv/ftok: x: not an absolute path\n");
    must_close(&theirs);
    wire.asker = (struct asker){.pid = (uint32_t)getpid()};
    must_contain("ctl/last-error", "half a reason");
    must_close(&file);
    file = must_open("ctl/fakes/by-key/one/level", O_WRONLY);
    assert_int_equal(write_to(&file, "y"), -EINVAL);
    must_contain("ctl/last-error", "Z ctl/fakes/by-key/one/level: half a reason, y\n");
    must_close(&file);
}

static void test_readme(void **state)
{
    (void)state;
    static const char *const words[] = {
        "no side effect and never blocks", "\nfake/create  ", "\nfake/NAME/lines  ", "\nfake/NAME/peek/N  ",
        "message N (unlisted)\n",          "\nsysv/ftok  ",   "\nlast-error  ",      "  depth  ",
        "0600 where it is not given",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        must_contain("ctl/README", words[i]);
}

/* ---- out of memory ---- */

/* The answer is the right one, or ENOMEM; and a handle that failed to open is gone. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const paths[] = {"ctl/fake/create", "ctl/fake/one/level", "sysv/ftok"};
    static const char *const lines[] = {"x depth=x", "x", "x 1"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        uint64_t node = walk(paths[i]);
        /* From 2: the first allocation is the buffer of the test's own receive(). */
        for (unsigned number = 2, failures = 1; failures; number++) {
            struct fuse_open_out out;
            failures = 0;
            failing_arm(number);
            int error = do_open(node, O_RDWR, &out);
            failures += failing_disarm();
            assert_true(error == 0 || error == -ENOMEM);
            if (error)
                continue;
            failing_arm(number);
            error = do_write(node, out.fh, lines[i], strlen(lines[i]), 0, O_RDWR);
            failures += failing_disarm();
            assert_true(error == -EINVAL || error == -ENOMEM);
            failing_arm(number);
            error = do_read(node, out.fh, 4096, 0).error;
            failures += failing_disarm();
            assert_true(error == 0 || error == -ENOMEM);
            assert_int_equal(do_release(node, out.fh), 0);
        }
        assert_int_equal(handles(), 0);
    }
}

#define WRITTEN(function) cmocka_unit_test_setup_teardown(function, begin_written, end_written)

__attribute__((format(printf, 2, 0))) static void say_nothing(enum fuse_log_level level, const char *format,
                                                              va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITTEN(test_open),   WRITTEN(test_modes),           WRITTEN(test_create),
        WRITTEN(test_level),  WRITTEN(test_level_read_only), WRITTEN(test_numbers),
        WRITTEN(test_ftok),   WRITTEN(test_too_much),        WRITTEN(test_last_error),
        WRITTEN(test_readme), WRITTEN(test_out_of_memory),
    };
    private_shm_enter("size=64m,mode=1777");
    (void)umask(0);
    (void)alarm(500); /* nothing here may block for ever */
    fuse_set_log_func(say_nothing);
    if (session_block_signals() || creds_init())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
