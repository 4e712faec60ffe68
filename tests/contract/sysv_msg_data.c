/* SPDX-License-Identifier: MIT */
/* Messages of System V queues: sending and receiving beside native users, types, waits, and looking
 * without taking. */
#include "sysv_msg_subject.h"

#include "failing.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- sending and receiving ---- */

static void test_both_sides(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    char text[64];
    assert_int_equal(send_text(object.file, "from the mount"), 14);
    struct native_message message = native_receive(id_of(&object), 0);
    assert_int_equal(message.type, 1);
    assert_string_equal(message.text, "from the mount");
    native_send(id_of(&object), 7, "native");
    native_send(id_of(&object), 1, "");
    native_send(id_of(&object), 3, "last");
    must_receive(object.file, "native"); /* of any type, in order */
    must_receive(object.file, "");
    must_receive(object.file, "last");
    assert_int_equal(receive(object.file, text, sizeof text), -EAGAIN);
    assert_int_equal(send_text(object.file, ""), 0);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 1);
    let_go(&object);
}

static void test_access_modes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY | O_TRUNC);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY | O_APPEND);
    struct ipcfs_file *neither = open_object(&ref, O_ACCMODE);
    char text[64];
    assert_int_equal(send_text(writer, "x"), 1);
    assert_int_equal(receive(writer, text, sizeof text), -EBADF);
    assert_int_equal(send_text(reader, "x"), -EBADF);
    assert_int_equal(send_text(neither, "x"), -EBADF);
    assert_int_equal(receive(neither, text, sizeof text), -EBADF);
    kind->close(open_object(&ref, O_RDWR | O_TRUNC)); /* purges nothing */
    must_receive(reader, "x");
    kind->close(reader);
    kind->close(writer);
    kind->close(neither);
    let_go(&object);
}

static void test_full_queue(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    assert_int_equal(write_qbytes(&ref, "10", 2, NULL), 0);
    assert_int_equal(send_text(object.file, "12345678"), 8);
    assert_int_equal(send_text(object.file, "123"), -EAGAIN);
    assert_int_equal(send_text(object.file, "12"), 2);
    assert_int_equal(send_text(object.file, "1"), -EAGAIN);
    assert_int_equal(send_text(object.file, ""), 0);
    must_receive(object.file, "12345678");
    assert_int_equal(send_text(object.file, "123"), 3);
    let_go(&object);
}

static void test_gone(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    char text[64];
    struct ipcfs_wait wait = {.block = true};
    native_remove(id_of(&object));
    size_t room = kind->message_room(object.file);
    char *buffer = malloc(room);
    assert_int_equal(receive(object.file, text, sizeof text), -EIDRM);
    assert_int_equal(send_text(object.file, "x"), -EIDRM);
    assert_int_equal(kind->try_read(object.file, buffer, room, 0, 0, &wait), -EIDRM);
    assert_int_equal(kind->try_write(object.file, "x", 1, 0, 0, &wait), -EIDRM);
    int events = kind->poll(object.file, &wait);
    assert_int_equal(events, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP);
    free(buffer);
    let_go(&object);
}

/* ---- sizes ---- */

static char *make_text(size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + (i * 7 + i / 4096) % 26);
    text[size] = '\0';
    return text;
}

/* Receives as the FUSE side does, with more room after each −E2BIG; tells how often it had to. */
static int receive_growing(struct ipcfs_file *file, const char *expected, size_t size, size_t skew)
{
    struct ipcfs_wait wait = {0};
    ssize_t count = -E2BIG;
    int tries = 0;
    for (; count == -E2BIG; tries++) {
        size_t room = kind->message_room(file);
        char *buffer = malloc(room + skew);
        assert_true(buffer && tries < 40);
        count = kind->try_read(file, buffer + skew, room, 0, 0, &wait);
        if (count == -E2BIG)
            assert_true(kind->message_room(file) > room);
        else if (count == (ssize_t)size)
            assert_memory_equal(buffer + skew, expected, size);
        free(buffer);
    }
    assert_int_equal(count, size);
    return tries;
}

