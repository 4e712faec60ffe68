/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"

#include "last_error.h"
#include "transaction.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- lines ---- */

/* Lines that begin with '!' are refused with a reason, with '?' without one; others are answered with "<LINE>". */
struct listener {
    struct text lines; /* what came, a line each */
    struct text refusals;
};

static int take_line(void *context, const char *line, size_t length, struct text *answer)
{
    struct listener *listener = context;
    assert_int_equal(strlen(line), length);
    text_printf(&listener->lines, "%s|", line);
    if (*line == '!') {
        text_printf(answer, "%s is wrong", line);
        return -ERANGE;
    }
    if (*line == '?')
        return -ENOSPC;
    if (*line != '-')
        text_printf(answer, "<%s>", line);
    return 0;
}

static void take_refusal(void *context, const struct text *reason)
{
    struct listener *listener = context;
    text_bytes(&listener->refusals, reason->data, reason->length);
    text_string(&listener->refusals, "|");
}

static const struct transaction_ops ops = {.line = take_line, .refused = take_refusal};

static void assert_text(const struct text *text, const char *expected, const char *what)
{
    if (text_error(text) || text->length != strlen(expected) ||
        memcmp(text->data ? text->data : "", expected, text->length) != 0)
        fail_msg("%s: \"%.*s\", expected \"%s\"", what, (int)text->length, text->data, expected);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *data;
    size_t size;
    ssize_t count;
    const char *lines;
    const char *answer;
    const char *refusals;
} cases[] = {
    {BYTES("a\n"), 2, "a|", "<a>", ""},
    {BYTES("a"), 1, "a|", "<a>", ""},
    {BYTES(""), 0, "", "", ""},
    {BYTES("\n\n\n"), 3, "", "", ""},
    {BYTES("\n\na b\n\nc\n"), 9, "a b|c|", "<a b><c>", ""},
    {BYTES(" \n"), 2, " |", "< >", ""},
    {BYTES("-silent\n"), 8, "-silent|", "", ""},
    {BYTES("!x\n"), -ERANGE, "!x|", "!x is wrong\n", "!x is wrong|"},
    {BYTES("!x\nb\n"), -ERANGE, "!x|", "!x is wrong\n", "!x is wrong|"},
    {BYTES("?x\001\n"), -ENOSPC, "?x\001|", "?x\\001: No space left on device\n",
     "?x\\001: No space left on device|"},
    {BYTES("a\n!x\nb\n"), 2, "a|!x|", "<a>!x is wrong\n", "!x is wrong|"},
    {BYTES("a\n\n?x"), 3, "a|?x|", "<a>?x: No space left on device\n", "?x: No space left on device|"},
    {BYTES("\n!x"), 1, "!x|", "!x is wrong\n", "!x is wrong|"},
    {BYTES("a\nb\0c\n"), 2, "a|", "<a>a NUL byte in the line\n", "a NUL byte in the line|"},
    {BYTES("\0"), -EINVAL, "", "a NUL byte in the line\n", "a NUL byte in the line|"},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listener listener = {0};
        AUTO_TEXT answer = {0};
        assert_int_equal(transaction_run(&ops, &listener, cases[i].data, cases[i].size, &answer),
                         cases[i].count);
        assert_text(&listener.lines, cases[i].lines, "lines");
        assert_text(&answer, cases[i].answer, "answer");
        assert_text(&listener.refusals, cases[i].refusals, "refusals");
        text_reset(&listener.lines);
        text_reset(&listener.refusals);
    }
}

