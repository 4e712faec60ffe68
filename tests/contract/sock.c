/* SPDX-License-Identifier: MIT */
/* What the contract cannot say of sockets: three types of object beside each other, and what each of them is not. */
#include "sock_listener.h"
#include "subject.h"

#include "random.h"
#include "sock.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const mode_t types[] = {S_IFSOCK, S_IFREG, S_IFDIR};

static int create_type(const char *name, mode_t type, int flags, struct ipcfs_created *out)
{
    const struct ipcfs_wish wish = {
        .name = name, .type = type, .flags = flags | O_CREAT | O_RDWR, .mode = 0640, .caller = &self};
    *out = (struct ipcfs_created){0};
    return kind->create(&wish, out);
}

static struct ipcfs_created make_type(const char *name, mode_t type)
{
    struct ipcfs_created object;
    assert_int_equal(create_type(name, type, O_EXCL, &object), 0);
    assert_int_equal(object.found.stat.stx_mode & S_IFMT, type);
    return object;
}

static void make_and_let_go(const char *name, mode_t type)
{
    struct ipcfs_created object = make_type(name, type);
    let_go(&object);
}

static mode_t type_of(const char *name)
{
    return find_object(name).stat.stx_mode & S_IFMT;
}

/* ---- three types ---- */

static void test_types(void **state)
{
    (void)state;
    static const char *const names[] = {"socket", "file", "directory"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        make_and_let_go(names[i], types[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        assert_int_equal(type_of(names[i]), types[i]);
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    assert_int_equal(kind->list_open(0, &lister), 0);
    for (int count = 0; count < 3; count++) {
        assert_int_equal(kind->list_next(lister, &entry), 1);
        assert_int_equal(entry.type, type_of(entry.name));
    }
    assert_int_equal(kind->list_next(lister, &entry), 0);
    kind->list_close(lister);
    struct ipcfs_created object;
    assert_int_equal(create_type("fifo", S_IFIFO, O_EXCL, &object), -EPERM);
    assert_int_equal(create_type("device", S_IFCHR, O_EXCL, &object), -EPERM);
}

/* Of a name that is there, only an object of that type is opened. */
static void test_one_type_for_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        make_and_let_go("a", types[i]);
        for (size_t j = 0; j < ARRAY_LENGTH(types); j++) {
            struct ipcfs_created object;
            assert_int_equal(create_type("a", types[j], O_EXCL, &object), -EEXIST);
            int error = create_type("a", types[j], O_TRUNC, &object);
            assert_int_equal(error, i == j ? 0 : S_ISDIR(types[i]) ? -EISDIR : -EEXIST);
            if (!error)
                let_go(&object);
        }
        remove_object("a");
    }
}

static void test_a_native_node(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/a", traits->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(type_of("a"), S_IFSOCK);
    close(fd);
}

/* Only regular files are opened, locked, or have a size. */
static void test_what_is_no_file(void **state)
{
    (void)state;
    static const int errors[] = {-ENXIO, 0, -EISDIR};
    static const int size_errors[] = {-EINVAL, 0, -EISDIR};
    const struct ipcfs_change size = {.mask = IPCFS_CHANGE_SIZE, .size = 5};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_created object = make_type("a", types[i]);
        struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
        struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
        struct ipcfs_file *file = NULL;
        struct ipcfs_file *locker = NULL;
        assert_int_equal(kind->open(&by_hold, O_RDONLY, &file), errors[i]);
        assert_int_equal(kind->lock_owner(&by_hold, &locker), errors[i]);
        assert_int_equal(kind->change(&by_hold, NULL, &size), size_errors[i]);
        assert_int_equal(kind->change(&by_name, NULL, &size), size_errors[i]);
        assert_int_equal(stat_object(&by_hold).stx_size, errors[i] ? 0 : 5);
        assert_int_equal(kind->may_execute(&by_hold), -EACCES);
        if (file)
            kind->close(file);
        if (locker)
            kind->close(locker);
        let_go(&object);
        remove_object("a");
    }
}

/* ---- directories ---- */

static int rename_to(const char *name, const char *to_name, unsigned flags)
{
    return kind->rename(0, name, 0, to_name, flags);
}

