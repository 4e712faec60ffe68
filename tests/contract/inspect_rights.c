/* SPDX-License-Identifier: MIT */
/* What users are told, by the effective ids of the thread that asks: what they could learn without the daemon. */
#include "inspect_peers.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WHAT = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS };

static void do_nothing(const void *data)
{
    (void)prctl(PR_SET_NAME, "nothing");
    if (data && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        _exit(97);
    peer_ready();
}

static void must_be_hidden(const struct process *process, uid_t uid)
{
    assert_true(process->pid > 0);
    assert_false(process->readable || process->calls_known || process->same_ipc || process->stuck);
    assert_int_equal(process->descriptor_count + process->mapping_count + process->call_count, 0);
    assert_int_equal(process->uid, uid);
    assert_int_equal(process->parent, getpid());
    assert_int_equal(process->threads, 1);
    assert_true(process->start > 0);
    assert_string_equal(process->command, "nothing");
}

static void must_be_shown(const struct process *process)
{
    assert_true(process->readable && process->calls_known && process->same_ipc && !process->stuck);
    assert_true(process->descriptor_count > 0 && process->mapping_count > 0);
}

/* In this thread, and in that of a walk. */
static void look_in_both_ways(pid_t pid, uid_t asking, struct process out[2])
{
    act_as(asking);
    out[0] = look_at(pid, WHAT);
    out[1] = find_in_walk(pid, WHAT);
    act_as_root();
}

static void must_be(pid_t pid, uid_t asking, uid_t uid, bool shown)
{
    struct process both[2];
    look_in_both_ways(pid, asking, both);
    for (int i = 0; i < 2; i++) {
        if (shown)
            must_be_shown(&both[i]);
        else
            must_be_hidden(&both[i], uid);
        process_free(&both[i]);
    }
}

static void test_own_and_others(void **state)
{
    (void)state;
    pid_t own = start_peer(USER, do_nothing, NULL);
    pid_t roots = start_peer(0, do_nothing, NULL);
    must_be(own, USER, USER, true);
    must_be(own, OTHER_USER, USER, false);
    must_be(own, 0, USER, true);
    must_be(roots, USER, 0, false);
    must_be(roots, 0, 0, true);
    kill_and_wait(own);
    kill_and_wait(roots);
}

static void test_not_dumpable(void **state)
{
    (void)state;
    pid_t own = start_peer(USER, do_nothing, "");
    must_be(own, USER, USER, false);
    must_be(own, 0, USER, true);
    kill_and_wait(own);
}

const struct CMUnitTest inspect_rights_tests[] = {
    INSPECT_TEST(test_own_and_others),
    INSPECT_TEST(test_not_dumpable),
};
const size_t inspect_rights_count = ARRAY_LENGTH(inspect_rights_tests);
