/* SPDX-License-Identifier: MIT */
/*
 * Control files that are rendered by jobs, by raw requests. The only kind here is one of the test's own, with the object "one"
 * whose slow files are rendered as long as the gate is shut.
 */
#include "later.h"

#include "creds.h"
#include "failing.h"
#include "inspect_host.h"
#include "private_shm.h"
#include "session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the kind ---- */

static struct {
    atomic_bool shut;
    atomic_int inside;   /* renderings that wait for the gate */
    atomic_int rendered; /* that have begun */
    atomic_uint uid, gid;
    atomic_int error;
} native;

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
    if (strcmp(name, "one") != 0)
        return -ENOENT;
    *out = (struct ipcfs_found){.id = {.number = 1}, .stat = {.stx_ino = 1, .stx_mode = S_IFREG | 0600}};
    return 0;
}

static int read_slowly(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    assert_string_equal(ref->name, "one");
    native.rendered++;
    native.uid = geteuid();
    native.gid = getegid();
    native.inside++;
    while (native.shut)
        (void)usleep(1000);
    native.inside--;
    text_printf(out, "a slow text, the %dth\n", (int)native.rendered);
    return native.error;
}

static int write_level(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)ref;
    (void)number;
    text_string(written->reason, "no");
    return strcmp(written->data, "good") == 0 ? 0 : -EINVAL;
}

static int render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    AUTO_TEXT text = {0};
    int error = read_slowly(ref, 0, &text);
    values[0] = ipcfs_string(ref->name);
    return error;
}

static const struct ipcfs_field fields[] = {{"name", IPCFS_NAME, "", "its name"}, {0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const char *const directories[] = {"fake", NULL};
static const struct ipcfs_verb verbs[] = {
    {.name = "slow", .mode = 0444, .help = "what takes long", .slow = true, .read = read_slowly},
    {.name = "level",
     .mode = 0666,
     .help = "the same, written",
     .slow = true,
     .read = read_slowly,
     .write = write_level},
    {0},
};
static const struct ipcfs_verb no_files[] = {{0}};

static const struct ipcfs_backend kind = {
    .kind = "fake",
    .help = "a kind of the test's own",
    .directories = directories,
    .fields = fields,
    .limit_fields = no_fields,
    .options = no_fields,
    .verbs = verbs,
    .files = no_files,
    .member_files = no_files,
    .survey_fields = no_fields,
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .find = find_object,
    .render = render,
    .slow_render = true,
    .makes = IPCFS_MAKES_FILES,
};

const struct ipcfs_backend *const ipcfs_backends[] = {&kind, NULL};

static int begin_slow(void **state)
{
    native.shut = false;
    native.inside = native.rendered = native.error = 0;
    later_reset();
    return begin_test(state);
}

static int end_slow(void **state)
{
    native.shut = false;
    return end_test(state);
}

/* ---- reading ---- */

static uint64_t read_later(const struct open_file *file)
{
    begin_read(file, O_RDONLY);
    return ask_later();
}

static void must_say(uint64_t unique, const char *expected)
{
    char text[READ_SIZE + 1] = "";
    ssize_t size = late_bytes(unique, text, READ_SIZE);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_string_equal(text, expected);
}

static void test_text(void **state)
{
    (void)state;
    wire.asker = stranger;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    must_read(&file, "a slow text, the 1th\n");
    assert_true(native.uid == stranger.uid && native.gid == stranger.gid);
    assert_int_equal(geteuid(), 0);
    must_read(&file, "a slow text, the 2th\n"); /* anew from its start */
    struct answer answer = do_read(file.node, file.handle, 6, 0);
    assert_true(answer.size == 6 && memcmp(answer.data, "a slow", 6) == 0);
    answer = do_read(file.node, file.handle, 100, 6);
    assert_true(answer.size == 15 && memcmp(answer.data, " text, the 3th\n", 15) == 0);
    answer = do_read(file.node, file.handle, 100, 21);
    assert_true(answer.size == 0 && !answer.error && native.rendered == 3);
    must_close(&file);
    native.error = -ESTALE;
    file = must_open("ctl/fake/one/slow", O_RDONLY);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENOENT);
    native.error = -EAGAIN;
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -EAGAIN);
    must_close(&file);
}

/* `state`, of a kind whose render() is slow; and what is written as well as read. */
static void test_others(void **state)
{
    (void)state;
    struct open_file file = must_open("ctl/fake/one/state", O_RDONLY);
    native.shut = true;
    uint64_t waiting = read_later(&file);
    await_count(&native.inside, 1);
    must_still_wait();
    native.shut = false;
    must_say(waiting, "name: one\n");
    must_close(&file);
    file = must_open("ctl/fake/one/level", O_RDWR);
    must_read(&file, "a slow text, the 2th\n");
    must_read(&file, "");
    assert_int_equal(write_to(&file, "bad\n"), -EINVAL);
    must_read(&file, "no\n");
    assert_int_equal(write_to(&file, "good\n"), 5);
    native.shut = true;
    waiting = read_later(&file);
    await_count(&native.inside, 1);
    must_still_wait();
    native.shut = false;
    must_say(waiting, "a slow text, the 3th\n");
    must_close(&file);
    await_handles(0);
}

static int refuse(void *context, const struct inspection_parked *parked)
{
    (void)context;
    (void)parked;
    return -EIO;
}

