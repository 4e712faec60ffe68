/* SPDX-License-Identifier: MIT */
/* Those who wait: for clients, for room, and until the object goes; and what is not to be had for them. */
#include "sock_listener_subject.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MANY = 10000, SOON_MS = 2000 };

static struct pollfd what_to_wait_for(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    assert_int_equal(file->ops->try_connect(file, &wait), -EAGAIN);
    assert_int_equal(wait.source, IPCFS_WAIT_POLL);
    return (struct pollfd){.fd = wait.fd, .events = wait.events};
}

static void test_accept_waits(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *server = open_part(&object, "accept");
    struct pollfd waiting = what_to_wait_for(server);
    assert_int_equal(poll(&waiting, 1, 0), 0);
    int native = connect_natively(&object, SOCK_STREAM, false);
    assert_int_equal(poll(&waiting, 1, SOON_MS), 1);
    assert_int_equal(try_connect(server), 0);
    assert_int_equal(try_connect(server), 0); /* from then on always */
    close(native);
    close_file(server);
    remove_listener("a");
}

/* Fills the queue; how many are in it. */
static size_t fill_queue(const struct ipcfs_found *object, int *natives, size_t room)
{
    size_t count = 0;
    while (count < room && (natives[count] = connect_natively(object, SOCK_STREAM, false)) >= 0)
        count++;
    assert_true(count < room);
    assert_int_equal(natives[count], -EAGAIN);
    return count;
}

static void close_all(const int *natives, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(natives[i]);
}

static unsigned queued(const struct ipcfs_found *object)
{
    struct listener_state state = look_at(object);
    let_state_go(&state);
    return state.queued;
}

static void test_full_backlog(void **state)
{
    (void)state;
    int natives[8];
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 2);
    size_t count = fill_queue(&object, natives, ARRAY_LENGTH(natives));
    assert_int_equal(count, 3); /* one more than listen(2) was told */
    assert_int_equal(queued(&object), count);
    struct ipcfs_file *client = open_part(&object, "connect");
    struct ipcfs_wait wait = {0};
    assert_int_equal(client->ops->try_connect(client, &wait), -EAGAIN);
    assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    struct keeper keeper;
    start_keeper(&keeper, client);
    assert_false(has_ended(&keeper, 50));
    struct ipcfs_file *server = open_connected(&object, "accept");
    assert_true(has_ended(&keeper, SOON_MS));
    assert_int_equal(keeper.result, 0);
    must_write(client, "x");
    close_file(server);
    close_file(client);
    close_all(natives, count);
    remove_listener("a");
}

/* Nothing was queued then, or is later. */
static void test_interrupted_connect(void **state)
{
    (void)state;
    int natives[8];
    let_signals_come();
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 1);
    size_t count = fill_queue(&object, natives, ARRAY_LENGTH(natives));
    for (int i = 0; i < 10; i++) {
        struct keeper keeper;
        struct ipcfs_file *client = open_part(&object, "connect");
        start_keeper(&keeper, client);
        if (i % 2)
            assert_false(has_ended(&keeper, 10));
        assert_int_equal(interrupt(&keeper), -EINTR);
        assert_int_equal(queued(&object), count);
        close_file(client);
    }
    for (size_t i = 0; i < count; i++)
        close_file(open_connected(&object, "accept"));
    struct ipcfs_file *server = open_part(&object, "accept");
    assert_int_equal(try_connect(server), -EAGAIN);
    close_file(server);
    close_all(natives, count);
    remove_listener("a");
}

/* ---- removal ---- */

static void test_removal_ends_accepts(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *files[3];
    struct pollfd waiting[3];
    for (int i = 0; i < 3; i++) {
        files[i] = open_part(&object, "accept");
        waiting[i] = what_to_wait_for(files[i]);
    }
    remove_listener("a");
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(waiting[i].fd, F_GETFD) >= 0);
        assert_int_equal(poll(&waiting[i], 1, SOON_MS), 1);
        assert_int_equal(try_connect(files[i]), -EIDRM);
        close_file(files[i]);
    }
    struct ipcfs_file *file = NULL;
    assert_int_equal(try_open_part(&object, "accept", O_RDWR, &file), -ESTALE);
}

/* A native one, which waits for room as well. */
static void *connect_and_wait(void *argument)
{
    AUTO_FD fd = connect_natively(argument, SOCK_STREAM, true);
    return (void *)(intptr_t)(fd < 0 ? fd : 0);
}

