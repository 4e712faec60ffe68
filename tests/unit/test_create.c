/* SPDX-License-Identifier: MIT */
/* ctl/<kind>/create, on a kind that only writes down what it is asked for. */
#include "cmocka_api.h"
#include "failing.h"

#include "control.h"
#include "events.h"
#include "ipcfs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct ipcfs_field options[] = {
    {"maxmsg", IPCFS_UNSIGNED, "", "most messages"},
    {"msgsize", IPCFS_UNSIGNED, "bytes", "longest message"},
    {"type", IPCFS_STRING, "", "a word"},
    {0},
};
static const char *const directories[] = {"q/by-id", "q/by-key", NULL};

static struct {
    int error;          /* what create() answers */
    const char *reason; /* and says */
    char asked[512];    /* "DIRECTORY NAME MODE maxmsg msgsize", and the type where one is given */
    uid_t uid;
    int holds, files; /* not given back */
} native;

struct ipcfs_hold {
    int *count;
};

struct ipcfs_file {
    int *count;
};

static void release(struct ipcfs_hold *hold)
{
    --*hold->count;
}

static void close_file(struct ipcfs_file *file)
{
    --*file->count;
}

static void write_value(char *out, const struct ipcfs_value *value)
{
    if (value->known)
        (void)sprintf(out, " %" PRIu64, value->number);
    else
        memcpy(out, " -", sizeof " -");
}

static int create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    assert_int_equal(wish->flags, O_CREAT | O_EXCL | O_RDWR);
    native.uid = wish->caller->uid;
    (void)snprintf(native.asked, sizeof native.asked, "%u %s %04o", wish->directory, wish->name, wish->mode);
    for (int i = 0; i < 2; i++)
        write_value(native.asked + strlen(native.asked), &wish->options[i]);
    if (wish->options[2].known)
        (void)sprintf(native.asked + strlen(native.asked), " \"%.100s\"", wish->options[2].string);
    if (native.reason)
        text_string(wish->reason, native.reason);
    if (native.error)
        return native.error;
    static struct ipcfs_hold hold = {&native.holds};
    static struct ipcfs_file file = {&native.files};
    native.holds++;
    native.files++;
    *out = (struct ipcfs_created){.made = true, .hold = &hold, .file = &file};
    return 0;
}

static struct ipcfs_backend kind;

static int set_up(void **state)
{
    (void)state;
    kind = (struct ipcfs_backend){
        .directories = directories,
        .options = options,
        .create = create,
        .release = release,
        .close = close_file,
    };
    memset(&native, 0, sizeof native);
    return 0;
}

static struct events events; /* nobody reads */
static struct ipcfs fs = {.events = &events};

static int write_create(const char *line, struct text *answer)
{
    const struct caller caller = {.uid = 1234};
    int error = control_create(&fs, &kind, &caller, line, strlen(line), answer);
    assert_int_equal(native.files, 0);
    assert_int_equal(native.holds, 0);
    return error;
}

static const struct {
    const char *line;
    const char *asked;
} good[] = {
    {"jobs", "1 jobs 0600 - -"},
    {"jobs mode=0660", "1 jobs 0660 - -"},
    {"jobs mode=0", "1 jobs 0000 - -"},
    {"jobs mode=777", "1 jobs 0777 - -"},
    {" jobs\t maxmsg=64   msgsize=1024 ", "1 jobs 0600 64 1024"},
    {"jobs msgsize=8K mode=0640 maxmsg=0", "1 jobs 0640 0 8192"},
    {"jobs msgsize=3M maxmsg=2G", "1 jobs 0600 2147483648 3145728"},
    {"jobs maxmsg=18446744073709551615 msgsize=18014398509481983K",
     "1 jobs 0600 18446744073709551615 18446744073709550592"},
    {"a\\040b\\134\\012", "1 a b\\\n 0600 - -"},
    {"jobs type=dgram", "1 jobs 0600 - - \"dgram\""},
    {"jobs type= maxmsg=1", "1 jobs 0600 1 - \"\""},
    {"jobs type=a=\\040\001\377 mode=0660", "1 jobs 0660 - - \"a=\\040\001\377\""},
    {"\\057tmp", NULL},
    {"a=b", "1 a=b 0600 - -"},
    {"mode=0660", "1 mode=0660 0600 - -"},
};

static void test_good_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        AUTO_TEXT answer = {0};
        native.asked[0] = '\0';
        int error = write_create(good[i].line, &answer);
        if (!good[i].asked) { /* a slash, however it is written */
            assert_int_equal(error, -EINVAL);
            continue;
        }
        if (error)
            fail_msg("\"%s\": %.*s", good[i].line, (int)answer.length, answer.data);
        assert_string_equal(native.asked, good[i].asked);
        assert_int_equal(native.uid, 1234);
        assert_int_equal(answer.length, 0);
    }
}

