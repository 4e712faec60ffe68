/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"

#include "process_links.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

static const char *const shm_directories[] = {"shm", NULL};
static const char *const pipe_directories[] = {"pipe", NULL};
static const char *const msg_directories[] = {"sysv/msg/by-id", "sysv/msg/by-key", NULL};
static const struct ipcfs_backend shm = {.kind = "shm", .directories = shm_directories};
static const struct ipcfs_backend named_pipe = {.kind = "pipe", .directories = pipe_directories};
static const struct ipcfs_backend msg = {.kind = "sysv/msg", .directories = msg_directories};

enum { PID = 77, OBJECTS_MAX = 16, USES_MAX = 32 };

/* An inspection made by hand: process 0 is another, process 1 is PID. */
struct made {
    struct process processes[2];
    struct inspected_object objects[OBJECTS_MAX];
    struct inspected_use uses[USES_MAX];
    struct inspection inspection;
    struct process_links links;
};

static int set_up(void **state)
{
    static struct made made;
    made = (struct made){.processes = {{.pid = 5}, {.pid = PID}}};
    made.inspection = (struct inspection){
        .processes = made.processes, .process_count = 2, .objects = made.objects, .uses = made.uses};
    *state = &made;
    return 0;
}

static int tear_down(void **state)
{
    struct made *made = *state;
    process_links_reset(&made->links);
    return 0;
}

static size_t add_object(struct made *made, const struct inspected_object *object)
{
    assert_true(made->inspection.object_count < OBJECTS_MAX);
    made->objects[made->inspection.object_count] = *object;
    return made->inspection.object_count++;
}

static void add_use(struct made *made, struct inspected_use use)
{
    assert_true(made->inspection.use_count < USES_MAX);
    made->uses[made->inspection.use_count++] = use;
}

static void use_by_fd(struct made *made, const struct inspected_object *object, int fd)
{
    size_t index = add_object(made, object);
    add_use(made, (struct inspected_use){.process = 1, .object = index, .how = USE_DESCRIPTOR, .fd = fd});
}

static void make(struct made *made)
{
    process_links_reset(&made->links);
    assert_int_equal(process_links_make(&made->inspection, &made->processes[1], &made->links), 0);
    for (size_t i = 1; i < made->links.count; i++)
        assert_true(strcmp(made->links.links[i - 1].name, made->links.links[i].name) < 0);
}

static void must_be(const struct made *made, const char *name, const char *target)
{
    const struct process_link *link = process_links_find(&made->links, name);
    if (link)
        assert_string_equal(link->target, target);
    else
        fail_msg("there is no %s", name);
}

/* ---- targets ---- */

static void test_in_the_tree(void **state)
{
    struct made *made = *state;
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 1, .name = "jobs"}, 3);
    size_t queue = add_object(made, &(struct inspected_object){.kind = &msg, .number = 7, .name = "7"});
    add_use(made, (struct inspected_use){.process = 1, .object = queue, .how = USE_WAITING, .fd = -1});
    make(made);
    assert_int_equal(made->links.count, 2);
    must_be(made, "shm:jobs", "../../shm/jobs");
    must_be(made, "sysv-msg:7", "../../sysv/msg/by-id/7");
    assert_null(process_links_find(&made->links, "shm:"));
}

/* One link however often it is used, and by the best way to it. */
static void test_in_proc(void **state)
{
    struct made *made = *state;
    struct inspected_object old = {.kind = &shm, .number = 1, .name = "old", .removed = true};
    size_t first = add_object(made, &old);
    const struct inspected_use mapping = {.process = 1,
                                          .object = first,
                                          .how = USE_MAPPING,
                                          .fd = -1,
                                          .start = 0x7f0000001000,
                                          .end = 0x7f0000003000};
    add_use(made, (struct inspected_use){.process = 1, .object = first, .how = USE_WAITING, .fd = -1});
    make(made);
    must_be(made, "shm:old (deleted)", "/proc/77");
    add_use(made, mapping);
    make(made);
    must_be(made, "shm:old (deleted)", "/proc/77/map_files/7f0000001000-7f0000003000");
    add_use(made, (struct inspected_use){.process = 1, .object = first, .how = USE_DESCRIPTOR, .fd = 4});
    add_use(made, (struct inspected_use){.process = 1, .object = first, .how = USE_DESCRIPTOR, .fd = 9});
    make(made);
    must_be(made, "shm:old (deleted)", "/proc/77/fd/4");
    assert_int_equal(made->links.count, 1);
}

/* Not what others use, and not whose end it waits for. */
static void test_of_that_process(void **state)
{
    struct made *made = *state;
    size_t theirs = add_object(made, &(struct inspected_object){.kind = &shm, .number = 1, .name = "theirs"});
    size_t child =
        add_object(made, &(struct inspected_object){.type = INSPECTED_EXIT, .number = 5, .name = ""});
    add_use(made, (struct inspected_use){.process = 0, .object = theirs, .how = USE_DESCRIPTOR, .fd = 1});
    add_use(made, (struct inspected_use){.process = 1, .object = child, .how = USE_WAITING, .fd = -1});
    make(made);
    assert_int_equal(made->links.count, 0);
    assert_null(process_links_find(&made->links, "shm:theirs"));
}

