/* SPDX-License-Identifier: MIT */
/* Whose sockets they are, who may connect, and who each end is told that the other is. */
#include "sock_listener_subject.h"

#include "creds.h"
#include "sock_diag.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct listener_wish stream = {.type = SOCK_STREAM};

static int open_as(const struct ipcfs_found *object, const char *name, uid_t uid, gid_t gid, pid_t pid,
                   struct ipcfs_file **out)
{
    const struct caller caller = {.uid = uid, .gid = gid, .pid = pid};
    AUTO_ACTING acting = {0};
    int error = acting_begin(&acting, &caller);
    return error ? error : try_open_part(object, name, strcmp(name, "send") == 0 ? O_WRONLY : O_RDWR, out);
}

/* What connect(2) is told when somebody connects through the mount; the keeper's and the first thread's identity is the
 * daemon's then. */
static int connect_as(const struct ipcfs_found *object, uid_t uid, gid_t gid, bool block)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_wait wait = {.block = block};
    int error = open_as(object, "connect", uid, gid, 0, &file);
    if (error)
        return error;
    error = file->ops->try_connect(file, &wait);
    close_file(file);
    return error;
}

static struct ipcfs_found make_owned(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    struct ipcfs_found object = make_directory(name, uid, gid, mode);
    const struct caller caller = {.uid = uid, .gid = gid};
    AUTO_ACTING acting = {0};
    assert_int_equal(acting_begin(&acting, &caller), 0);
    assert_int_equal(listener_make(&object, &stream), 0);
    return object;
}

static struct stat node_of(const struct ipcfs_found *object)
{
    char path[PATH_MAX];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/listen/%llu", place_path(), (unsigned long long)object->id.number);
    assert_int_equal(lstat(path, &stat), 0);
    return stat;
}

static void must_be_owned(const struct ipcfs_found *object, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat stat = node_of(object);
    assert_int_equal(stat.st_uid, uid);
    assert_int_equal(stat.st_gid, gid);
    assert_int_equal(stat.st_mode, S_IFSOCK | mode);
}

/* Here and natively alike. */
static void must_admit(const struct ipcfs_found *object, uid_t uid, gid_t gid, int error)
{
    assert_int_equal(connect_as(object, uid, gid, false), -error);
    assert_int_equal(connect_as(object, uid, gid, true), -error);
    pid_t child = start_client(object, SOCK_STREAM, uid, gid);
    if (error) {
        assert_int_equal(status_of(child), error);
        return;
    }
    for (int i = 0; i < 3; i++)
        close_file(open_connected(object, "accept"));
    assert_int_equal(status_of(child), 0);
}

static void change(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "/run/%s", name);
    assert_int_equal(chown(path, uid, gid), 0);
    assert_int_equal(chmod(path, mode), 0);
    struct ipcfs_found object = find_directory(name);
    assert_int_equal(listener_follow(&object), 0);
}

static void test_who_may_connect(void **state)
{
    (void)state;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0700);
    must_be_owned(&object, USER, GROUP, 0600);
    must_admit(&object, USER, GROUP, 0);
    must_admit(&object, OTHER, GROUP, EACCES);
    change("a", USER, GROUP, 0770);
    must_be_owned(&object, USER, GROUP, 0660);
    must_admit(&object, OTHER, GROUP, 0);
    must_admit(&object, OTHER, OTHER, EACCES);
    change("a", USER, GROUP, 0766);
    must_admit(&object, OTHER, OTHER, 0);
    change("a", OTHER, OTHER, 0700);
    must_be_owned(&object, OTHER, OTHER, 0600);
    must_admit(&object, OTHER, OTHER, 0);
    must_admit(&object, USER, GROUP, EACCES);
    remove_listener("a");
}

static void test_who_may_send(void **state)
{
    (void)state;
    struct ipcfs_file *file = NULL;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0700);
    assert_int_equal(write_line(&object, "type", "dgram"), 0);
    must_be_owned(&object, USER, GROUP, 0600);
    assert_int_equal(open_as(&object, "send", OTHER, GROUP, 0, &file), -EACCES);
    assert_int_equal(open_as(&object, "send", USER, GROUP, 0, &file), 0);
    must_write(file, "x");
    close_file(file);
    remove_listener("a");
}