/* Those who wait for room, here and natively, while others keep the socket for a while; and those who are queued. */
static void test_removal_ends_connects(void **state)
{
    (void)state;
    char byte = 0;
    int natives[8];
    pthread_t waiting[5];
    struct keeper keeper;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 1);
    struct ipcfs_file *idle = open_part(&object, "accept");
    size_t count = fill_queue(&object, natives, ARRAY_LENGTH(natives));
    struct ipcfs_file *client = open_part(&object, "connect");
    start_keeper(&keeper, client);
    for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++)
        assert_int_equal(pthread_create(&waiting[i], NULL, connect_and_wait, &object), 0);
    assert_false(has_ended(&keeper, 50));
    remove_listener("a");
    assert_true(has_ended(&keeper, SOON_MS));
    assert_int_equal(keeper.result, -EIDRM);
    for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(waiting[i], &result), 0);
        assert_true((intptr_t)result == -ECONNREFUSED || (intptr_t)result == -ENOENT);
    }
    for (size_t i = 0; i < count; i++) {
        struct pollfd ended = {.fd = natives[i], .events = POLLIN};
        assert_int_equal(poll(&ended, 1, SOON_MS), 1);
        assert_true(read(natives[i], &byte, 1) <= 0);
    }
    close_all(natives, count);
    assert_int_equal(try_connect(idle), -EIDRM);
    close_file(idle);
    close_file(client);
}

static void test_removal_leaves_connections(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    remove_listener("a");
    must_write(client, "still");
    must_read(server, "still");
    struct ipcfs_found again = make_listener("a", SOCK_STREAM, 0);
    struct listener_state shown = look_at(&again);
    assert_int_equal(shown.connections, 0);
    let_state_go(&shown);
    close_file(client);
    close_file(server);
    remove_listener("a");
}

static void test_removal_ends_datagrams(void **state)
{
    (void)state;
    char buffer[8];
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    struct ipcfs_file *receiver = open_part(&object, "recv");
    struct ipcfs_wait wait = {0};
    assert_int_equal(receiver->ops->try_read(receiver, buffer, sizeof buffer, 0, 0, &wait), -EAGAIN);
    struct pollfd waiting = {.fd = wait.fd, .events = wait.events};
    remove_listener("a");
    assert_int_equal(poll(&waiting, 1, SOON_MS), 1);
    assert_int_equal(read_file(receiver, buffer, sizeof buffer), -EIDRM);
    assert_int_equal(write_file(sender, "x", 1), -EIDRM);
    assert_true(receiver->ops->poll(receiver, &wait) & POLLIN);
    assert_true(sender->ops->poll(sender, &wait) & POLLOUT);
    close_file(sender);
    close_file(receiver);
}

/* One who waits for room in the queue of datagrams. */
static void test_removal_ends_senders(void **state)
{
    (void)state;
    ssize_t count = 1;
    struct ipcfs_wait wait = {0};
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    struct ipcfs_file *idle = open_part(&object, "recv");
    while (count > 0)
        count = sender->ops->try_write(sender, "x", 1, 0, 0, &wait);
    assert_int_equal(count, -EAGAIN);
    struct pollfd waiting = {.fd = wait.fd, .events = wait.events};
    remove_listener("a");
    assert_int_equal(poll(&waiting, 1, SOON_MS), 1);
    assert_int_equal(write_file(sender, "x", 1), -EIDRM);
    close_file(sender);
    close_file(idle);
}

/* ---- many ---- */

static void test_many_accepts(void **state)
{
    (void)state;
    static struct ipcfs_file *files[MANY];
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    int descriptors = count_descriptors();
    for (int i = 0; i < MANY; i++) {
        files[i] = open_part(&object, "accept");
        assert_int_equal(try_connect(files[i]), -EAGAIN);
    }
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(files[0]->ops->lane(files[0], false), files[MANY - 1]->ops->lane(files[MANY - 1], true));
    must_be_refused(&object, "type", "dgram", -EBUSY, "waits");
    for (int i = 0; i < MANY; i++)
        close_file(files[i]);
    assert_int_equal(write_line(&object, "type", "seqpacket"), 0);
    remove_listener("a");
}

static void test_lanes(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *waiting = open_part(&object, "accept");
    struct ipcfs_file *connecting = open_part(&object, "connect");
    assert_true(waiting->ops->lane(waiting, true) != connecting->ops->lane(connecting, true));
    close_file(waiting);
    close_file(connecting);
    remove_listener("a");
}

/* ---- no descriptors ---- */

static struct rlimit all_descriptors;

