/* SPDX-License-Identifier: MIT */
/* Verdicts over objects that nobody holds, by what is known of them; and names in commands. */
#include "cmocka_api.h"
#include "failing.h"

#include "inspect/orphans.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- verdicts ---- */

/* A segment whose creator and last user are dead; everything else is changed from here. */
static struct orphan dead_segment(void)
{
    return (struct orphan){.traces = {.creator_recorded = true,
                                      .creator = 1,
                                      .users_told = true,
                                      .memory = true,
                                      .holds_counted = true},
                           .creator = PAST_DEAD,
                           .users = PAST_DEAD};
}

/* A queue whose last users are dead. */
static struct orphan dead_queue(void)
{
    return (struct orphan){
        .traces = {.users_told = true, .content_known = true}, .creator = PAST_UNKNOWN, .users = PAST_DEAD};
}

/* Something of which the kernel records nobody, in a name's reach. */
static struct orphan forgotten_name(void)
{
    return (struct orphan){
        .traces = {.memory = true}, .creator = PAST_UNKNOWN, .users = PAST_UNKNOWN, .gone = true};
}

static void test_segments(void **state)
{
    (void)state;
    static const struct {
        enum orphan_past creator, users;
        enum orphan_verdict verdict;
    } cases[] = {
        {PAST_DEAD, PAST_DEAD, ORPHAN_SAFE},         {PAST_DEAD, PAST_NOBODY, ORPHAN_SAFE},
        {PAST_DEAD, PAST_REUSED, ORPHAN_LIKELY},     {PAST_DEAD, PAST_UNKNOWN, ORPHAN_LIKELY},
        {PAST_DEAD, PAST_ALIVE, ORPHAN_UNKNOWN},     {PAST_REUSED, PAST_DEAD, ORPHAN_LIKELY},
        {PAST_REUSED, PAST_ALIVE, ORPHAN_UNKNOWN},   {PAST_UNKNOWN, PAST_DEAD, ORPHAN_UNKNOWN},
        {PAST_UNKNOWN, PAST_NOBODY, ORPHAN_UNKNOWN}, {PAST_ALIVE, PAST_NOBODY, ORPHAN_UNKNOWN},
        {PAST_ALIVE, PAST_DEAD, ORPHAN_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct orphan orphan = dead_segment();
        orphan.creator = cases[i].creator;
        orphan.users = cases[i].users;
        assert_int_equal(orphan_judge(&orphan), cases[i].verdict);
    }
}

/* The kernel counts attachments: who could not be seen, or came meanwhile, has none. */
static void test_what_is_counted(void **state)
{
    (void)state;
    struct orphan orphan = dead_segment();
    orphan.unseen = 7;
    orphan.made_meanwhile = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_SAFE);
    orphan.creator = PAST_UNKNOWN; /* clocks tell nothing then */
    orphan.gone = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan.unseen = 0;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan.made_meanwhile = false;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_LIKELY);
}

static void test_queues(void **state)
{
    (void)state;
    struct orphan orphan = dead_queue();
    assert_int_equal(orphan_judge(&orphan), ORPHAN_SAFE);
    orphan.unseen = 1;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = dead_queue();
    orphan.made_meanwhile = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = dead_queue();
    orphan.traces.content = 1;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = dead_queue();
    orphan.traces.content_known = false;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = dead_queue();
    orphan.users = PAST_NOBODY; /* at least one has to be known */
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan.gone = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_LIKELY);
    orphan.users = PAST_ALIVE;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
}

static void test_names(void **state)
{
    (void)state;
    struct orphan orphan = forgotten_name();
    assert_int_equal(orphan_judge(&orphan), ORPHAN_LIKELY);
    orphan.gone = false;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = forgotten_name();
    orphan.unseen = 1;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = forgotten_name();
    orphan.made_meanwhile = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan = forgotten_name();
    orphan.traces.persistent = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_UNKNOWN);
    orphan.traces.out_of_reach = true;
    assert_int_equal(orphan_judge(&orphan), ORPHAN_SAFE);
}

static void test_evidence(void **state)
{
    (void)state;
    struct orphan segment = dead_segment();
    struct orphan queue = dead_queue();
    struct text out = {0};
    queue.traces.content = 1;
    queue.unseen = 3;
    queue.gone = true;
    orphan_evidence(&segment, &out);
    text_string(&out, " ");
    orphan_evidence(&queue, &out);
    text_bytes(&out, "", 1);
    assert_string_equal(out.data,
                        "nobody-counted,memory,creator-dead,users-dead "
                        "nobody-seen,content-waits,creator-unknown,users-dead,owner-gone,not-all-seen");
    assert_string_equal(orphan_verdict_word(ORPHAN_SAFE), "safe");
    text_reset(&out);
}

/* ---- commands ---- */

/* What the shell makes of a word. */
static void check_shell(const char *shell, const char *word, const char *expected)
{
    char command[2048];
    char got[1024];
    int fds[2];
    int status = 0;
    (void)snprintf(command, sizeof command, "printf %%s %s", word);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)execlp(shell, shell, "-c", command, NULL);
        _exit(127);
    }
    close(fds[1]);
    size_t length = 0;
    ssize_t count = 0;
    while ((count = read(fds[0], got + length, sizeof got - 1 - length)) >
           0) /* a shell writes line by line */
        length += (size_t)count;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(status == 0 && count == 0);
    got[length] = '\0';
    assert_string_equal(got, expected);
}

static void test_quoting(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain", "two words", "a'b",     "'",   "$(touch /tmp/x)", "`id`",  "a\"b", "a\\b",
        "a\nb",  "\n",        "\x1b[2J", "-rf", "a\tb'",           "\\\n'", "äöü",  "\xff",
        "*",     "~",         "!x",      ";id",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct text out = {0};
        orphan_quote(&out, names[i]);
        text_bytes(&out, "", 1);
        assert_int_equal(text_error(&out), 0);
        for (size_t k = 0; k + 1 < out.length; k++)
            assert_true(out.data[k] >= ' ' && out.data[k] <= '~');
        check_shell("bash", out.data, names[i]);
        if (out.data[0] == '\'')
            check_shell("sh", out.data, names[i]);
        text_reset(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments), cmocka_unit_test(test_what_is_counted),
        cmocka_unit_test(test_queues),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_evidence), cmocka_unit_test(test_quoting),
    };
    return cmocka_run_group_tests_name("orphans", tests, NULL, NULL);
}
