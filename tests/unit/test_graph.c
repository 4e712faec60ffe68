/* SPDX-License-Identifier: MIT */
/* The picture of who uses what, of inspections that are made by hand. */
#include "cmocka_api.h"
#include "failing.h"

#include "inspect/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- inspections ---- */

enum { ROOM = 64 };

static struct {
    struct inspection inspection;
    struct process processes[ROOM];
    struct inspected_object objects[ROOM];
    struct inspected_use uses[ROOM];
} made;

static size_t process(pid_t pid, pid_t parent, const char *command)
{
    size_t index = made.inspection.process_count++;
    assert_true(index < ROOM);
    made.processes[index] = (struct process){.pid = pid, .parent = parent, .readable = true};
    (void)snprintf(made.processes[index].command, sizeof made.processes[index].command, "%s", command);
    return index;
}

static size_t object(enum inspected_type type, const struct ipcfs_backend *kind, const char *name)
{
    size_t index = made.inspection.object_count++;
    assert_true(index < ROOM);
    made.objects[index] = (struct inspected_object){
        .type = type, .kind = kind, .number = 1000 + index, .name = name, .removed = true};
    return index;
}

static struct inspected_use *use(size_t process, size_t object, enum inspected_how how, const char *access)
{
    struct inspected_use *use = &made.uses[made.inspection.use_count++];
    assert_true(made.inspection.use_count <= ROOM);
    *use = (struct inspected_use){.process = process,
                                  .object = object,
                                  .how = how,
                                  .reads = strchr(access, 'r') != NULL,
                                  .writes = strchr(access, 'w') != NULL,
                                  .fd = -1,
                                  .member = -1};
    return use;
}

static int begin(void **state)
{
    (void)state;
    memset(&made, 0, sizeof made);
    made.inspection.processes = made.processes;
    made.inspection.objects = made.objects;
    made.inspection.uses = made.uses;
    return 0;
}

static char *drawn(void)
{
    struct text out = {0};
    assert_int_equal(graph_dot(&made.inspection, &out), 0);
    text_bytes(&out, "", 1);
    assert_int_equal(text_error(&out), 0);
    return out.data;
}

static void must_have(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("no %s in %s", part, text ? text : "nothing");
}

static void must_not_have(const char *text, const char *part)
{
    if (!text || strstr(text, part))
        fail_msg("%s in %s", part, text ? text : "nothing");
}

static const struct ipcfs_backend *kind_of(const char *name)
{
    for (size_t i = 0; ipcfs_backends[i]; i++)
        if (strcmp(ipcfs_backends[i]->kind, name) == 0)
            return ipcfs_backends[i];
    fail_msg("no kind %s", name);
    return NULL;
}

/* ---- tests ---- */

static void test_nothing(void **state)
{
    (void)state;
    char *text = drawn();
    assert_memory_equal(text, "digraph ipcfs {\n", 16);
    must_not_have(text, "cluster");
    free(text);
}

static void test_directions(void **state)
{
    (void)state;
    size_t mq = object(INSPECTED_OBJECT, kind_of("mq"), "jobs");
    use(process(10, 1, "sender"), mq, USE_DESCRIPTOR, "w");
    use(process(11, 1, "receiver"), mq, USE_DESCRIPTOR, "r");
    use(process(12, 1, "both"), mq, USE_DESCRIPTOR, "rw");
    use(process(13, 1, "neither"), mq, USE_DESCRIPTOR, "");
    char *text = drawn();
    must_have(text, "label=\"POSIX message queues\"");
    must_have(text, "p0 -> o0 [dir=forward]");
    must_have(text, "o0 -> p1 [dir=forward]");
    must_have(text, "p2 -> o0 [dir=both]");
    must_have(text, "p3 -> o0 [dir=none]");
    must_have(text, "label=\"sender\\npid 10\"");
    must_have(text, "label=\"jobs\\n(removed)\"");
    free(text);
}

/* Several uses are one edge. */
static void test_merged_uses(void **state)
{
    (void)state;
    size_t shm = object(INSPECTED_OBJECT, kind_of("shm"), "pages");
    size_t sem = object(INSPECTED_OBJECT, kind_of("sem"), "slots");
    size_t one = process(10, 1, "one");
    use(one, shm, USE_DESCRIPTOR, "r");
    use(one, sem, USE_DESCRIPTOR, "r")->part = "hold";
    use(one, shm, USE_MAPPING, "r");
    use(one, shm, USE_MAPPING, "rw");
    use(one, sem, USE_WAITING, "r")->call = "futex";
    size_t two = process(11, 1, "two");
    use(two, sem, USE_DESCRIPTOR, "r")->part = "hold";
    char *text = drawn();
    must_have(text, "p0 -> o0 [dir=both, penwidth=2]");
    must_have(text, "o1 -> p0 [dir=forward, label=\"futex\", style=dashed");
    must_have(text, "o1 -> p1 [dir=forward, label=\"hold\"]");
    free(text);
}

static void test_groups(void **state)
{
    (void)state;
    size_t shm = object(INSPECTED_OBJECT, kind_of("shm"), "pages");
    size_t mq = object(INSPECTED_OBJECT, kind_of("mq"), "jobs");
    for (pid_t pid = 20; pid < 40; pid++)
        use(process(pid, 2, "worker"), shm, USE_MAPPING, "rw");
    use(process(40, 3, "worker"), shm, USE_MAPPING, "rw"); /* another parent */
    use(process(41, 2, "other"), shm, USE_MAPPING, "rw");  /* another command */
    use(process(42, 2, "worker"), shm, USE_MAPPING, "r");  /* another access */
    size_t more = process(43, 2, "worker");                /* and one that uses more */
    use(more, shm, USE_MAPPING, "rw");
    use(more, mq, USE_DESCRIPTOR, "r");
    char *text = drawn();
    must_have(text, "label=\"worker ×20\\npids 20, 21, 22 …\"");
    must_have(text, "label=\"worker\\npid 40\"");
    must_have(text, "label=\"other\\npid 41\"");
    must_have(text, "label=\"worker\\npid 42\"");
    must_have(text, "label=\"worker\\npid 43\"");
    must_not_have(text, "p1 ");
    free(text);
}