/* The same for a file to which an empty line means something. */
static void test_blank_lines(void **state)
{
    (void)state;
    static const struct transaction_ops blank_ops = {
        .blank = true, .line = take_line, .refused = take_refusal};
    static const struct {
        const char *data;
        size_t size;
        ssize_t count;
        const char *lines;
        const char *answer;
        const char *refusals;
    } blanks[] = {
        {BYTES(""), 0, "", "", ""},
        {BYTES("\n"), 1, "|", "<>", ""},
        {BYTES("\n\n\n"), 3, "|||", "<><><>", ""},
        {BYTES("a\n"), 2, "a|", "<a>", ""},
        {BYTES("a\n\n"), 3, "a||", "<a><>", ""},
        {BYTES("\na\n\nb"), 5, "|a||b|", "<><a><><b>", ""},
        {BYTES("\n!x\n\n"), 1, "|!x|", "<>!x is wrong\n", "!x is wrong|"},
        {BYTES("\n\0\n"), 1, "|", "<>a NUL byte in the line\n", "a NUL byte in the line|"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(blanks); i++) {
        struct listener listener = {0};
        AUTO_TEXT answer = {0};
        assert_int_equal(transaction_run(&blank_ops, &listener, blanks[i].data, blanks[i].size, &answer),
                         blanks[i].count);
        assert_text(&listener.lines, blanks[i].lines, "lines");
        assert_text(&answer, blanks[i].answer, "answer");
        assert_text(&listener.refusals, blanks[i].refusals, "refusals");
        text_reset(&listener.lines);
        text_reset(&listener.refusals);
    }
}

/* What is said of something that is no line of a transaction: appended, and once each to whom it concerns. */
static void test_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *line, *reason, *answer, *refusal;
        int error;
    } refusals[] = {
        {"a b", "", "a b: No space left on device\n", "a b: No space left on device|", -ENOSPC},
        {"", "", "No space left on device\n", "No space left on device|", -ENOSPC},
        {"a\nb\\", "", "a\\012b\\134: Invalid argument\n", "a\\012b\\134: Invalid argument|", -EINVAL},
        {"a", "for a reason", "for a reason\n", "for a reason|", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        struct listener listener = {0};
        AUTO_TEXT reason = {0};
        AUTO_TEXT answer = {0};
        text_string(&reason, refusals[i].reason);
        transaction_refuse(&ops, &listener, refusals[i].line, refusals[i].error, &reason, &answer);
        assert_text(&answer, refusals[i].answer, "answer");
        assert_text(&listener.refusals, refusals[i].refusal, "refusal");
        transaction_refuse(&ops, &listener, "", -EPERM, &reason, &answer); /* the reason is there already */
        assert_int_equal(answer.length, 2 * strlen(refusals[i].answer));
        text_reset(&listener.refusals);
    }
}

/* A refusal that there is no memory for is not said, and nothing half of it. */
static void test_refuse_out_of_memory(void **state)
{
    (void)state;
    long before = failing_live();
    bool failed = true;
    for (unsigned number = 1; failed; number++) {
        struct listener listener = {0};
        struct text reason = {0};
        struct text answer = {0};
        failing_arm(number);
        transaction_refuse(&ops, &listener, "some line", -EINVAL, &reason, &answer);
        failed = failing_disarm();
        if (!failed)
            assert_text(&answer, "some line: Invalid argument\n", "answer");
        else
            assert_true(!listener.refusals.length || text_error(&answer) || text_error(&listener.refusals));
        text_reset(&reason);
        text_reset(&answer);
        text_reset(&listener.refusals);
        assert_int_equal(failing_live(), before);
    }
}

static void test_longest_line(void **state)
{
    (void)state;
    struct listener listener = {0};
    AUTO_TEXT answer = {0};
    char data[TRANSACTION_MAX + 1];
    memset(data, 'x', sizeof data);
    assert_int_equal(transaction_run(&ops, &listener, data, TRANSACTION_MAX, &answer), TRANSACTION_MAX);
    assert_int_equal(answer.length, TRANSACTION_MAX + 2);
    text_reset(&answer);
    text_reset(&listener.lines);
    assert_int_equal(transaction_run(&ops, &listener, data, TRANSACTION_MAX + 1, &answer), -EINVAL);
    assert_int_equal(listener.lines.length, 0);
    assert_text(&answer, "line too long\n", "answer");
    assert_text(&listener.refusals, "line too long|", "refusals");
    text_reset(&listener.refusals);
}