static void test_a_directory_keeps_its_name(void **state)
{
    (void)state;
    struct ipcfs_created object = make_type("d", S_IFDIR);
    struct ipcfs_ref ref = ref_by_hold(&object, "d");
    make_and_let_go("s", S_IFSOCK);
    make_and_let_go("f", S_IFREG);
    assert_int_equal(rename_to("d", "new", 0), -EPERM);
    assert_int_equal(rename_to("d", "d", 0), -EPERM);
    assert_int_equal(rename_to("s", "d", 0), -EPERM);
    assert_int_equal(rename_to("f", "d", RENAME_EXCHANGE), -EPERM);
    assert_int_equal(rename_to("d", "s", RENAME_EXCHANGE), -EPERM);
    assert_int_equal(kind->link(&ref, 0, "new"), -EPERM);
    assert_int_equal(rename_to("s", "f", RENAME_EXCHANGE), 0);
    assert_true(type_of("s") == S_IFREG && type_of("f") == S_IFSOCK && type_of("d") == S_IFDIR);
    assert_int_equal(count_objects(), 3);
    let_go(&object);
}

/* The right to search is had by whom any other is, and kept nowhere. */
static void test_modes_of_a_directory(void **state)
{
    (void)state;
    static const mode_t modes[][2] = {{0640, 0750}, {0, 0}, {0111, 0}, {0777, 0777}, {0602, 0703}};
    struct ipcfs_created object = make_type("d", S_IFDIR);
    struct ipcfs_ref ref = ref_by_hold(&object, "d");
    char path[PATH_MAX];
    struct stat node;
    (void)snprintf(path, sizeof path, "%s/d", traits->path);
    assert_int_equal(object.found.stat.stx_mode, S_IFDIR | 0750);
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = modes[i][0]};
        assert_int_equal(kind->change(&ref, NULL, &change), 0);
        assert_int_equal(stat_object(&ref).stx_mode, S_IFDIR | modes[i][1]);
        assert_int_equal(find_object("d").stat.stx_mode, S_IFDIR | modes[i][1]);
        assert_int_equal(stat(path, &node), 0);
        assert_int_equal(node.st_mode & 07777, modes[i][0] & 0666);
    }
    let_go(&object);
}

static int create_listener(const char *type, uint64_t backlog, const char *expected)
{
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    const struct ipcfs_value options[] = {
        type ? ipcfs_string(type) : (struct ipcfs_value){0},
        {.known = backlog != UINT64_MAX, .number = backlog},
    };
    const struct ipcfs_wish wish = {.name = "d",
                                    .type = S_IFDIR,
                                    .flags = O_CREAT | O_EXCL | O_RDWR,
                                    .mode = 0600,
                                    .caller = &self,
                                    .options = options,
                                    .reason = &reason};
    int error = kind->create(&wish, &object);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, expected);
    if (error)
        return error;
    let_go(&object);
    remove_object("d");
    return 0;
}

static void test_options(void **state)
{
    (void)state;
    static const uint64_t none = UINT64_MAX;
    static const char *const good[] = {NULL, "stream", "seqpacket", "dgram"};
    static const char no_backlog[] =
        "backlog=: of datagrams net.unix.max_dgram_qlen says how many may be queued";
    assert_string_equal(kind->options[0].name, "type");
    assert_string_equal(kind->options[1].name, "backlog");
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        bool queues = !good[i] || strcmp(good[i], "dgram") != 0;
        assert_int_equal(create_listener(good[i], none, ""), 0);
        assert_int_equal(create_listener(good[i], 1, queues ? "" : no_backlog), queues ? 0 : -EINVAL);
    }
    unsigned most = listener_backlog_max();
    char refusal[128];
    (void)snprintf(refusal, sizeof refusal, "backlog=%u: over net.core.somaxconn (%u)", most + 1, most);
    assert_int_equal(create_listener("stream", most, ""), 0);
    assert_int_equal(create_listener("stream", 0, ""), 0); /* as many as that */
    assert_int_equal(create_listener("", none, "type=: not stream, seqpacket or dgram"), -EINVAL);
    assert_int_equal(create_listener("Stream", 5, "type=Stream: not stream, seqpacket or dgram"), -EINVAL);
    assert_int_equal(create_listener("a b", 5, "type=a\\040b: not stream, seqpacket or dgram"), -EINVAL);
    assert_int_equal(create_listener(NULL, most + 1U, refusal), -EINVAL);
    assert_int_equal(count_objects(), 0);
}