/* ---- names ---- */

static void test_without_a_name(void **state)
{
    struct made *made = *state;
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_PIPE, .number = 12, .name = "pipe:[12]"}, 3);
    use_by_fd(made,
              &(struct inspected_object){
                  .type = INSPECTED_PIPE, .number = 12, .device = makedev(8, 1), .name = "/tmp/a/jobs"},
              4);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_SOCKET, .number = 13, .name = "socket:[13]"},
              5);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 14, .name = "memfd:mine"},
              6);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 15, .name = "memfd:"}, 7);
    use_by_fd(made, &(struct inspected_object){.kind = &named_pipe, .number = 16, .name = "[12]"}, 8);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_SHARED, .number = 17, .name = NULL}, 9);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 18, .name = "memfd:a/b"},
              10);
    make(made);
    assert_int_equal(made->links.count, 8);
    must_be(made, "memfd:a-b", "/proc/77/fd/10");
    must_be(made, "pipe:[12]", "/proc/77/fd/3");
    must_be(made, "fifo:jobs", "/proc/77/fd/4");
    must_be(made, "socket:[13]", "/proc/77/fd/5");
    must_be(made, "memfd:mine", "/proc/77/fd/6");
    must_be(made, "memfd:[15]", "/proc/77/fd/7");
    must_be(made, "pipe:[12][16]", "../../pipe/[12]");
    must_be(made, "shared:[17]", "/proc/77/fd/9");
}

/* Whatever users call their objects, no two links are called the same. */
static void test_same_names(void **state)
{
    struct made *made = *state;
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 1, .name = "memfd:x"}, 1);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 2, .name = "memfd:x"}, 2);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 3, .name = "memfd:x[1]"},
              3);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 4, .name = "memfd:x[1"}, 4);
    use_by_fd(made,
              &(struct inspected_object){
                  .type = INSPECTED_MEMFD, .number = 2, .device = makedev(0, 9), .name = "memfd:x"},
              5);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 6, .name = "old (deleted)"}, 6);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 7, .name = "old", .removed = true}, 7);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 8, .name = "old", .removed = true}, 8);
    make(made);
    assert_int_equal(made->links.count, 8);
    must_be(made, "memfd:x[1]", "/proc/77/fd/1");
    must_be(made, "memfd:x[0:0:2]", "/proc/77/fd/2");
    must_be(made, "memfd:x[1][3]", "/proc/77/fd/3");
    must_be(made, "memfd:x[1", "/proc/77/fd/4");
    must_be(made, "memfd:x[0:9:2]", "/proc/77/fd/5");
    must_be(made, "shm:old (deleted)[6]", "../../shm/old (deleted)");
    must_be(made, "shm:old (deleted)[7]", "/proc/77/fd/7");
    must_be(made, "shm:old (deleted)[8]", "/proc/77/fd/8");
}

static void test_long_names(void **state)
{
    struct made *made = *state;
    char fits[NAME_MAX + 1];
    char too_long[NAME_MAX + 1];
    char name[NAME_MAX + 8];
    char target[NAME_MAX + 16];
    memset(fits, 'a', sizeof fits);
    fits[NAME_MAX - strlen("shm:")] = '\0';
    memset(too_long, 'b', sizeof too_long);
    too_long[NAME_MAX] = '\0';
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 1, .name = fits}, 1);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 2, .name = too_long}, 2);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 3, .name = "#2"}, 3);
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 4, .name = fits, .removed = true}, 4);
    make(made);
    assert_int_equal(made->links.count, 4);
    (void)snprintf(name, sizeof name, "shm:%s", fits);
    (void)snprintf(target, sizeof target, "../../shm/%s", fits);
    must_be(made, name, target);
    (void)snprintf(target, sizeof target, "../../shm/%s", too_long);
    must_be(made, "shm:#2[2]", target);
    must_be(made, "shm:#2[3]", "../../shm/#2");
    must_be(made, "shm:#4 (deleted)", "/proc/77/fd/4");
}

/* ---- failures ---- */

static void test_out_of_memory(void **state)
{
    struct made *made = *state;
    use_by_fd(made, &(struct inspected_object){.kind = &shm, .number = 1, .name = "a"}, 1);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 1, .name = "memfd:x"}, 2);
    use_by_fd(made, &(struct inspected_object){.type = INSPECTED_MEMFD, .number = 2, .name = "memfd:x"}, 3);
    make(made); /* what the C library allocates once */
    process_links_reset(&made->links);
    int error = -ENOMEM;
    for (unsigned nth = 1; error == -ENOMEM; nth++) {
        failing_arm(nth);
        error = process_links_make(&made->inspection, &made->processes[1], &made->links);
        (void)failing_disarm();
        if (error)
            assert_true(error == -ENOMEM && made->links.count == 0 && !made->links.links);
        assert_true(nth < 100);
    }
    assert_int_equal(error, 0);
    assert_int_equal(made->links.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_the_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_proc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_that_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