/* Whatever can not be said, the errno is the right one, and a line that was done is counted. */
static void test_lines_out_of_memory(void **state)
{
    (void)state;
    long before = failing_live();
    bool failed = true;
    for (unsigned number = 1; failed; number++) {
        struct listener listener = {0};
        struct text answer = {0};
        failing_arm(number);
        ssize_t count = transaction_run(&ops, &listener, BYTES("a\n?x\n"), &answer);
        failed = failing_disarm();
        if (count == -ENOMEM) /* the answer to the first */
            assert_true(failed);
        else
            assert_int_equal(count, 2);
        text_reset(&listener.lines);
        text_reset(&listener.refusals);
        text_reset(&answer);
        assert_int_equal(failing_live(), before);
    }
}

/* ---- reading ---- */

static void say(struct transaction *transaction, const char *words)
{
    struct text answer = {0};
    text_string(&answer, words);
    transaction_answer(transaction, &answer);
    assert_null(answer.data);
}

static void offer(struct transaction *transaction, const char *words)
{
    struct text text = {0};
    text_string(&text, words);
    transaction_offer(transaction, &text);
    assert_null(text.data);
}

static void must_take(struct transaction *transaction, size_t size, const char *expected)
{
    AUTO_TEXT out = {0};
    assert_int_equal(transaction_take(transaction, size, &out), 0);
    assert_text(&out, expected, "taken");
}

static void test_reading(void **state)
{
    (void)state;
    struct transaction *transaction = transaction_new();
    assert_non_null(transaction);
    assert_true(transaction_wants_text(transaction));
    say(transaction, "answer");
    assert_false(transaction_wants_text(transaction));
    must_take(transaction, 3, "ans");
    must_take(transaction, 100, "wer");
    assert_false(transaction_wants_text(transaction)); /* the end is still to be told */
    must_take(transaction, 100, "");
    assert_true(transaction_wants_text(transaction));
    /* A later write replaces what is half read. */
    say(transaction, "first");
    must_take(transaction, 2, "fi");
    say(transaction, "second");
    must_take(transaction, 100, "second");
    /* One that says nothing takes away what was there. */
    say(transaction, "");
    assert_true(transaction_wants_text(transaction));
    transaction_free(transaction);
    transaction_free(NULL);
}

static void test_own_text(void **state)
{
    (void)state;
    struct transaction *transaction = transaction_new();
    assert_non_null(transaction);
    offer(transaction, "text");
    offer(transaction, "too late");
    must_take(transaction, 100, "text");
    must_take(transaction, 100, "");
    offer(transaction, "new text");
    must_take(transaction, 3, "new");
    say(transaction, "answer");
    offer(transaction, "too late");
    must_take(transaction, 100, "answer");
    must_take(transaction, 100, "");
    offer(transaction, ""); /* a file without one */
    must_take(transaction, 100, "");
    assert_true(transaction_wants_text(transaction));
    transaction_free(transaction);
}

/* What could not be handed out is still there. */
static void test_reading_out_of_memory(void **state)
{
    (void)state;
    failing_arm(1);
    assert_null(transaction_new());
    assert_true(failing_disarm());
    struct transaction *transaction = transaction_new();
    assert_non_null(transaction);
    say(transaction, "answer");
    struct text out = {0};
    failing_arm(1);
    assert_int_equal(transaction_take(transaction, 3, &out), -ENOMEM);
    assert_true(failing_disarm());
    text_reset(&out);
    must_take(transaction, 100, "answer");
    transaction_free(transaction);
}

enum { ROUNDS = 3000 };

