/* SPDX-License-Identifier: MIT */
#include "sysv_common.h"

#include "failing.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int try_create_key(const char *name, int flags, mode_t mode, struct ipcfs_created *out)
{
    const struct ipcfs_wish wish = {
        .directory = BY_KEY, .name = name, .flags = flags | O_CREAT, .mode = mode, .caller = &self};
    return kind->create(&wish, out);
}

struct ipcfs_created create_key(const char *name, int flags, mode_t mode)
{
    struct ipcfs_created object = {0};
    int error = try_create_key(name, flags, mode, &object);
    if (error)
        fail_msg("create(\"%s\", %#o): %s", name, (unsigned)flags, strerror(-error));
    return object;
}

int create_because(unsigned directory, const char *name, const struct ipcfs_value *options,
                   const char *expected)
{
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    const struct ipcfs_wish wish = {.directory = directory,
                                    .name = name,
                                    .flags = O_RDWR | O_CREAT,
                                    .mode = 0600,
                                    .caller = &self,
                                    .options = options,
                                    .reason = &reason};
    int error = kind->create(&wish, &object);
    text_bytes(&reason, "", 1);
    if (error && !strstr(reason.data, expected))
        fail_msg("create(\"%s\"): \"%s\" is not in \"%s\"", name, expected, reason.data);
    if (!error)
        let_go(&object);
    return error;
}

int id_of(const struct ipcfs_created *object)
{
    return (int)object->found.id.number;
}

int find_in(unsigned directory, const char *name)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    int error = kind->find(directory, name, &found, NULL);
    assert_int_equal(kind->find(directory, name, &found, &hold), error);
    if (error)
        return error;
    kind->release(hold);
    return (int)found.id.number;
}

struct ipcfs_ref key_ref(const struct ipcfs_created *object, bool by_hold)
{
    return (struct ipcfs_ref){
        .id = object->found.id, .directory = BY_KEY, .name = "0x2a", .hold = by_hold ? object->hold : NULL};
}

const struct ipcfs_verb *find_verb(const char *name)
{
    const struct ipcfs_verb *verb = kind->verbs;
    while (verb->name && strcmp(verb->name, name) != 0)
        verb++;
    assert_non_null(verb->name);
    return verb;
}

long set_kernel(const char *name, long value)
{
    char path[64];
    long before = -1;
    (void)snprintf(path, sizeof path, "/proc/sys/kernel/%s", name);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &before), 1); // NOLINT(cert-err34-c): the kernel writes a number
    rewind(file);
    assert_true(fprintf(file, "%ld", value) > 0);
    assert_int_equal(fclose(file), 0);
    return before;
}

void as_user(uid_t uid, gid_t gid, int (*function)(void *), void *data)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            _exit(99);
        _exit(function(data));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- names ---- */

void check_naming_directories(void)
{
    for (unsigned i = 0; kind->directories[i]; i++) {
        struct ipcfs_directory directory;
        memset(&directory, 0x7F, sizeof directory);
        assert_int_equal(kind->stat_directory(i, &directory), 0);
        assert_true(directory.uid == 0 && directory.gid == 0 && !directory.sticky && directory.open_to_all);
    }
}

static void must_mean_nothing(unsigned directory, const char *name)
{
    assert_int_equal(find_in(directory, name), -ENOENT);
    assert_int_equal(kind->remove(directory, name), -ENOENT);
}

/* Other ways to write the id of an object that is there. */
static void check_writings(int id)
{
    static const char *const around[][2] = {{"0", ""}, {"+", ""}, {" ", ""}, {"-", ""}, {"0x", ""},
                                            {"", " "}, {"", "."}, {"", "a"}, {"", "\n"}};
    for (size_t i = 0; i < ARRAY_LENGTH(around); i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s%d%s", around[i][0], id, around[i][1]);
        must_mean_nothing(BY_ID, name);
    }
}

