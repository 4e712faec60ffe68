/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include "failing.h"
#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

const struct ipcfs_backend *kind;
const struct traits *traits;
const struct caller self;

static mode_t type(void)
{
    return traits->type ? traits->type : S_IFREG;
}

bool are_directories(void)
{
    return S_ISDIR(type());
}

/* The file in an object that its open() takes; NULL: there is none. */
static const struct ipcfs_verb *holding_file(void)
{
    for (const struct ipcfs_verb *verb = kind->files; verb->name; verb++)
        if (verb->type == IPCFS_VERB_HOLD)
            return verb;
    return NULL;
}

bool are_opened(void)
{
    return S_ISREG(type()) || (are_directories() && holding_file());
}

int try_create(const char *name, int flags, mode_t mode, struct ipcfs_created *out)
{
    const struct ipcfs_wish wish = {.directory = 0,
                                    .name = name,
                                    .type = type(),
                                    .flags = flags | O_CREAT,
                                    .mode = mode,
                                    .caller = &self};
    int error = kind->create(&wish, out);
    if (!error)
        assert_true(out->hold && (out->file != NULL) == S_ISREG(type()));
    return error;
}

struct ipcfs_created create_object(const char *name, int flags, mode_t mode)
{
    struct ipcfs_created object = {0};
    int error = try_create(name, flags, mode, &object);
    if (error)
        fail_msg("create(\"%s\", %#o): %s", name, (unsigned)flags, strerror(-error));
    return object;
}

void let_go(struct ipcfs_created *object)
{
    if (object->file)
        kind->close(object->file);
    kind->release(object->hold);
    *object = (struct ipcfs_created){0};
}

struct ipcfs_found make_object(const char *name)
{
    struct ipcfs_created object = create_object(name, O_RDWR | O_EXCL, 0600);
    struct ipcfs_found found = object.found;
    let_go(&object);
    return found;
}

struct ipcfs_found find_object(const char *name)
{
    struct ipcfs_found found;
    int error = kind->find(0, name, &found, NULL);
    if (error)
        fail_msg("find(\"%s\"): %s", name, strerror(-error));
    return found;
}

struct statx stat_object(const struct ipcfs_ref *ref)
{
    struct statx stat;
    int error = kind->stat(ref, &stat);
    if (error)
        fail_msg("stat(\"%s\"): %s", ref->name, strerror(-error));
    return stat;
}

int try_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    const struct ipcfs_verb *verb = are_directories() ? holding_file() : NULL;
    return verb ? verb->open(ref, 0, flags, out) : kind->open(ref, flags, out);
}

struct ipcfs_file *open_object(const struct ipcfs_ref *ref, int flags)
{
    struct ipcfs_file *file = NULL;
    int error = try_open(ref, flags, &file);
    if (error)
        fail_msg("open(\"%s\", %#o): %s", ref->name, (unsigned)flags, strerror(-error));
    return file;
}

void remove_object(const char *name)
{
    int error = kind->remove(0, name);
    if (error)
        fail_msg("remove(\"%s\"): %s", name, strerror(-error));
}

int find_error(const char *name)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    int error = kind->find(0, name, &found, NULL);
    int error_with_hold = kind->find(0, name, &found, &hold);
    if (!error_with_hold)
        kind->release(hold);
    assert_int_equal(error, error_with_hold);
    return error;
}

bool exists(const char *name)
{
    int error = find_error(name);
    assert_true(error == 0 || error == -ENOENT);
    return error == 0;
}

size_t count_objects(void)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    size_t count = 0;
    int more = kind->list_open(0, &lister);
    assert_int_equal(more, 0);
    while ((more = kind->list_next(lister, &entry)) == 1)
        count++;
    kind->list_close(lister);
    assert_int_equal(more, 0);
    return count;
}

/* Removes what the first entry of a walk names; false where there is none. */
static bool remove_first(void)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    if (kind->list_open(0, &lister))
        return false;
    bool some = kind->list_next(lister, &entry) == 1 && kind->remove(0, entry.name) == 0;
    kind->list_close(lister);
    return some;
}