/* What has no name is shown where it connects two who use something that has one. */
static void test_connections(void **state)
{
    (void)state;
    size_t shm = object(INSPECTED_OBJECT, kind_of("shm"), "pages");
    size_t pipe = object(INSPECTED_PIPE, NULL, "pipe:[1]");
    size_t output = object(INSPECTED_PIPE, NULL, "pipe:[2]");
    size_t lonely = object(INSPECTED_PIPE, NULL, "pipe:[3]");
    size_t ends[] = {object(INSPECTED_SOCKET, NULL, "socket:[4]"),
                     object(INSPECTED_SOCKET, NULL, "socket:[5]")};
    size_t half = object(INSPECTED_SOCKET, NULL, "socket:[6]");
    size_t child = object(INSPECTED_EXIT, NULL, "11");
    for (int i = 0; i < 2; i++) {
        made.objects[ends[i]].socket = (uint32_t)made.objects[ends[i]].number;
        made.objects[ends[i]].peer = (uint32_t)made.objects[ends[!i]].number;
    }
    made.objects[half].socket = 6;
    made.objects[half].peer = 7;
    size_t one = process(10, 1, "one");
    size_t two = process(11, 1, "two");
    size_t stranger = process(12, 1, "stranger");
    use(one, shm, USE_MAPPING, "rw");
    use(one, pipe, USE_DESCRIPTOR, "w");
    use(one, output, USE_DESCRIPTOR, "w");
    use(one, lonely, USE_DESCRIPTOR, "r");
    use(one, lonely, USE_DESCRIPTOR, "w");
    use(one, ends[0], USE_DESCRIPTOR, "rw");
    use(one, half, USE_DESCRIPTOR, "rw");
    use(one, child, USE_WAITING, "r")->call = "wait4";
    use(two, shm, USE_MAPPING, "r");
    use(two, pipe, USE_DESCRIPTOR, "r");
    use(two, output, USE_DESCRIPTOR, "w");
    use(two, ends[1], USE_DESCRIPTOR, "rw");
    use(stranger, output, USE_DESCRIPTOR, "r");
    char *text = drawn();
    must_have(text, "label=\"Without a name\"");
    must_have(text, "p0 -> o1 [dir=forward]");
    must_have(text, "o1 -> p1 [dir=forward]");
    must_have(text, "p0 -> o4 [dir=both]");
    must_have(text, "p1 -> o4 [dir=both]");
    static const char *const not_shown[] = {"o2", "o3", "o5", "o6", "o7", "stranger"};
    for (size_t i = 0; i < ARRAY_LENGTH(not_shown); i++)
        must_not_have(text, not_shown[i]);
    free(text);
}

/* What connects only those that are one node. */
static void test_connection_within_a_group(void **state)
{
    (void)state;
    size_t shm = object(INSPECTED_OBJECT, kind_of("shm"), "pages");
    size_t pipe = object(INSPECTED_PIPE, NULL, "pipe:[1]");
    for (pid_t pid = 20; pid < 23; pid++) {
        size_t worker = process(pid, 2, "worker");
        use(worker, shm, USE_MAPPING, "rw");
        use(worker, pipe, USE_DESCRIPTOR, "r");
        use(worker, pipe, USE_DESCRIPTOR, "w");
    }
    char *text = drawn();
    must_have(text, "worker ×3");
    must_not_have(text, "o1");
    free(text);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *label;
    } cases[] = {
        {"a\"]; x [label=\"b", "\"a\\\"]; x [label=\\\"b\\n"},
        {"a\\nb", "\"a\\\\134nb\\n"},
        {"a\nb", "\"a\\\\012b\\n"},
        {"{a|<b>}", "\"{a|<b>}\\n"},
        {"&amp;", "\"&amp;amp;\\n"},
        {"\xff", "\"\\\\377\\n"},
        {"äöü", "\"äöü\\n"},
        {"0123456789012345678901234567890123456789012345", "\"012345678901234567890123…23456789012345\\n"},
        {"01234567890123456789012äääääääääääääääääääää", "\"01234567890123456789012…äääääää\\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        (void)begin(NULL);
        use(process(10, 1, cases[i].name), object(INSPECTED_OBJECT, kind_of("shm"), cases[i].name),
            USE_MAPPING, "rw");
        char *text = drawn();
        must_have(text, cases[i].label);
        free(text);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t shm = object(INSPECTED_OBJECT, kind_of("shm"), "pages");
    use(process(10, 1, "one"), shm, USE_MAPPING, "rw");
    use(process(11, 1, "two"), shm, USE_MAPPING, "rw");
    long before = failing_live();
    bool failed = true;
    for (unsigned number = 1; failed; number++) {
        struct text out = {0};
        failing_arm(number);
        int error = graph_dot(&made.inspection, &out);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        text_reset(&out);
        assert_int_equal(failing_live(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing, begin),
        cmocka_unit_test_setup(test_directions, begin),
        cmocka_unit_test_setup(test_merged_uses, begin),
        cmocka_unit_test_setup(test_groups, begin),
        cmocka_unit_test_setup(test_connections, begin),
        cmocka_unit_test_setup(test_connection_within_a_group, begin),
        cmocka_unit_test_setup(test_names, begin),
        cmocka_unit_test_setup(test_out_of_memory, begin),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