/* Before it is its owner's a node is nobody's: there is no moment at which others could connect. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names
int __real_bind(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);

static mode_t bound_mode;

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct stat stat;
    int result = __real_bind(fd, address, length);
    if (result == 0 && lstat(((const struct sockaddr_un *)address)->sun_path, &stat) == 0)
        bound_mode = stat.st_mode;
    return result;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static void test_no_moment_for_others(void **state)
{
    (void)state;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0777);
    assert_int_equal(bound_mode, S_IFSOCK);
    must_be_owned(&object, USER, GROUP, 0666);
    remove_listener("a");
}

/* ---- who the other end is ---- */

static struct ucred peer_of(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    return peer;
}

/* What a client is told: the daemon's pid, and who owns the object. */
static void must_appear_as(const struct ipcfs_found *object, uid_t uid, gid_t gid)
{
    int fd = connect_natively(object, SOCK_STREAM, false);
    assert_true(fd >= 0);
    struct ucred peer = peer_of(fd);
    close(fd);
    close_file(open_connected(object, "accept"));
    assert_int_equal(peer.uid, uid);
    assert_int_equal(peer.gid, gid);
    assert_int_equal(peer.pid, getpid());
}

/* What ss(8) says of whose socket it is. */
static void must_belong_to(const struct ipcfs_found *object, uid_t uid)
{
    struct diag_socket socket;
    struct listener_state shown = look_at(object);
    let_state_go(&shown);
    assert_int_equal(diag_find_unix((uint32_t)shown.inode, &socket), 0);
    assert_int_equal(socket.uid, uid);
}

/* Whoever changes it: nobody seems to listen who does not. */
static void test_what_clients_see(void **state)
{
    (void)state;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0700);
    must_appear_as(&object, USER, GROUP);
    must_belong_to(&object, USER);
    assert_int_equal(write_line(&object, "backlog", "7"), 0); /* as root */
    must_appear_as(&object, USER, GROUP);
    assert_int_equal(write_line(&object, "type", "seqpacket"), 0);
    assert_int_equal(write_line(&object, "type", "stream"), 0);
    must_appear_as(&object, USER, GROUP);
    change("a", OTHER, GROUP, 0700);
    must_appear_as(&object, OTHER, GROUP);
    must_belong_to(&object, OTHER);
    object = find_directory("a");
    assert_int_equal(listener_restore(&object), 0); /* by the daemon itself, at start */
    must_appear_as(&object, OTHER, GROUP);
    must_show(&object, "backlog", "7");
    remove_listener("a");
}

static void test_native_peers(void **state)
{
    (void)state;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0766);
    pid_t first = start_client(&object, SOCK_STREAM, USER, GROUP);
    struct ipcfs_file *one = open_connected(&object, "accept");
    pid_t second = start_client(&object, SOCK_STREAM, OTHER, OTHER);
    struct ipcfs_file *other = open_connected(&object, "accept");
    struct listener_state shown = look_at(&object);
    assert_int_equal(shown.connections, 2);
    assert_int_equal(shown.type, SOCK_STREAM);
    must_have_peer(&shown, first, USER, GROUP, "native");
    must_have_peer(&shown, second, OTHER, OTHER, "native");
    let_state_go(&shown);
    close_file(one);
    shown = look_at(&object);
    assert_int_equal(shown.connections, 1);
    must_have_peer(&shown, second, OTHER, OTHER, "native");
    let_state_go(&shown);
    close_file(other);
    assert_int_equal(status_of(first), 0);
    assert_int_equal(status_of(second), 0);
    remove_listener("a");
}

static pid_t start_sleeper(void)
{
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    return child;
}