/* All sizes around the limits of what is sent from the stack, in buffers of every alignment. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 64, 4095, 4096, 4097, 8191, 8192};
    struct ipcfs_created object = new_queue();
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        char *text = make_text(sizes[i]);
        for (size_t skew = 0; skew < sizeof(long); skew++) {
            assert_int_equal(send_text(object.file, text), sizes[i]);
            assert_int_equal(receive_growing(object.file, text, sizes[i], skew), 1);
        }
        free(text);
    }
    char *text = make_text(8193);
    assert_int_equal(send_text(object.file, text), -EMSGSIZE);
    free(text);
    struct ipcfs_wait wait = {0};
    assert_int_equal(kind->try_write(object.file, "", (size_t)INT_MAX + 1, 0, 0, &wait), -EMSGSIZE);
    assert_int_equal(kind->try_write(object.file, "", SIZE_MAX, 0, 0, &wait), -EMSGSIZE);
    let_go(&object);
}

/* kernel.msgmax is raised after the file was opened. What does not fit stays in the queue. */
static void test_large_message(void **state)
{
    (void)state;
    enum { LARGE = 150000 };
    char *text = make_text(LARGE);
    long msgmnb = set_kernel("msgmnb", 1000000);
    struct ipcfs_created object = new_queue();
    assert_true(kind->message_room(object.file) < LARGE);
    long msgmax = set_kernel("msgmax", 200000);
    assert_int_equal(send_text(object.file, text), LARGE);
    assert_true(receive_growing(object.file, text, LARGE, 0) > 1);
    assert_int_equal(send_text(object.file, text), LARGE);
    assert_int_equal(receive_growing(object.file, text, LARGE, 3), 1); /* it has learned */
    /* However large messages may be, no room is asked for before one is. */
    (void)set_kernel("msgmax", INT_MAX);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *file = open_object(&ref, O_RDWR);
    assert_true(kind->message_room(file) < 100000);
    assert_int_equal(send_text(file, text), LARGE);
    assert_true(receive_growing(file, text, LARGE, 0) > 1);
    (void)set_kernel("msgmax", msgmax);
    (void)set_kernel("msgmnb", msgmnb);
    kind->close(file);
    free(text);
    let_go(&object);
}

static void test_too_little_room(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_wait wait = {0};
    char small[16];
    assert_int_equal(send_text(object.file, "does it fit"), 11);
    assert_int_equal(kind->try_read(object.file, small, sizeof small, 0, 0, &wait), -E2BIG);
    assert_int_equal(kind->try_read(object.file, small, 0, 0, 0, &wait), -E2BIG);
    must_receive(object.file, "does it fit");
    assert_int_equal(send_text(object.file, "fits"), 4); /* and is refused, as room is to be as was said */
    assert_int_equal(kind->try_read(object.file, small, sizeof small, 0, 0, &wait), -E2BIG);
    must_receive(object.file, "fits");
    let_go(&object);
}

static void test_send_without_memory(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    char *text = make_text(5000);
    failing_arm(1);
    ssize_t count = send_text(object.file, text);
    assert_true(failing_disarm());
    assert_int_equal(count, -ENOMEM);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 0);
    free(text);
    let_go(&object);
}

/* ---- types ---- */

static void must_receive_type(const struct ipcfs_created *object, int64_t type, const char *expected)
{
    struct ipcfs_file *file = open_type(object, type, O_RDONLY);
    char text[64];
    if (expected)
        must_receive(file, expected);
    else
        assert_int_equal(receive(file, text, sizeof text), -EAGAIN);
    kind->close(file);
}

static void test_types(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    static const long types[] = {5, 2, 9, 2, 5, LONG_MAX};
    static const char *const texts[] = {"a5", "b2", "c9", "d2", "e5", "max"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_file *file = open_type(&object, types[i], O_WRONLY);
        assert_int_equal(send_text(file, texts[i]), strlen(texts[i]));
        kind->close(file);
    }
    must_receive_type(&object, 4, NULL);
    must_receive_type(&object, 9, "c9");
    must_receive_type(&object, 9, NULL);
    must_receive_type(&object, -1, NULL);
    must_receive_type(&object, -8, "b2"); /* the lowest, and the first of those */
    must_receive_type(&object, 0, "a5");  /* the first */
    must_receive_type(&object, INT64_MIN, "d2");
    must_receive_type(&object, -5, "e5");
    must_receive_type(&object, -100, NULL);
    must_receive_type(&object, LONG_MAX, "max");
    let_go(&object);
}