static void test_they_outlive_the_daemon(void **state)
{
    (void)state;
    static const char *const names[] = {"socket", "file", "directory"};
    struct ipcfs_found before[ARRAY_LENGTH(types)];
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        make_and_let_go(names[i], types[i]);
        before[i] = find_object(names[i]);
    }
    kind->stop();
    assert_int_equal(kind->start(), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_found now = find_object(names[i]);
        assert_true(ipcfs_same_object(now.id, before[i].id));
        assert_int_equal(now.stat.stx_mode, before[i].stat.stx_mode);
    }
}

/* ---- removal of what is meant ---- */

static void test_remove_meant(void **state)
{
    (void)state;
    struct ipcfs_created object = make_type("a", S_IFSOCK);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(sock_remove_meant(&ref), 0);
    assert_false(exists("a"));
    assert_int_equal(sock_remove_meant(&ref), -ESTALE);
    make_and_let_go("a", S_IFSOCK);
    assert_int_equal(sock_remove_meant(&ref), -ESTALE);
    assert_true(exists("a"));
    ref = (struct ipcfs_ref){.id = find_object("a").id, .name = "a"};
    assert_int_equal(seteuid(1234), 0);
    int error = sock_remove_meant(&ref);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, -EPERM);
    assert_true(exists("a"));
    let_go(&object);
}

/* ---- a storm ---- */

struct stormer {
    pthread_t thread;
    struct prng prng;
    const char *complaint;
    unsigned made;
};

static void create_one(struct stormer *stormer, const char *name)
{
    struct ipcfs_created object;
    mode_t type = types[random_below(&stormer->prng, ARRAY_LENGTH(types))];
    int error = create_type(name, type, O_EXCL, &object);
    if (error) {
        if (error != -EEXIST)
            stormer->complaint = strerror(-error);
        return;
    }
    stormer->made++;
    if ((object.found.stat.stx_mode & S_IFMT) != type || !object.made || !object.hold)
        stormer->complaint = "what was made is something else";
    let_go(&object);
}

static void *storm(void *argument)
{
    static const char *const names[] = {"a", "b", "c"};
    struct stormer *stormer = argument;
    for (int i = 0; i < 3000; i++) {
        unsigned dice = (unsigned)random_below(&stormer->prng, 1 << 16);
        const char *name = names[dice / 4 % ARRAY_LENGTH(names)];
        const char *other = names[dice / 16 % ARRAY_LENGTH(names)];
        int error = 0;
        if (dice % 4 < 2)
            create_one(stormer, name);
        else if (dice % 4 == 2)
            error = kind->remove(0, name);
        else
            error = rename_to(name, other, dice & 1024 ? RENAME_EXCHANGE : 0);
        if (error && error != -ENOENT && error != -EPERM)
            stormer->complaint = strerror(-error);
    }
    return NULL;
}

/* What is made is what was asked for, whoever else makes, removes and renames things of the same names. */
static void test_storm(void **state)
{
    (void)state;
    struct stormer stormers[4] = {0};
    uint64_t seed = random_seed();
    for (unsigned i = 0; i < ARRAY_LENGTH(stormers); i++)
        stormers[i].prng = random_start(seed, i);
    for (size_t i = 0; i < ARRAY_LENGTH(stormers); i++)
        assert_int_equal(pthread_create(&stormers[i].thread, NULL, storm, &stormers[i]), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(stormers); i++) {
        assert_int_equal(pthread_join(stormers[i].thread, NULL), 0);
        if (stormers[i].complaint)
            fail_msg("%s", stormers[i].complaint);
        assert_true(stormers[i].made > 0);
    }
}

static const struct CMUnitTest tests[] = {
    TEST(test_types),           TEST(test_one_type_for_another),       TEST(test_a_native_node),
    TEST(test_what_is_no_file), TEST(test_a_directory_keeps_its_name), TEST(test_modes_of_a_directory),
    TEST(test_options),         TEST(test_they_outlive_the_daemon),    TEST(test_remove_meant),
    TEST(test_storm),
};

const struct suite sock_suite = {
    .name = "types", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