/* Writes whole answers while the other reads: it never sees one that is mixed. */
static void *answer_on(void *data)
{
    struct transaction *transaction = data;
    for (int i = 0; i < ROUNDS; i++)
        say(transaction, i % 2 ? "aaaa" : "bbbb");
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t thread;
    struct transaction *transaction = transaction_new();
    assert_non_null(transaction);
    assert_int_equal(pthread_create(&thread, NULL, answer_on, transaction), 0);
    for (int i = 0; i < ROUNDS; i++) {
        AUTO_TEXT out = {0};
        assert_int_equal(transaction_take(transaction, 4, &out), 0);
        if (out.length)
            assert_true(out.length == 4 &&
                        (memcmp(out.data, "aaaa", 4) == 0 || memcmp(out.data, "bbbb", 4) == 0));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    transaction_free(transaction);
}

/* ---- the last error ---- */

static void set_error(struct last_errors *errors, uid_t uid, const char *path, const char *reason)
{
    AUTO_TEXT path_text = {0};
    AUTO_TEXT reason_text = {0};
    text_string(&path_text, path);
    text_string(&reason_text, reason);
    last_error_set(errors, uid, &path_text, &reason_text);
}

/* Its line begins with a time, and ends with these words; "" where there is none. */
static void must_have_error(struct last_errors *errors, uid_t uid, const char *words)
{
    static const char time[] = "0000-00-00T00:00:00Z ";
    AUTO_TEXT out = {0};
    last_error_text(errors, uid, &out);
    if (!*words) {
        assert_int_equal(out.length, 0);
        return;
    }
    assert_true(out.length > sizeof time);
    for (size_t i = 0; time[i]; i++)
        assert_true(time[i] == '0' ? out.data[i] >= '0' && out.data[i] <= '9' : out.data[i] == time[i]);
    assert_int_equal(out.length, strlen(time) + strlen(words));
    assert_memory_equal(out.data + strlen(time), words, strlen(words));
}

static void test_last_errors(void **state)
{
    (void)state;
    static struct last_errors errors;
    assert_int_equal(last_errors_init(&errors), 0);
    must_have_error(&errors, 0, "");
    set_error(&errors, 0, "ctl/mq/create", "a=1: no");
    set_error(&errors, 1000, "sysv/ftok", "x");
    must_have_error(&errors, 0, "ctl/mq/create: a=1: no\n");
    must_have_error(&errors, 1000, "sysv/ftok: x\n");
    must_have_error(&errors, 1001, "");
    set_error(&errors, 0, "p", "second");
    must_have_error(&errors, 0, "p: second\n");
    last_errors_destroy(&errors);
}

/* The one whose line was neither set nor read for longest makes room. */
static void test_last_errors_are_few(void **state)
{
    (void)state;
    static struct last_errors errors;
    assert_int_equal(last_errors_init(&errors), 0);
    for (uid_t uid = 0; uid < LAST_ERRORS_MAX; uid++)
        set_error(&errors, uid, "p", "r");
    must_have_error(&errors, 0, "p: r\n");
    set_error(&errors, 1, "p", "again");
    set_error(&errors, 500, "p", "new");
    must_have_error(&errors, 2, "");
    must_have_error(&errors, 0, "p: r\n");
    must_have_error(&errors, 1, "p: again\n");
    must_have_error(&errors, 3, "p: r\n");
    must_have_error(&errors, 500, "p: new\n");
    last_errors_destroy(&errors);
}

static void test_last_error_out_of_memory(void **state)
{
    (void)state;
    static struct last_errors errors;
    long before = failing_live();
    const struct text path = {.data = (char[]){"p"}, .length = 1, .room = 1};
    const struct text reason = {.data = (char[]){"r"}, .length = 1, .room = 1};
    assert_int_equal(last_errors_init(&errors), 0);
    set_error(&errors, 0, "p", "old");
    failing_arm(1);
    last_error_set(&errors, 0, &path, &reason);
    assert_true(failing_disarm());
    must_have_error(&errors, 0, "p: old\n");
    last_errors_destroy(&errors);
    assert_int_equal(failing_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_blank_lines),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_refuse_out_of_memory),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_lines_out_of_memory),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_own_text),
        cmocka_unit_test(test_reading_out_of_memory),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_last_errors),
        cmocka_unit_test(test_last_errors_are_few),
        cmocka_unit_test(test_last_error_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