static const struct {
    const char *line;
    const char *reason;
} bad[] = {
    {" ", "a name is missing"},
    {"a/b", "a/b: a name has no '/'"},
    {"/a", "/a: a name has no '/'"},
    {"a\\b", "a\\134b: a backslash in a name is \\134"},
    {"a\\000", "a\\134000: a backslash in a name is \\134"},
    {"a\\400", "a\\134400: a backslash in a name is \\134"},
    {"a\\12", "a\\13412: a backslash in a name is \\134"},
    {"a foo=1", "foo=1: no such option (maxmsg msgsize type mode)"},
    {"a =1", "=1: no such option (maxmsg msgsize type mode)"},
    {"a max=1", "max=1: no such option (maxmsg msgsize type mode)"},
    {"a maxmsgs=1", "maxmsgs=1: no such option (maxmsg msgsize type mode)"},
    {"a maxmsg", "maxmsg: not of the form option=value"},
    {"a b", "b: not of the form option=value"},
    {"a maxmsg=abc", "maxmsg=abc: not a number"},
    {"a maxmsg=", "maxmsg=: not a number"},
    {"a maxmsg=K", "maxmsg=K: not a number"},
    {"a maxmsg=-1", "maxmsg=-1: not a number"},
    {"a maxmsg=+1", "maxmsg=+1: not a number"},
    {"a maxmsg=0x10", "maxmsg=0x10: not a number"},
    {"a maxmsg=1k", "maxmsg=1k: not a number"},
    {"a maxmsg=1KK", "maxmsg=1KK: not a number"},
    {"a maxmsg=1=2", "maxmsg=1=2: not a number"},
    {"a maxmsg=18446744073709551616", "maxmsg=18446744073709551616: too large a number"},
    {"a maxmsg=18014398509481984K", "maxmsg=18014398509481984K: too large a number"},
    {"a maxmsg=17179869184G", "maxmsg=17179869184G: too large a number"},
    {"a maxmsg=1 maxmsg=1", "maxmsg=1: given twice"},
    {"a type=x type=x", "type=x: given twice"},
    {"a type", "type: not of the form option=value"},
    {"a mode=0 mode=0", "mode=0: given twice"},
    {"a mode=", "mode=: not an octal number up to 0777"},
    {"a mode=8", "mode=8: not an octal number up to 0777"},
    {"a mode=1000", "mode=1000: not an octal number up to 0777"},
    {"a mode=0600K", "mode=0600K: not an octal number up to 0777"},
    {"a maxmsg=\001\377", "maxmsg=\\001\\377: not a number"},
};

static void must_refuse(const char *line, int error, const char *reason)
{
    AUTO_TEXT answer = {0};
    assert_int_equal(write_create(line, &answer), error);
    text_bytes(&answer, "", 1);
    assert_string_equal(answer.data, reason);
}

static void test_bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        must_refuse(bad[i].line, -EINVAL, bad[i].reason);
    assert_string_equal(native.asked, ""); /* none came that far */
}

static void test_long_names(void **state)
{
    (void)state;
    AUTO_TEXT answer = {0};
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = '\0';
    assert_int_equal(write_create(name, &answer), 0);
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = '\0';
    assert_int_equal(write_create(name, &answer), -ENAMETOOLONG);
}

static void test_native_refusals(void **state)
{
    (void)state;
    native.error = -EINVAL;
    native.reason = "maxmsg=99999: over fs.mqueue.msg_max (10)";
    must_refuse("jobs maxmsg=99999", -EINVAL, native.reason);
    native.error = -EEXIST;
    native.reason = NULL;
    must_refuse("a\\040b", -EEXIST, "a\\040b: File exists");
    native.error = 0;
    native.reason = "a reason is not an answer";
    AUTO_TEXT answer = {0};
    assert_int_equal(write_create("jobs", &answer), 0);
    assert_int_equal(answer.length, 0);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const lines[] = {"jobs maxmsg=1 mode=0660", "jobs maxmsg=x", "a/b", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        long before = failing_live();
        bool failed = true;
        for (unsigned number = 1; failed; number++) {
            struct text answer = {0};
            const struct caller caller = {0};
            failing_arm(number);
            int error = control_create(&fs, &kind, &caller, lines[i], strlen(lines[i]), &answer);
            failed = failing_disarm();
            text_reset(&answer);
            assert_true(failed ? error == -ENOMEM || error == -EINVAL : error == (i ? -EINVAL : 0));
            assert_int_equal(failing_live(), before);
        }
    }
}

/* ---- options that are words ---- */

static const struct ipcfs_field word_options[] = {
    {"order", IPCFS_STRING, "", "how they are served"},
    {"maxmsg", IPCFS_UNSIGNED, "", "most messages"},
    {0},
};

static int create_in_order(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    (void)out;
    const struct ipcfs_value *order = &wish->options[0];
    (void)snprintf(native.asked, sizeof native.asked, "%s %s", wish->name,
                   order->known ? order->string : "-");
    write_value(native.asked + strlen(native.asked), &wish->options[1]);
    return native.error;
}

/* What they mean is the kind's to say. */
static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *asked;
    } lines[] = {
        {"a", "a - -"},
        {"a order=fifo", "a fifo -"},
        {"a maxmsg=3 order=5", "a 5 3"},
        {"a order= maxmsg=1", "a  1"},
        {"a order=a=b\\040", "a a=b\\040 -"},
    };
    kind.options = word_options;
    kind.create = create_in_order;
    native.error = -EBUSY; /* there is nothing to give back then */
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        AUTO_TEXT answer = {0};
        assert_int_equal(write_create(lines[i].line, &answer), -EBUSY);
        assert_string_equal(native.asked, lines[i].asked);
    }
    must_refuse("a order=x order=x", -EINVAL, "order=x: given twice");
    must_refuse("a order", -EINVAL, "order: not of the form option=value");
    must_refuse("a orders=x", -EINVAL, "orders=x: no such option (order maxmsg mode)");
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_lines),      TEST(test_bad_lines),     TEST(test_long_names),
        TEST(test_native_refusals), TEST(test_out_of_memory), TEST(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