static void end_sleeper(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

enum { CLIENTS = 5 };

/* Several at once, each with an identity and a pid of its own; half of them by a keeper. */
static void test_peers_through_the_mount(void **state)
{
    (void)state;
    pid_t callers[CLIENTS];
    static struct ipcfs_file *clients[CLIENTS];
    static struct ipcfs_file *servers[CLIENTS];
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0777);
    pid_t acceptor = start_sleeper();
    for (int i = 0; i < CLIENTS; i++) {
        struct ipcfs_wait wait = {.block = i % 2};
        callers[i] = start_sleeper();
        assert_int_equal(open_as(&object, "connect", USER + i, GROUP + i, callers[i], &clients[i]), 0);
        assert_int_equal(clients[i]->ops->try_connect(clients[i], &wait), 0);
        assert_int_equal(geteuid(), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(open_as(&object, "accept", USER, GROUP, acceptor, &servers[i]), 0);
        must_connect(servers[i]);
    }
    struct listener_state shown = look_at(&object);
    assert_int_equal(shown.connections, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        must_have_peer(&shown, callers[i], USER + i, GROUP + i, "mount");
        assert_int_equal(peer_number(&shown, i, "accepted_by"), acceptor);
    }
    let_state_go(&shown);
    close_file(clients[0]);
    shown = look_at(&object);
    assert_int_equal(shown.connections, CLIENTS);
    must_have_peer(&shown, 0, USER, GROUP, "mount");
    let_state_go(&shown);
    for (int i = 0; i < CLIENTS; i++) {
        if (i)
            close_file(clients[i]);
        close_file(servers[i]);
        end_sleeper(callers[i]);
    }
    end_sleeper(acceptor);
    remove_listener("a");
}

/* A keeper has the daemon's identity. It waits for room here, which the caller has no part in any more. */
static void test_keepers_connect_as_the_caller(void **state)
{
    (void)state;
    struct keeper keeper;
    struct ipcfs_file *client = NULL;
    struct ipcfs_found object = make_owned("a", USER, GROUP, 0777);
    assert_int_equal(write_line(&object, "backlog", "1"), 0);
    int queued[2] = {connect_natively(&object, SOCK_STREAM, false),
                     connect_natively(&object, SOCK_STREAM, false)};
    assert_int_equal(open_as(&object, "connect", OTHER, OTHER, 0, &client), 0);
    start_keeper(&keeper, client);
    assert_false(has_ended(&keeper, 50));
    struct ipcfs_file *servers[3];
    for (int i = 0; i < 3; i++)
        servers[i] = open_connected(&object, "accept");
    assert_true(has_ended(&keeper, 2000));
    assert_int_equal(keeper.result, 0);
    struct listener_state shown = look_at(&object);
    must_have_peer(&shown, 0, OTHER, OTHER, "mount");
    must_have_peer(&shown, 0, 0, 0, "mount"); /* this process is the daemon */
    let_state_go(&shown);
    for (int i = 0; i < 3; i++)
        close_file(servers[i]);
    close(queued[0]);
    close(queued[1]);
    close_file(client);
    remove_listener("a");
}

/* A request tells a thread; what is shown is its process. */
static void *open_from_thread(void *argument)
{
    struct ipcfs_file *file = NULL;
    pid_t thread = (pid_t)syscall(SYS_gettid);
    if (open_as(argument, "accept", 0, 0, thread, &file))
        return NULL;
    must_connect(file);
    struct listener_state shown;
    bool right = listener_state(((const struct ipcfs_found *)argument)->id, &shown) == 0 &&
                 peer_number(&shown, 0, "accepted_by") == (uint64_t)getpid() && thread != getpid();
    let_state_go(&shown);
    close_file(file);
    return right ? argument : NULL;
}

static void test_threads_are_shown_as_processes(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    int native = connect_natively(&object, SOCK_STREAM, false);
    assert_int_equal(pthread_create(&thread, NULL, open_from_thread, &object), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    close(native);
    remove_listener("a");
}

enum { SHARE = 3 };

/* A user may have so many, and takes none away from others. */
static void test_shares(void **state)
{
    (void)state;
    struct rlimit all;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    const struct rlimit few = {.rlim_cur = SHARE * 8, .rlim_max = all.rlim_max};
    struct ipcfs_found objects[SHARE + 1];
    struct ipcfs_found directory = make_directory("a", USER, GROUP, 0700);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i <= SHARE; i++) {
        objects[i] = directory;
        objects[i].id.number += 1000000 + (uint64_t)i;
        assert_int_equal(listener_make(&objects[i], &stream), i < SHARE ? 0 : -EDQUOT);
    }
    struct ipcfs_found other = make_owned("b", OTHER, GROUP, 0700);
    listener_remove(objects[0].id);
    assert_int_equal(listener_make(&objects[SHARE], &stream), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    for (int i = 1; i <= SHARE; i++)
        listener_remove(objects[i].id);
    listener_remove(other.id);
}

const struct CMUnitTest listener_rights_tests[] = {
    LISTENER_TEST(test_shares),
    LISTENER_TEST(test_who_may_connect),
    LISTENER_TEST(test_who_may_send),
    LISTENER_TEST(test_no_moment_for_others),
    LISTENER_TEST(test_what_clients_see),
    LISTENER_TEST(test_native_peers),
    LISTENER_TEST(test_peers_through_the_mount),
    LISTENER_TEST(test_keepers_connect_as_the_caller),
    LISTENER_TEST(test_threads_are_shown_as_processes),
};
const size_t listener_rights_count = ARRAY_LENGTH(listener_rights_tests);
