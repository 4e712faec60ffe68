/* SPDX-License-Identifier: MIT */
/* Sockets, and what they turn out to be. */
#include "inspect_join_subject.h"

#include "ipcfs/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void must(bool done)
{
    if (!done)
        _exit(97);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

static int connected(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void serve(void)
{
    struct sockaddr_un address = address_of(path_in("sock", "server"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4) == 0);
    must(dup2(fd, 100) == 100 && close(fd) == 0);
    ready();
    (void)dup2(accept(100, NULL, NULL), 101);
    (void)!read(101, &fd, 1);
}

static void test_bound(void **state)
{
    (void)state;
    pid_t server = start_child(serve);
    await_call(server, SYS_accept);
    int client = connected(path_in("sock", "server"));
    await_call(server, SYS_read);
    const struct inspection *seen = look(INSPECT_WAITERS);
    const struct inspected_object *node = object_named("sock", "server");
    assert_int_equal(node->number, ino_of(path_in("sock", "server")));
    assert_false(node->removed);
    assert_int_equal(use_of(node, server, USE_DESCRIPTOR)->fd, 100);
    assert_int_equal(node->user_count, 1);
    assert_true(node->socket > 0 && node->peer == 0);
    /* What it accepted is another socket. */
    const struct inspected_object *accepted = &seen->objects[wait_of(server)->object];
    assert_int_equal(accepted->type, INSPECTED_SOCKET);
    assert_int_equal(accepted->peer, ino_of_fd(client));
    assert_int_equal(wait_of(server)->fd, 101);
    close(client);
    assert_int_equal(unlink(path_in("sock", "server")), 0);
    (void)look(INSPECT_HOLDERS);
    seen = look(INSPECT_HOLDERS);
    size_t removed = 0;
    for (size_t i = 0; i < seen->object_count; i++)
        removed += seen->objects[i].kind == kind_of("sock") && seen->objects[i].removed;
    assert_int_equal(removed, 1);
}

/* ---- a listening socket of the daemon's ---- */

static char listening[108];

static void connect_and_wait(void)
{
    char byte = 0;
    int fd = connected(listening);
    must(dup2(fd, 100) == 100 && close(fd) == 0);
    ready();
    (void)!read(100, &byte, 1);
}

/* What link `socket` in it leads to. */
static void find_socket(const struct ipcfs_ref *ref)
{
    const struct ipcfs_verb *verb = kind_of("sock")->files;
    while (strcmp(verb->name, "socket") != 0)
        verb++;
    assert_int_equal(verb->link(ref, listening, sizeof listening), 0);
}

static struct ipcfs_file *open_accept(const struct ipcfs_ref *ref)
{
    struct ipcfs_file *file = NULL;
    const struct ipcfs_verb *verb = kind_of("sock")->files;
    while (strcmp(verb->name, "accept") != 0)
        verb++;
    assert_int_equal(verb->open(ref, 0, O_RDWR, &file), 0);
    return file;
}

static void test_listener(void **state)
{
    (void)state;
    static const struct caller self;
    const struct ipcfs_backend *sock = kind_of("sock");
    const struct ipcfs_wish wish = {
        .name = "service", .type = S_IFDIR, .flags = O_CREAT | O_EXCL, .mode = 0700, .caller = &self};
    struct ipcfs_created made = {0};
    struct ipcfs_wait wait = {0};
    assert_int_equal(sock->create(&wish, &made), 0);
    const struct ipcfs_ref ref = {.id = made.found.id, .name = "service", .hold = made.hold};
    find_socket(&ref);
    pid_t client = start_child(connect_and_wait);
    struct ipcfs_file *file = open_accept(&ref);
    assert_int_equal(sock->try_connect(file, &wait), 0);
    await_call(client, SYS_read);
    (void)look(INSPECT_WAITERS);
    const struct inspected_object *object = object_named("sock", "service");
    assert_int_equal(object->number, made.found.id.number);
    assert_int_equal(use_of(object, client, USE_DESCRIPTOR)->fd, 100);
    assert_ptr_equal(use_of(object, client, USE_WAITING), wait_of(client));
    sock->close(file);
    sock->release(made.hold);
    assert_int_equal(sock->remove(0, "service"), 0);
}

const struct CMUnitTest join_socket_tests[] = {JOIN_TEST(test_bound), JOIN_TEST(test_listener)};
const size_t join_socket_count = sizeof join_socket_tests / sizeof *join_socket_tests;