static void test_types_that_cannot_be_sent(void **state)
{
    (void)state;
    static const int64_t types[] = {0, -1, INT64_MIN};
    struct ipcfs_created object = new_queue();
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_file *file = open_type(&object, types[i], O_RDWR);
        assert_int_equal(send_text(file, "x"), -EINVAL);
        kind->close(file);
    }
    let_go(&object);
}

/* Readers of one type wait in one lane, whatever file they have; no reader's lane is the writers'. */
static void test_lanes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    static const int64_t types[] = {0, 1, -1, INT64_MIN, INT64_MIN + 1, INT64_MAX};
    uint64_t lanes[ARRAY_LENGTH(types)];
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct ipcfs_file *file = open_type(&object, types[i], O_RDWR);
        lanes[i] = kind->lane(file, false);
        assert_int_equal(kind->lane(file, true), kind->lane(object.file, true));
        assert_int_not_equal(lanes[i], kind->lane(file, true));
        kind->close(file);
    }
    assert_int_equal(lanes[0], kind->lane(object.file, false));
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal(lanes[i] == lanes[j], types[i] == INT64_MIN + 1 && types[j] == INT64_MIN);
    let_go(&object);
}

/* ---- waits ---- */

struct waiter {
    struct ipcfs_file *file;
    bool writes;
    ssize_t result;
    char text[64];
    atomic_int thread;
    pthread_t pthread;
};

static void *wait_in_thread(void *data)
{
    struct waiter *waiter = data;
    struct ipcfs_wait wait = {.block = true};
    size_t room = kind->message_room(waiter->file);
    char *buffer = calloc(1, room);
    atomic_store(&waiter->thread, gettid());
    if (waiter->writes)
        waiter->result = kind->try_write(waiter->file, "waited", 6, 0, 0, &wait);
    else
        waiter->result = kind->try_read(waiter->file, buffer, room, 0, 0, &wait);
    if (!waiter->writes && waiter->result >= 0)
        memcpy(waiter->text, buffer, (size_t)waiter->result);
    free(buffer);
    return NULL;
}

/* The number of the system call that the thread waits in, or −1. */
static long waits_in(int thread)
{
    char path[64];
    char line[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    bool some = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    return some && line[0] >= '0' && line[0] <= '9' ? strtol(line, NULL, 10) : -1;
}

static void begin_wait(struct waiter *waiter, struct ipcfs_file *file, bool writes)
{
    *waiter = (struct waiter){.file = file, .writes = writes, .result = 12345};
    assert_int_equal(pthread_create(&waiter->pthread, NULL, wait_in_thread, waiter), 0);
    long wanted = writes ? SYS_msgsnd : SYS_msgrcv;
    for (int i = 0; i < 5000; i++) {
        int thread = atomic_load(&waiter->thread);
        if (thread && waits_in(thread) == wanted)
            return;
        usleep(1000);
    }
    fail_msg("the thread does not wait");
}

static void end_wait(struct waiter *waiter, ssize_t expected)
{
    struct timespec deadline;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
    deadline.tv_sec += 5;
    assert_int_equal(pthread_timedjoin_np(waiter->pthread, NULL, &deadline), 0);
    assert_int_equal(waiter->result, expected);
}

static void ignore(int number)
{
    (void)number;
}

static void take_signals(void)
{
    /* Restarting is what the kernel does not do here (signal(7)). */
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void test_wait_for_message(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct waiter waiter;
    begin_wait(&waiter, object.file, false);
    native_send(id_of(&object), 4, "at last");
    end_wait(&waiter, 7);
    assert_string_equal(waiter.text, "at last");
    let_go(&object);
}

static void test_wait_for_type(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_file *file = open_type(&object, 4, O_RDONLY);
    struct waiter waiter;
    begin_wait(&waiter, file, false);
    native_send(id_of(&object), 3, "other");
    native_send(id_of(&object), 4, "mine");
    end_wait(&waiter, 4);
    assert_string_equal(waiter.text, "mine");
    must_receive(object.file, "other");
    kind->close(file);
    let_go(&object);
}

static void test_wait_interrupted(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct waiter waiter;
    take_signals();
    begin_wait(&waiter, object.file, false);
    assert_int_equal(pthread_kill(waiter.pthread, SIGUSR1), 0);
    end_wait(&waiter, -EINTR);
    native_send(id_of(&object), 1, "not taken");
    must_receive(object.file, "not taken");
    let_go(&object);
}

static void test_wait_for_room(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    struct waiter waiter;
    take_signals();
    assert_int_equal(write_qbytes(&ref, "6", 1, NULL), 0);
    assert_int_equal(send_text(object.file, "first"), 5);
    begin_wait(&waiter, object.file, true);
    assert_int_equal(pthread_kill(waiter.pthread, SIGUSR1), 0);
    end_wait(&waiter, -EINTR);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 1); /* nothing was sent */
    begin_wait(&waiter, object.file, true);
    assert_string_equal(native_receive(id_of(&object), 0).text, "first");
    end_wait(&waiter, 6);
    must_receive(object.file, "waited");
    let_go(&object);
}

static void test_removed_while_waiting(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        struct ipcfs_created object = new_queue();
        struct ipcfs_ref ref = key_ref(&object, false);
        struct waiter waiter;
        if (writes) {
            assert_int_equal(write_qbytes(&ref, "3", 1, NULL), 0);
            assert_int_equal(send_text(object.file, "long"), -EMSGSIZE); /* not now, and not ever */
            assert_int_equal(write_qbytes(&ref, "100", 3, NULL), 0);
            char *text = make_text(99);
            assert_int_equal(send_text(object.file, text), 99);
            free(text);
        }
        begin_wait(&waiter, object.file, writes);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
        end_wait(&waiter, -EIDRM);
        let_go(&object);
    }
}