/* A segment that is attached somewhere, by mistake, is removed and still there. */
void remove_all_objects(void)
{
    enum { ROUNDS_MAX = 20000 };
    for (int i = 0; i < ROUNDS_MAX && remove_first(); i++)
        ;
}

size_t longest_name(void)
{
    return traits->name_max ? traits->name_max : NAME_MAX;
}

mode_t shown_mode(mode_t given)
{
    mode_t bits = given & 0666;
    return are_directories() ? bits | (bits >> 1 & 0111) | (bits >> 2 & 0111) : given;
}

struct ipcfs_ref ref_by_name(const struct ipcfs_found *found, const char *name)
{
    return (struct ipcfs_ref){.id = found->id, .name = name};
}

struct ipcfs_ref ref_by_hold(const struct ipcfs_created *object, const char *name)
{
    return (struct ipcfs_ref){.id = object->found.id, .name = name, .hold = object->hold};
}

static void check_number(const struct ipcfs_field *fields, size_t index)
{
    assert_true(index < fields_count(fields));
    assert_int_equal(fields[index].type, IPCFS_UNSIGNED);
}

/* What ctl/limits and ctl/metrics are made of: numbers all, each limit once, and how many objects there are. */
void check_limit_tables(void)
{
    bool counts = false;
    for (const struct ipcfs_limit *row = kind->limit_rows; row->where; row++) {
        check_number(kind->limit_fields, row->limit);
        if (row->used != IPCFS_NO_USE)
            check_number(kind->limit_fields, (size_t)row->used);
        assert_true(row->used == IPCFS_NO_USE || row->scope != IPCFS_LIMITS_OBJECT);
        for (const struct ipcfs_limit *other = kind->limit_rows; other < row; other++)
            assert_int_not_equal(other->limit, row->limit);
    }
    for (const struct ipcfs_total *total = kind->totals; total->of != IPCFS_TOTAL_END; total++) {
        check_number(kind->limit_fields, total->field);
        counts = counts || total->of == IPCFS_TOTAL_OBJECTS;
        for (const struct ipcfs_total *other = kind->totals; other < total; other++)
            assert_int_not_equal(other->of, total->of);
    }
    assert_true(counts);
}

void check_slots(void)
{
    static const char none[sizeof(void *)];
    const char *slots = (const char *)kind;
    for (size_t i = 0; i + sizeof none <= offsetof(struct ipcfs_backend, messages); i += sizeof none)
        if (memcmp(slots + i, none, sizeof none) == 0)
            fail_msg("slot %zu is empty", i / sizeof none);
    check_limit_tables();
}

const struct ipcfs_value *find_value(const struct ipcfs_field *fields, const struct ipcfs_value *values,
                                     const char *name)
{
    for (size_t i = 0; fields[i].name; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &values[i];
    fail_msg("no field %s", name);
    return NULL;
}

void must_be_shown(const struct ipcfs_field *fields, const struct ipcfs_value *values, const char *name,
                   uint64_t expected)
{
    const struct ipcfs_value *value = find_value(fields, values, name);
    assert_true(value->known);
    if (value->number != expected)
        fail_msg("%s is %llu instead of %llu", name, (unsigned long long)value->number,
                 (unsigned long long)expected);
}

static struct {
    int descriptors;
    long allocations;
} before;

int begin_test(void **state)
{
    (void)state;
    before.descriptors = count_descriptors();
    before.allocations = failing_live();
    return 0;
}

int end_test(void **state)
{
    (void)state;
    remove_all_objects();
    int descriptors = count_descriptors() - before.descriptors;
    long allocations = failing_live() - before.allocations;
    size_t objects = count_objects();
    bool children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
    if (descriptors == 0 && allocations == 0 && objects == 0 && !children)
        return 0;
    (void)fprintf(stderr, "left behind: %d descriptors, %ld allocations, %zu objects%s\n", descriptors,
                  allocations, objects, children ? ", a child" : "");
    return -1;
}
