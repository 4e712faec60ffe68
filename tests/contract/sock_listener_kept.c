/* SPDX-License-Identifier: MIT */
/* What is kept in the runtime directory: over a restart, after somebody had his hands in it, and where something fails. */
#include "sock_listener_subject.h"

#include "creds.h"
#include "failing.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void kept_path(const struct ipcfs_found *object, const char *suffix, char *path, size_t room)
{
    (void)snprintf(path, room, "%s/listen/%llu%s", place_path(), (unsigned long long)object->id.number,
                   suffix);
}

static void write_kept(const struct ipcfs_found *object, const char *suffix, const char *text)
{
    char path[PATH_MAX];
    kept_path(object, suffix, path, sizeof path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Another daemon, later. */
static void restart(void)
{
    listeners_stop();
    assert_int_equal(listeners_start(), 0);
}

static void must_work(const struct ipcfs_found *object)
{
    struct ipcfs_file *client = open_connected(object, "connect");
    struct ipcfs_file *server = open_connected(object, "accept");
    must_write(client, "works");
    must_read(server, "works");
    close_file(client);
    close_file(server);
    int native = connect_natively(object, SOCK_STREAM, false);
    assert_true(native >= 0);
    close(native);
    close_file(open_connected(object, "accept"));
}

static void test_type_and_backlog(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    unsigned max = listener_backlog_max();
    char number[16];
    (void)snprintf(number, sizeof number, "%u", max);
    must_show(&object, "type", "stream");
    must_show(&object, "backlog", number);
    (void)snprintf(number, sizeof number, "%u", max + 1);
    must_be_refused(&object, "backlog", number, -EINVAL, "over net.core.somaxconn");
    must_be_refused(&object, "backlog", "-1", -EINVAL, "not a number");
    must_be_refused(&object, "backlog", "", -EINVAL, "not a number");
    must_be_refused(&object, "type", "raw", -EINVAL, "stream, seqpacket or dgram");
    must_be_refused(&object, "type", "", -EINVAL, "stream, seqpacket or dgram");
    assert_int_equal(write_line(&object, "backlog", " 9\t"), 0);
    must_show(&object, "backlog", "9");
    must_work(&object);
    assert_int_equal(write_line(&object, "type", " dgram "), 0);
    must_show(&object, "type", "dgram");
    must_be_refused(&object, "backlog", "5", -EOPNOTSUPP, "max_dgram_qlen");
    assert_int_equal(write_line(&object, "type", "dgram"), 0);
    assert_int_equal(write_line(&object, "type", "stream"), 0);
    must_show(&object, "backlog", "9");
    must_work(&object);
    remove_listener("a");
}

/* Whoever waits or is queued keeps the type. */
static void test_busy_types(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *server = open_part(&object, "accept");
    must_be_refused(&object, "type", "dgram", -EBUSY, "waits");
    int native = connect_natively(&object, SOCK_STREAM, false);
    assert_true(native >= 0);
    must_connect(server);
    close(native);
    native = connect_natively(&object, SOCK_STREAM, false);
    must_be_refused(&object, "type", "dgram", -EBUSY, "queued");
    close_file(open_connected(&object, "accept"));
    close(native);
    assert_int_equal(write_line(&object, "type", "dgram"), 0); /* a connection is of no type any more */
    close_file(server);
    struct ipcfs_file *sender = open_part(&object, "send");
    must_be_refused(&object, "type", "stream", -EBUSY, "send or recv open");
    must_write(sender, "x");
    close_file(sender);
    must_be_refused(&object, "type", "stream", -EBUSY, "queued");
    struct ipcfs_file *receiver = open_part(&object, "recv");
    must_read(receiver, "x");
    close_file(receiver);
    assert_int_equal(write_line(&object, "type", "stream"), 0);
    must_work(&object);
    remove_listener("a");
}

static void test_restart(void **state)
{
    (void)state;
    struct ipcfs_found one = make_listener("a", SOCK_STREAM, 5);
    struct ipcfs_found other = make_listener("b", SOCK_DGRAM, 0);
    struct ipcfs_file *waiting = open_part(&one, "accept");
    restart();
    assert_int_equal(try_connect(waiting), -EIDRM); /* it is the old daemon's */
    close_file(waiting);
    int native = connect_natively(&one, SOCK_STREAM, false);
    assert_int_equal(native, -ECONNREFUSED);
    assert_int_equal(listener_restore(&one), 0);
    assert_int_equal(listener_restore(&other), 0);
    listeners_sweep();
    must_show(&one, "type", "stream");
    must_show(&one, "backlog", "5");
    must_show(&other, "type", "dgram");
    must_work(&one);
    remove_listener("a");
    remove_listener("b");
}

static void test_leftovers(void **state)
{
    (void)state;
    int before = count_kept();
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_found gone = make_listener("b", SOCK_STREAM, 0);
    assert_int_equal(rmdir("/run/b"), 0);
    write_kept(&object, ".aside", "");
    write_kept(&object, ".new", "");
    write_kept(&object, "x", "");
    struct ipcfs_found odd = {.id.number = UINT64_MAX};
    write_kept(&odd, "0", "");
    restart();
    assert_int_equal(listener_restore(&object), 0);
    listeners_sweep();
    assert_int_equal(count_kept(), before + 2);
    must_work(&object);
    listener_remove(gone.id); /* not there */
    remove_listener("a");
}

/* As mkdir makes it. */
static void test_nonsense(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "seqpacket",
        "seqpacket\n",
        "seqpacket 5",
        "seqpacket x\n",
        "seqpacket 5\n\n",
        "seqpacket  5\n",
        "seqpacket 5 6\n",
        "seqpacket 99999999999\n",
        "seqpacket -1\n",
        "seqpacketx 5\n",
        "raw 5\n",
        " 5\n",
        "\xff\xfe 5\n",
    };
    char long_line[1000];
    memset(long_line, '5', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = '\0';
    struct ipcfs_found object = make_listener("a", SOCK_SEQPACKET, 5);
    for (size_t i = 0; i <= ARRAY_LENGTH(lines); i++) {
        write_kept(&object, ".conf", i < ARRAY_LENGTH(lines) ? lines[i] : long_line);
        restart();
        assert_int_equal(listener_restore(&object), 0);
        must_show(&object, "type", "stream");
        must_work(&object);
    }
    remove_listener("a");
}

/* What is in force is what is allowed by now. */
static void test_kept_backlog_is_too_large(void **state)
{
    (void)state;
    char number[16];
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 5);
    write_kept(&object, ".conf", "stream 2000000000\n");
    restart();
    assert_int_equal(listener_restore(&object), 0);
    (void)snprintf(number, sizeof number, "%u", listener_backlog_max());
    must_show(&object, "backlog", number);
    remove_listener("a");
}

/* Nobody can connect any more; what is connected, and who manages it, is not concerned. */
static void test_node_is_taken_away(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    kept_path(&object, "", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    struct ipcfs_file *late = open_part(&object, "connect");
    assert_int_equal(try_connect(late), -ECONNREFUSED);
    close_file(late);
    assert_int_equal(listener_follow(&object), 0);
    assert_int_equal(write_line(&object, "backlog", "5"), 0);
    must_write(client, "x");
    must_read(server, "x");
    assert_int_equal(write_line(&object, "type", "dgram"), 0); /* that makes another */
    assert_int_equal(write_line(&object, "type", "stream"), 0);
    must_work(&object);
    close_file(client);
    close_file(server);
    remove_listener("a");
}

/* Something else may have been put there. A link is not followed. */
static void test_node_is_replaced(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct stat stat_before;
    struct stat stat_after;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    kept_path(&object, "", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/run", path), 0);
    assert_int_equal(stat("/run", &stat_before), 0);
    object.stat.stx_uid = USER;
    object.stat.stx_mode = 0666;
    (void)listener_follow(&object);
    assert_int_equal(stat("/run", &stat_after), 0);
    assert_int_equal(stat_after.st_uid, stat_before.st_uid);
    assert_int_equal(stat_after.st_mode, stat_before.st_mode);
    remove_listener("a");
}

/* A number that was used before, and nobody said that it is free. */
static void test_number_is_used_again(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_found later = object;
    later.id.birth++;
    const struct listener_wish wish = {.type = SOCK_STREAM};
    struct ipcfs_file *waiting = open_part(&object, "connect");
    assert_int_equal(listener_make(&later, &wish), 0);
    struct ipcfs_file *file = NULL;
    assert_int_equal(try_open_part(&object, "accept", O_RDWR, &file), -ESTALE);
    assert_int_equal(try_connect(waiting), -EIDRM); /* and not to the other */
    close_file(waiting);
    must_work(&later);
    listener_remove(object.id);
    must_work(&later);
    listener_remove(later.id);
    assert_int_equal(rmdir("/run/a"), 0);
}

static void test_wrong_wishes(void **state)
{
    (void)state;
    struct ipcfs_found object = make_directory("a", 0, 0, 0700);
    const struct listener_wish wishes[] = {
        {.type = SOCK_STREAM, .backlog = listener_backlog_max() + 1}, {.type = SOCK_RAW}, {.type = 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(wishes); i++)
        assert_int_equal(listener_make(&object, &wishes[i]), -EINVAL);
    struct listener_state shown;
    assert_int_equal(listener_state(object.id, &shown), -ESTALE);
    assert_int_equal(listener_follow(&object), -ESTALE);
    assert_int_equal(rmdir("/run/a"), 0);
}

/* ---- paths ---- */

/* Longer than an address can be: natives reach it all the same, by a path of theirs. */
static void test_long_path(void **state)
{
    (void)state;
    char base[128] = "/run/";
    char target[PATH_MAX];
    memset(base + 5, 'x', sizeof base - 6);
    listeners_stop();
    place_end();
    place_init(base, "/mnt");
    assert_int_equal(listeners_start(), 0);
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_ref ref = ref_of(&object);
    char small[16];
    assert_int_equal(part("socket")->link(&ref, small, sizeof small), -ENAMETOOLONG);
    assert_int_equal(part("socket")->link(&ref, target, sizeof target), 0);
    assert_true(strlen(target) > sizeof(struct sockaddr_un));
    assert_int_equal(symlink(target, "/run/s"), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/s"};
    AUTO_FD native = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(native, (const struct sockaddr *)&address, sizeof address), 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    close_file(open_connected(&object, "accept"));
    close_file(open_connected(&object, "accept"));
    close_file(client);
    remove_listener("a");
    assert_int_equal(unlink("/run/s"), 0);
    listeners_stop();
    place_end();
    place_init(NULL, "/mnt");
    assert_int_equal(listeners_start(), 0);
}

static void test_no_runtime_directory(void **state)
{
    (void)state;
    listeners_stop();
    place_end();
    assert_int_equal(listeners_start(), -ENOENT);
    place_init(NULL, "/mnt");
    assert_int_equal(listeners_start(), 0);
}

/* A daemon that is not root has one identity, and all is that user's. In a process of its own. */
static void be_a_user(void)
{
    if (mkdir("/run/u", 0700) < 0 || chown("/run/u", USER, GROUP) < 0)
        _exit(EXIT_FAILURE);
    listeners_stop();
    place_end();
    if (setresgid(GROUP, GROUP, GROUP) < 0 || setresuid(USER, USER, USER) < 0 || creds_init())
        _exit(EXIT_FAILURE);
    place_init("/run/u/ipcfs", "/mnt");
    assert_int_equal(listeners_start(), 0);
    struct ipcfs_found object = {.id.number = 5};
    object.stat.stx_uid = USER;
    object.stat.stx_gid = GROUP;
    object.stat.stx_mode = 0700;
    const struct listener_wish wish = {.type = SOCK_STREAM};
    assert_int_equal(listener_make(&object, &wish), 0);
    must_work(&object);
    assert_int_equal(listener_follow(&object), 0);
    assert_int_equal(write_line(&object, "type", "dgram"), 0);
    listener_remove(object.id);
    listeners_stop();
    place_end();
}

static void test_without_root(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        be_a_user();
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(status_of(child), 0);
    assert_int_equal(rmdir("/run/u/ipcfs/mnt/listen"), 0);
    assert_int_equal(unlink("/run/u/ipcfs/mnt/daemons"), 0);
    assert_int_equal(rmdir("/run/u/ipcfs/mnt"), 0);
    assert_int_equal(rmdir("/run/u/ipcfs"), 0);
    assert_int_equal(rmdir("/run/u"), 0);
}

/* ---- no memory ---- */

static struct ipcfs_found subject;

static int fail_make(void)
{
    const struct listener_wish wish = {.type = SOCK_STREAM};
    struct ipcfs_found object = find_directory("b");
    int error = listener_make(&object, &wish);
    if (!error)
        listener_remove(object.id);
    return error;
}

static int fail_connect(void)
{
    struct ipcfs_file *client = NULL;
    struct ipcfs_file *server = NULL;
    struct ipcfs_wait wait = {0};
    int error = try_open_part(&subject, "connect", O_RDWR, &client);
    if (!error)
        error = try_open_part(&subject, "accept", O_RDWR, &server);
    if (!error)
        error = client->ops->try_connect(client, &wait);
    if (!error)
        error = server->ops->try_connect(server, &wait);
    if (client)
        close_file(client);
    if (server)
        close_file(server);
    return error;
}

static int fail_state(void)
{
    struct listener_state shown = {0};
    int error = listener_state(subject.id, &shown);
    let_state_go(&shown);
    return error;
}

static int fail_type(void)
{
    return write_line(&subject, "type", "seqpacket");
}

static int fail_datagrams(void)
{
    struct ipcfs_found object = find_directory("c");
    struct ipcfs_file *sender = NULL;
    struct ipcfs_file *receiver = NULL;
    int error = try_open_part(&object, "send", O_WRONLY, &sender);
    if (!error)
        error = try_open_part(&object, "recv", O_RDONLY, &receiver);
    if (sender)
        close_file(sender);
    if (receiver)
        close_file(receiver);
    return error;
}

static int fail_follow(void)
{
    struct ipcfs_found object = subject;
    static uid_t uid;
    object.stat.stx_uid = USER + uid++ % 2;
    return listener_follow(&object);
}

static int fail_backlog(void)
{
    return write_line(&subject, "backlog", "5");
}

/* As it was: a client whose server failed waits in the queue. */
static void settle(void)
{
    assert_int_equal(write_line(&subject, "type", "stream"), 0);
    struct ipcfs_file *server = open_part(&subject, "accept");
    while (try_connect(server) == 0) {
        close_file(server);
        server = open_part(&subject, "accept");
    }
    close_file(server);
    must_work(&subject);
}

/* Now, and by the next daemon. */
static void must_be_kept(const char *type)
{
    struct ipcfs_found datagrams = find_directory("c");
    must_show(&subject, "type", type);
    restart();
    assert_int_equal(listener_restore(&subject), 0);
    assert_int_equal(listener_restore(&datagrams), 0);
    must_show(&subject, "type", type);
}

/* Whatever allocation fails: the error is told, or nothing depends on it, and nothing is left behind. */
static void check_failures(int (*operation)(void))
{
    bool failed = true;
    unsigned seen = 0;
    for (unsigned number = 1; failed; number++) {
        int descriptors = count_descriptors();
        long live = failing_live();
        int kept = count_kept();
        failing_arm(number);
        int error = operation();
        failed = failing_disarm();
        seen += failed;
        assert_true(error == 0 || (failed && error == -ENOMEM));
        assert_int_equal(count_descriptors(), descriptors);
        assert_int_equal(failing_live(), live);
        assert_int_equal(count_kept(), kept);
        if (error)
            must_be_kept("stream");
        settle();
    }
    assert_true(seen > 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    int (*const operations[])(void) = {fail_make,      fail_connect, fail_state,  fail_type,
                                       fail_datagrams, fail_follow,  fail_backlog};
    subject = make_listener("a", SOCK_STREAM, 0);
    (void)make_directory("b", 0, 0, 0700);
    (void)make_listener("c", SOCK_DGRAM, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++)
        check_failures(operations[i]);
    remove_listener("a");
    remove_listener("c");
    assert_int_equal(rmdir("/run/b"), 0);
}

const struct CMUnitTest listener_kept_tests[] = {
    LISTENER_TEST(test_type_and_backlog),
    LISTENER_TEST(test_busy_types),
    LISTENER_TEST(test_restart),
    LISTENER_TEST(test_leftovers),
    LISTENER_TEST(test_nonsense),
    LISTENER_TEST(test_kept_backlog_is_too_large),
    LISTENER_TEST(test_node_is_taken_away),
    LISTENER_TEST(test_node_is_replaced),
    LISTENER_TEST(test_number_is_used_again),
    LISTENER_TEST(test_wrong_wishes),
    LISTENER_TEST(test_long_path),
    LISTENER_TEST(test_no_runtime_directory),
    LISTENER_TEST(test_without_root),
    LISTENER_TEST(test_no_memory),
};
const size_t listener_kept_count = ARRAY_LENGTH(listener_kept_tests);