void check_wrong_names(int id)
{
    static const char *const ids[] = {
        "",           "a",  ".",  "..", "1/", "2147483648", "18446744073709551616",
        "2147483647", "00", "+0", " 0", "-0", "0x2a"};
    static const char *const keys[] = {"",      "0x",          "2a",     "0X2a", "x2a",        "0x2g",
                                       "0x2a ", " 0x2a",       "42",     ".",    " 0",         "0x-2a",
                                       "0x+2a", "0x2b",        "0x0",    "0x00", "0x00000000", "0x2a.",
                                       "0x02b", "0x00000002a", "0x0x2a", "..",   "2147483647"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        must_mean_nothing(BY_ID, ids[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        must_mean_nothing(BY_KEY, keys[i]);
    check_writings(id);
    assert_int_equal(count_objects(), 1);
}

void check_private_object(int id)
{
    char name[16];
    struct ipcfs_created object = {0};
    must_mean_nothing(BY_KEY, "0x0");
    must_mean_nothing(BY_KEY, "0x00000000");
    assert_int_equal(try_create_key("0x0", O_RDWR, 0600, &object), -EINVAL);
    assert_int_equal(try_create_key("0x0", O_RDWR | O_EXCL, 0600, &object), -EINVAL);
    assert_int_equal(count_objects(), 1);
    (void)snprintf(name, sizeof name, "%d", id);
    assert_int_equal(find_in(BY_ID, name), id);
    assert_int_equal(find_object(name).stat.stx_nlink, 1);
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    assert_int_equal(kind->list_open(BY_KEY, &lister), 0);
    assert_int_equal(kind->list_next(lister, &entry), 0);
    kind->list_close(lister);
    assert_int_equal(kind->remove(BY_ID, name), 0);
}

void check_create_refused(const struct ipcfs_value *options)
{
    static const char *const wrong[] = {"", ".", "a", "42", "0x", "0x123456789", "0x2a\n", "0X2A"};
    struct ipcfs_created object = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(create_because(BY_KEY, wrong[i], options, "hexadecimal"), -EINVAL);
        assert_int_equal(create_because(BY_KEY, wrong[i], NULL, "hexadecimal"), -EINVAL);
        assert_int_equal(try_create_key(wrong[i], O_RDWR, 0600, &object), -EINVAL);
    }
    assert_int_equal(create_because(BY_KEY, "0x00", options, "IPC_PRIVATE"), -EINVAL);
    assert_int_equal(create_because(BY_ID, "7777", options, "by-key"), -EPERM);
    assert_int_equal(create_because(BY_ID, "a", options, "by-key"), -EPERM);
    assert_int_equal(try_create("7777", O_RDWR, 0600, &object), -EPERM);
    assert_int_equal(try_create("7777", O_RDWR | O_EXCL, 0600, &object), -EPERM);
    assert_int_equal(count_objects(), 0);
}

void check_walk(unsigned directory, const int *ids, int removed,
                int (*key_of)(struct ipcfs_lister *lister, const struct ipcfs_entry *entry))
{
    static unsigned char seen[MANY];
    memset(seen, 0, sizeof seen);
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    assert_int_equal(kind->list_open(directory, &lister), 0);
    while (kind->list_next(lister, &entry) == 1) {
        int key = key_of(lister, &entry);
        assert_true(key >= 1 && key <= MANY && ids[key - 1] == (int)entry.number);
        assert_int_equal(find_in(directory, entry.name), entry.number);
        assert_true(entry.next != 0 && entry.type == (ipcfs_is_directory(kind) ? S_IFDIR : S_IFREG));
        if (directory == BY_KEY)
            assert_int_equal(strlen(entry.name), 10);
        seen[key - 1]++;
        if (key % 7 == 0) /* taken up again by position */
            assert_int_equal(kind->list_seek(lister, entry.next), 0);
    }
    kind->list_close(lister);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(seen[i], i != removed);
}

/* ---- changes ---- */

void check_change_attributes(const struct ipcfs_created *object, mode_t given, mode_t expected,
                             struct native_look (*look)(int id))
{
    const struct ipcfs_change both = {
        .mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID, .mode = given, .uid = 1234, .gid = 99};
    const struct ipcfs_change group = {.mask = IPCFS_CHANGE_GID, .mode = 0, .uid = 98, .gid = 4321};
    for (int by_hold = 0; by_hold < 2; by_hold++) {
        struct ipcfs_ref ref = key_ref(object, by_hold);
        assert_int_equal(kind->change(&ref, NULL, &both), 0);
        assert_int_equal(kind->change(&ref, object->file, &group), 0);
        struct ipc_perm native = look(id_of(object)).perm;
        assert_true(native.uid == 1234 && native.gid == 4321);
        assert_int_equal(native.mode & 07777, expected);
        assert_true(native.cuid == 0 && native.cgid == 0);
    }
}

void check_change_times(const struct ipcfs_created *object, struct native_look (*look)(int id))
{
    struct ipcfs_ref ref = key_ref(object, true);
    struct ipcfs_change change = {
        .mask = IPCFS_CHANGE_TIMES | IPCFS_CHANGE_MODE, .mode = 0640, .times = {{1000, 0}, {0, UTIME_NOW}}};
    assert_int_equal(kind->change(&ref, NULL, &change), -EPERM);
    assert_int_equal(look(id_of(object)).perm.mode & 0777, 0600);
    change.mask = IPCFS_CHANGE_TIMES;
    change.times[0] = (struct timespec){0, UTIME_OMIT};
    time_t before = look(id_of(object)).ctime;
    for (int i = 0; i < 300 && look(id_of(object)).ctime == before; i++) {
        assert_int_equal(kind->change(&ref, NULL, &change), 0); /* as touch(1) */
        usleep(10000);
    }
    assert_true(look(id_of(object)).ctime > before);
}

unsigned fail_each_allocation(int (*operation)(void), size_t objects, void (*check)(void))
{
    bool failed = true;
    long live = failing_live();
    int descriptors = count_descriptors();
    unsigned number = 0;
    while (failed) {
        failing_arm(++number);
        int error = operation();
        failed = failing_disarm();
        if (error != (failed ? -ENOMEM : 0))
            fail_msg("failure %u: %s", number, strerror(-error));
        assert_int_equal(failing_live(), live);
        assert_int_equal(count_descriptors(), descriptors);
        assert_int_equal(count_objects(), objects);
        if (check)
            check();
    }
    return number - 1;
}

/* ---- the permission check beside the kernel's ---- */

enum { MANY_GROUPS = 200 };

static const struct identity identities[] = {
    {"owner", OWNER, OTHER_GROUP, 0, 0, false},
    {"creator", CREATOR, OTHER_GROUP, 0, 0, false},
    {"owner in the group", OWNER, OWNING_GROUP, 0, 0, false},
    {"group", STRANGER, OWNING_GROUP, 0, 0, false},
    {"creator's group", STRANGER, CREATING_GROUP, 0, 0, false},
    {"supplementary group", STRANGER, OTHER_GROUP, 1, OWNING_GROUP, false},
    {"creator's as supplementary group", STRANGER, OTHER_GROUP, 3, CREATING_GROUP, false},
    {"the last of many groups", STRANGER, OTHER_GROUP, MANY_GROUPS, OWNING_GROUP, false},
    {"many groups", STRANGER, OTHER_GROUP, MANY_GROUPS, OTHER_GROUP, false},
    {"stranger", STRANGER, OTHER_GROUP, 0, 0, false},
    {"root", 0, 0, 0, 0, false},
    {"root without power", 0, 0, 0, 0, true},
};

static int give_up_power(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data))
        return -1;
    data[0].effective &= ~(1U << CAP_IPC_OWNER);
    return (int)syscall(SYS_capset, &header, data);
}

int become(const struct identity *identity)
{
    gid_t groups[MANY_GROUPS];
    for (size_t i = 0; i < identity->group_count; i++)
        groups[i] = (gid_t)(100 + i); /* the kernel sorts them */
    if (identity->group_count)
        groups[identity->group_count - 1] = identity->last_group;
    if (setgroups(identity->group_count, groups) || setegid(identity->gid))
        return -1;
    if (identity->without_power && give_up_power())
        return -1;
    return seteuid(identity->uid);
}

void compare_for_every_identity(const int *ids,
                                int (*compare)(const int *ids, const struct identity *identity))
{
    for (size_t i = 0; i < ARRAY_LENGTH(identities); i++) {
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(compare(ids, &identities[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status)
            fail_msg("%s: status %#x", identities[i].what, (unsigned)status);
    }
}