/* From now on there are none. */
static void take_descriptors_away(void)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all_descriptors), 0);
    const struct rlimit none = {.rlim_max = all_descriptors.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_descriptors_back(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all_descriptors), 0);
}

static void test_no_descriptors(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_found other = make_directory("b", 0, 0, 0700);
    struct ipcfs_file *client = open_part(&object, "connect");
    struct ipcfs_file *server = open_part(&object, "accept");
    int native = connect_natively(&object, SOCK_STREAM, false);
    const struct listener_wish wish = {.type = SOCK_STREAM};
    int kept = count_kept();
    take_descriptors_away();
    int errors[] = {
        try_connect(client),
        try_connect(server),
        listener_make(&other, &wish),
        write_line(&object, "type", "dgram"),
        write_line(&object, "backlog", "5"),
    };
    give_descriptors_back();
    for (size_t i = 0; i < ARRAY_LENGTH(errors) - 1; i++)
        assert_int_equal(errors[i], -EMFILE);
    assert_true(errors[4] < 0);
    assert_int_equal(count_kept(), kept);
    must_show(&object, "type", "stream");
    must_connect(client); /* nothing was lost */
    must_connect(server);
    close(native);
    close_file(client);
    close_file(server);
    remove_listener("a");
    assert_int_equal(rmdir("/run/b"), 0);
}

/* ---- all at once ---- */

struct storm {
    struct ipcfs_found object;
    pthread_t threads[4];
    atomic_bool ends;
    atomic_uint connected;
};

static void *accept_and_connect(void *argument)
{
    struct storm *storm = argument;
    const char *names[] = {"accept", "connect"};
    for (unsigned i = 0; !atomic_load(&storm->ends); i++) {
        struct ipcfs_file *file = NULL;
        struct ipcfs_ref ref = ref_of(&storm->object);
        if (part(names[i % 2])->open(&ref, 0, O_RDWR, &file))
            continue;
        struct ipcfs_wait wait = {0};
        char byte = 0;
        if (file->ops->try_connect(file, &wait) == 0) {
            atomic_fetch_add(&storm->connected, 1);
            (void)file->ops->try_read(file, &byte, 1, 0, 0, &wait);
            (void)file->ops->try_write(file, &byte, 1, 0, 0, &wait);
        }
        file->ops->close(file);
    }
    return NULL;
}

static void test_storm(void **state)
{
    (void)state;
    static const char *const types[] = {"seqpacket", "stream"};
    struct storm storm = {.object = make_listener("a", SOCK_STREAM, 0)};
    for (size_t i = 0; i < ARRAY_LENGTH(storm.threads); i++)
        assert_int_equal(pthread_create(&storm.threads[i], NULL, accept_and_connect, &storm), 0);
    for (int i = 0; i < 300; i++) {
        struct ipcfs_found object = find_directory("a");
        struct listener_state shown;
        int error = write_line(&object, "type", types[i % 2]);
        assert_true(error == 0 || error == -EBUSY);
        assert_int_equal(write_line(&object, "backlog", i % 3 ? "3" : "0"), 0);
        assert_int_equal(listener_state(object.id, &shown), 0);
        let_state_go(&shown);
        if (i % 50 == 49) {
            const struct listener_wish wish = {.type = SOCK_STREAM};
            listener_remove(object.id);
            assert_int_equal(listener_make(&object, &wish), 0);
        }
        pause_ms(1);
    }
    atomic_store(&storm.ends, true);
    for (size_t i = 0; i < ARRAY_LENGTH(storm.threads); i++)
        assert_int_equal(pthread_join(storm.threads[i], NULL), 0);
    assert_true(atomic_load(&storm.connected) > 100);
    remove_listener("a");
}

const struct CMUnitTest listener_waits_tests[] = {
    LISTENER_TEST(test_accept_waits),           LISTENER_TEST(test_full_backlog),
    LISTENER_TEST(test_interrupted_connect),    LISTENER_TEST(test_removal_ends_accepts),
    LISTENER_TEST(test_removal_ends_connects),  LISTENER_TEST(test_removal_leaves_connections),
    LISTENER_TEST(test_removal_ends_datagrams), LISTENER_TEST(test_removal_ends_senders),
    LISTENER_TEST(test_many_accepts),           LISTENER_TEST(test_lanes),
    LISTENER_TEST(test_no_descriptors),         LISTENER_TEST(test_storm),
};
const size_t listener_waits_count = ARRAY_LENGTH(listener_waits_tests);