/* A message that is too large for one who waits ends his wait and stays in the queue. */
static void test_too_large_while_waiting(void **state)
{
    (void)state;
    char *text = make_text(20000);
    long msgmnb = set_kernel("msgmnb", 100000);
    struct ipcfs_created object = new_queue();
    long msgmax = set_kernel("msgmax", 100000);
    struct waiter waiter;
    size_t room = kind->message_room(object.file);
    begin_wait(&waiter, object.file, false);
    assert_int_equal(send_text(object.file, text), 20000);
    end_wait(&waiter, -E2BIG);
    assert_true(kind->message_room(object.file) > room);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 1);
    (void)receive_growing(object.file, text, 20000, 0);
    (void)set_kernel("msgmax", msgmax);
    (void)set_kernel("msgmnb", msgmnb);
    free(text);
    let_go(&object);
}

/* ---- poll ---- */

enum { IN = POLLIN | POLLRDNORM, OUT = POLLOUT | POLLWRNORM };

static int polled(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    int events = kind->poll(file, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return events;
}

static void test_poll(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY);
    assert_int_equal(write_qbytes(&ref, "3", 1, NULL), 0);
    assert_true(polled(object.file) == OUT && polled(reader) == 0 && polled(writer) == OUT);
    native_send(id_of(&object), 9, "ab");
    assert_true(polled(object.file) == (IN | OUT) && polled(reader) == IN && polled(writer) == OUT);
    native_send(id_of(&object), 9, "c");
    assert_true(polled(object.file) == IN && polled(writer) == 0);
    must_receive(reader, "ab");
    must_receive(reader, "c");
    for (int i = 0; i < 3; i++) /* so many messages as qbytes, too, fill it */
        native_send(id_of(&object), 1, "");
    assert_true(polled(object.file) == IN && polled(writer) == 0);
    kind->close(reader);
    kind->close(writer);
    let_go(&object);
}

static int polled_type(const struct ipcfs_created *object, int64_t type)
{
    struct ipcfs_file *file = open_type(object, type, O_RDONLY);
    int events = polled(file);
    kind->close(file);
    return events;
}

