/* SPDX-License-Identifier: MIT */
/*
 * Operations that run out of memory or of descriptors, each at every allocation and every descriptor in turn: they say
 * so, and leave no memory, no descriptor and no object behind.
 */
#include "subject.h"

#include "failing.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Each runs one operation on the object "there" and takes back what it handed out. 0 or −errno. */

static int find_with_hold(void)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    int error = kind->find(0, "there", &found, &hold);
    if (!error)
        kind->release(hold);
    return error;
}

static int walk(void)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int error = kind->list_open(0, &lister);
    if (error)
        return error;
    while ((error = kind->list_next(lister, &entry)) == 1)
        ;
    kind->list_close(lister);
    return error;
}

static int create(const char *name)
{
    struct ipcfs_created object = {0};
    int error = try_create(name, O_RDWR, 0600, &object);
    if (!error)
        let_go(&object);
    return error;
}

static int create_new(void)
{
    int error = create("new");
    if (!error)
        remove_object("new");
    return error;
}

static int create_existing(void)
{
    return create("there");
}

static int hold_and_open(void)
{
    struct ipcfs_found found;
    struct ipcfs_created object = {0};
    int error = kind->find(0, "there", &found, NULL);
    struct ipcfs_ref ref = ref_by_name(&found, "there");
    if (!error)
        error = kind->hold(&ref, &object.hold);
    if (error)
        return error;
    ref.hold = object.hold;
    error = are_opened() ? try_open(&ref, O_RDONLY, &object.file) : 0;
    if (object.file)
        kind->close(object.file);
    kind->release(object.hold);
    return error;
}

static int back(void)
{
    struct ipcfs_created object = {0};
    int error = kind->find(0, "there", &object.found, &object.hold);
    if (error)
        return error;
    struct ipcfs_ref ref = ref_by_hold(&object, "there");
    int fd = kind->backing(&ref);
    if (fd >= 0)
        close(fd);
    kind->release(object.hold);
    return fd < 0 && fd != -EOPNOTSUPP ? fd : 0;
}

static int own_locks(void)
{
    struct ipcfs_created object = {0};
    int error = kind->find(0, "there", &object.found, &object.hold);
    if (error)
        return error;
    struct ipcfs_ref ref = ref_by_hold(&object, "there");
    error = are_opened() && kind->range_locks ? kind->lock_owner(&ref, &object.file) : 0;
    if (object.file)
        kind->close(object.file);
    kind->release(object.hold);
    return error;
}

static int show_and_change(void)
{
    struct ipcfs_found found;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};
    int error = kind->find(0, "there", &found, NULL);
    struct ipcfs_ref ref = ref_by_name(&found, "there");
    if (!error)
        error = kind->render(&ref, values);
    ipcfs_values_release(kind->fields, values);
    if (!error)
        error = kind->change(&ref, NULL, &change);
    if (!error && traits->links)
        error = kind->link(&ref, 0, "link");
    if (!error && traits->links)
        remove_object("link");
    return error ? error : kind->limits(&self, values);
}

static const struct operation {
    const char *name;
    int (*run)(void);
} operations[] = {
    {"find with hold", find_with_hold},   {"list", walk},
    {"create a new one", create_new},     {"create an old one", create_existing},
    {"hold and open", hold_and_open},     {"backing", back},
    {"show and change", show_and_change}, {"own locks", own_locks},
};

/* How things stand; taken before and after. */
struct standing {
    int descriptors;
    long allocations;
    size_t objects;
};

static struct standing take_standing(void)
{
    return (struct standing){count_descriptors(), failing_live(), count_objects()};
}

static void check_standing(const struct operation *operation, unsigned number, const struct standing *before)
{
    struct standing now = take_standing();
    if (now.descriptors != before->descriptors || now.allocations != before->allocations ||
        now.objects != before->objects)
        fail_msg("%s, failure %u, leaves %d descriptors, %ld allocations, %ld objects", operation->name,
                 number, now.descriptors - before->descriptors, now.allocations - before->allocations,
                 (long)now.objects - (long)before->objects);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    unsigned failures = 0;
    make_object("there");
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        struct standing before = take_standing();
        bool failed = true;
        for (unsigned number = 1; failed; number++) {
            failing_arm(number);
            int error = operations[i].run();
            failed = failing_disarm();
            failures += failed;
            if (error != (failed ? -ENOMEM : 0))
                fail_msg("%s, failure %u: %s", operations[i].name, number, strerror(-error));
            check_standing(&operations[i], number, &before);
        }
    }
    assert_true(failures >= 6);
}

/* From now on `more` descriptors can be opened. */
static void allow_descriptors(unsigned more)
{
    struct rlimit limit;
    int lowest = dup(0); /* all below are in use */
    assert_true(lowest >= 0);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)lowest + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void allow_all_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    unsigned failures = 0;
    make_object("there");
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        struct standing before = take_standing();
        int error = -EMFILE;
        for (unsigned number = 0; error; number++) {
            allow_descriptors(number);
            error = operations[i].run();
            allow_all_descriptors();
            failures += error != 0;
            if (error && error != -EMFILE)
                fail_msg("%s, with %u descriptors: %s", operations[i].name, number, strerror(-error));
            check_standing(&operations[i], number, &before);
        }
    }
    assert_true(failures >= 8);
}

static const struct CMUnitTest tests[] = {
    TEST(test_out_of_memory),
    TEST(test_out_of_descriptors),
};

const struct suite failures_suite = {.name = "failures", .tests = tests, .count = ARRAY_LENGTH(tests)};