/* Nobody else waits for it. */
static void test_beside(void **state)
{
    (void)state;
    native.shut = true;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    struct open_file other = must_open("ctl/version", O_RDONLY);
    uint64_t waiting = read_later(&file);
    await_count(&native.inside, 1);
    assert_true(do_read(other.node, other.handle, 100, 0).size > 10);
    must_close(&other);
    wire.asker = stranger;
    other = must_open("ctl/fake/one/slow", O_RDONLY);
    uint64_t others = read_later(&other);
    await_count(&native.inside, 2);
    const struct inspection_host host = inspect_host(&wire.fs);
    assert_int_equal(host.each_parked(host.data, refuse, NULL), 0); /* they wait for no object */
    native.shut = false;
    assert_true(late_bytes(waiting, NULL, 0) > 0 && late_bytes(others, NULL, 0) > 0);
    must_close(&file);
    must_close(&other);
    await_handles(0);
}

/* ---- interrupts ---- */

/* libfuse keeps interrupts of what was answered before, and answers one of them with each request that follows. */
static void drain_interrupts(int count)
{
    const struct fuse_getattr_in in = {0};
    for (int i = 0; i < count; i++) {
        begin(FUSE_GETATTR, FUSE_ROOT_ID);
        add(&in, sizeof in);
        assert_int_equal(late_answer(ask_later(), NULL, 0), 0);
    }
}

static void test_interrupted(void **state)
{
    (void)state;
    native.shut = true;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    uint64_t waiting = read_later(&file);
    await_count(&native.inside, 1);
    interrupt(waiting);
    assert_int_equal(late_answer(waiting, NULL, 0), -EINTR);
    assert_int_equal(native.inside, 1);
    must_close(&file);
    native.shut = false;
    await_count(&native.inside, 0);
    await_parked(0);
}

static void test_interrupted_in_queue(void **state)
{
    (void)state;
    enum { READERS = JOBS_RUN_SHARE + 3 };
    uint64_t waiting[READERS];
    native.shut = true;
    wire.asker = stranger;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    for (int i = 0; i < READERS; i++)
        waiting[i] = read_later(&file);
    await_count(&native.inside, JOBS_RUN_SHARE);
    for (int i = READERS - 1; i > 0; i--) {
        interrupt(waiting[i]);
        assert_int_equal(late_answer(waiting[i], NULL, 0), -EINTR);
    }
    must_still_wait();
    native.shut = false;
    must_say(waiting[0], "a slow text, the 2th\n");
    must_close(&file);
    await_count(&native.inside, 0);
    assert_int_equal(native.rendered, JOBS_RUN_SHARE);
    interrupt(waiting[0]); /* too late */
    drain_interrupts(1);
}

/* ---- the end ---- */

static void *open_gate(void *unused)
{
    (void)unused;
    (void)usleep(200 * 1000);
    native.shut = false;
    return NULL;
}

static void test_end(void **state)
{
    (void)state;
    enum { READERS = JOBS_RUN_SHARE + 3 };
    uint64_t waiting[READERS];
    pthread_t opener;
    native.shut = true;
    wire.asker = stranger;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    for (int i = 0; i < READERS; i++)
        waiting[i] = read_later(&file);
    await_count(&native.inside, JOBS_RUN_SHARE);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    assert_true(ipcfs_end_waits(&wire.fs));
    assert_int_equal(native.inside, 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(late_answer(waiting[i], NULL, 0), -ENOTCONN);
    assert_int_equal(native.rendered, JOBS_RUN_SHARE);
    (void)pthread_join(opener, NULL);
}

static void test_stuck_at_the_end(void **state)
{
    (void)state;
    native.shut = true;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    uint64_t waiting = read_later(&file);
    await_count(&native.inside, 1);
    assert_false(ipcfs_end_waits(&wire.fs));
    assert_int_equal(late_answer(waiting, NULL, 0), -ENOTCONN);
    native.shut = false;
    assert_true(ipcfs_end_waits(&wire.fs));
}

/* ---- out of memory ---- */

static void test_out_of_memory(void **state)
{
    (void)state;
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    /* From 2: the first allocation is the buffer of the test's own receive(). */
    for (unsigned number = 2, failures = 1; failures; number++) {
        failing_arm(number);
        int error = do_read(file.node, file.handle, 100, 0).error;
        failures = failing_disarm();
        assert_true(failures ? error == -ENOMEM : error == 0);
    }
    must_close(&file);
    await_handles(0);
}

/* ---- many ---- */

/* Readers who come, and are interrupted or not, while renderings end at any time. */
static void test_storm(void **state)
{
    (void)state;
    enum { ROUNDS = 300, READERS = 8 };
    struct open_file file = must_open("ctl/fake/one/slow", O_RDONLY);
    int told = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t waiting[READERS];
        for (int i = 0; i < READERS; i++)
            waiting[i] = read_later(&file);
        for (int i = 0; i < READERS; i += 1 + round % 3)
            interrupt(waiting[i]);
        for (int i = 0; i < READERS; i++) {
            ssize_t size = late_bytes(waiting[i], NULL, 0);
            assert_true(size == -EINTR || size > 20);
            told += size > 0;
        }
        drain_interrupts(READERS);
    }
    assert_true(told > 0 && native.rendered >= told);
    must_close(&file);
    await_handles(0);
}

#define SLOW(function) cmocka_unit_test_setup_teardown(function, begin_slow, end_slow)

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
        SLOW(test_text),
        SLOW(test_others),
        SLOW(test_beside),
        SLOW(test_interrupted),
        SLOW(test_interrupted_in_queue),
        SLOW(test_end),
        SLOW(test_stuck_at_the_end),
        SLOW(test_out_of_memory),
        SLOW(test_storm),
    };
    private_shm_enter("size=64m,mode=1777");
    (void)umask(0);
    (void)alarm(500); /* nothing here may block for ever */
    fuse_set_log_func(say_nothing);
    if (session_block_signals() || creds_init())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