/* It takes nothing, not even a message without a text, which a msgrcv(2) with too little room would take. */
static void test_poll_of_type(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    char *large = make_text(3000);
    assert_int_equal(send_text(object.file, large), 3000);
    native_send(id_of(&object), 5, "");
    native_send(id_of(&object), 8, "eight");
    assert_true(polled_type(&object, 5) == IN && polled_type(&object, 8) == IN &&
                polled_type(&object, 1) == IN);
    assert_true(polled_type(&object, 7) == 0 && polled_type(&object, LONG_MAX) == 0);
    assert_true(polled_type(&object, -1) == IN && polled_type(&object, INT64_MIN) == IN);
    assert_int_equal(receive_growing(object.file, large, 3000, 0), 1);
    assert_true(polled_type(&object, 1) == 0 && polled_type(&object, -4) == 0);
    assert_true(polled_type(&object, -5) == IN && polled_type(&object, 0) == IN);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 2);
    free(large);
    let_go(&object);
}

/* Behind very many others it is not looked for: better one reader too many than one who never hears of it. */
static void test_poll_behind_many(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    for (int i = 0; i < 100; i++)
        native_send(id_of(&object), 1, "x");
    assert_int_equal(polled_type(&object, 2), 0);
    for (int i = 0; i < 1000; i++)
        native_send(id_of(&object), 1, "x");
    native_send(id_of(&object), 2, "behind");
    assert_int_equal(polled_type(&object, 2), IN);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 1101);
    let_go(&object);
}

/* ---- peek ---- */

static void must_peek(const struct ipcfs_ref *ref, int64_t number, const char *expected)
{
    AUTO_TEXT text = {0};
    assert_int_equal(find_verb("peek")->read(ref, number, &text), 0);
    assert_int_equal(text.length, strlen(expected));
    if (text.length)
        assert_memory_equal(text.data, expected, text.length);
}

static void test_peek(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    char *large = make_text(8192);
    AUTO_TEXT text = {0};
    assert_int_equal(find_verb("peek")->read(&ref, 0, &text), -ENOENT);
    native_send(id_of(&object), 3, "first");
    native_send(id_of(&object), 2, "");
    assert_int_equal(send_text(object.file, large), 8192);
    for (int again = 0; again < 2; again++) {
        must_peek(&ref, 0, "first");
        must_peek(&ref, 1, "");
        must_peek(&ref, 2, large);
    }
    static const int64_t none[] = {3, 1000, INT64_MAX, -1, -2, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        assert_int_equal(find_verb("peek")->read(&ref, none[i], &text), -ENOENT);
    assert_int_equal(text.length, 0);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 3);
    assert_int_equal(native_state(id_of(&object)).msg_rtime, 0);
    must_receive(object.file, "first");
    must_peek(&ref, 0, "");
    free(large);
    let_go(&object);
}

/* ---- purge ---- */

static void test_purge(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY);
    struct ipcfs_file *const files[] = {NULL, object.file, writer};
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = 0};
    char *large = make_text(8192);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        native_send(id_of(&object), 9, "");
        native_send(id_of(&object), 3, "some");
        assert_int_equal(send_text(object.file, large), 8192);
        assert_int_equal(kind->change(&ref, reader, &change), -EINVAL);
        change.size = 1;
        assert_int_equal(kind->change(&ref, files[i], &change), -EINVAL);
        change.size = -1;
        assert_int_equal(kind->change(&ref, files[i], &change), -EINVAL);
        assert_int_equal(native_state(id_of(&object)).msg_qnum, 3);
        change.size = 0;
        assert_int_equal(kind->change(&ref, files[i], &change), 0);
        assert_int_equal(native_state(id_of(&object)).msg_qnum, 0);
        assert_int_equal(kind->change(&ref, files[i], &change), 0);
    }
    free(large);
    kind->close(reader);
    kind->close(writer);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_both_sides),
    TEST(test_access_modes),
    TEST(test_full_queue),
    TEST(test_gone),
    TEST(test_sizes),
    TEST(test_large_message),
    TEST(test_too_little_room),
    TEST(test_send_without_memory),
    TEST(test_types),
    TEST(test_types_that_cannot_be_sent),
    TEST(test_lanes),
    TEST(test_wait_for_message),
    TEST(test_wait_for_type),
    TEST(test_wait_interrupted),
    TEST(test_wait_for_room),
    TEST(test_removed_while_waiting),
    TEST(test_too_large_while_waiting),
    TEST(test_poll),
    TEST(test_poll_of_type),
    TEST(test_poll_behind_many),
    TEST(test_peek),
    TEST(test_purge),
};

const struct suite sysv_msg_data_suite = {
    .name = "messages", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/msg"};
