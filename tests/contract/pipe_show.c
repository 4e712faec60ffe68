/* SPDX-License-Identifier: MIT */
/* What state, capacity and peek tell of a FIFO, to whom, and that nothing changes by it. */
#include "pipe_peers.h"

#include "failing.h"
#include "ipcfs/place.h"
#include "pipe_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct held both_ends[] = {{"a", O_RDONLY | O_NONBLOCK}, {"a", O_WRONLY}, {NULL, 0}};

static long read_capacity(const struct ipcfs_ref *ref)
{
    AUTO_TEXT text = {0};
    int error = read_file(ref, "capacity", &text);
    if (error)
        return error;
    text_bytes(&text, "", 1);
    return text.length > 1 ? strtol(text.data, NULL, 10) : 0;
}

/* peek gives just that. */
static void must_peek(const struct ipcfs_ref *ref, const char *bytes, size_t size)
{
    AUTO_TEXT text = {0};
    int error = read_file(ref, "peek", &text);
    if (error || text.length != size)
        fail_msg("peek: %s, %zu bytes instead of %zu", strerror(-error), text.length, size);
    if (size)
        assert_memory_equal(text.data, bytes, size);
}

static int queued_in(int fd)
{
    int count = -1;
    assert_int_equal(ioctl(fd, FIONREAD, &count), 0);
    return count;
}

/* ---- state ---- */

static void test_nobody(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    struct shown shown = show(&ref);
    assert_string_equal(find_value(kind->fields, shown.values, "name")->string, "a");
    must_be_shown(kind->fields, shown.values, "queued", 0);
    must_be_shown(kind->fields, shown.values, "readers", 0);
    must_be_shown(kind->fields, shown.values, "writers", 0);
    must_be_shown(kind->fields, shown.values, "mode", 0600);
    assert_false(find_value(kind->fields, shown.values, "capacity")->known);
    const struct ipcfs_value *holders = find_value(kind->fields, shown.values, "holder");
    assert_true(holders->known);
    assert_int_equal(holders->table->rows, 0);
    release_shown(&shown);
    must_peek(&ref, "", 0);
    assert_int_equal(read_capacity(&ref), 0);
    assert_int_equal(write_file(&ref, "capacity", "65536", NULL), -ENXIO);
}

static void must_hold(const struct ipcfs_value *holders, size_t row, pid_t pid, int fd, const char *access)
{
    const struct ipcfs_value *cells = ipcfs_table_row(holders->table, row);
    must_be_shown(holders->table->fields, cells, "pid", (unsigned)pid);
    must_be_shown(holders->table->fields, cells, "fd", (unsigned)fd);
    assert_string_equal(find_value(holders->table->fields, cells, "access")->string, access);
}

/* Processes are counted, descriptors are rows, and a mark (O_PATH) is neither. */
static void test_holders(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    (void)make_pipe("b", 0600);
    const struct held readers[] = {
        {"a", O_RDONLY | O_NONBLOCK}, {"b", O_RDWR}, {"a", O_PATH}, {"a", O_RDONLY | O_NONBLOCK}, {NULL, 0}};
    const struct held writers[] = {{"a", O_WRONLY}, {NULL, 0}};
    const struct held both[] = {{"a", O_RDWR}, {NULL, 0}};
    pid_t pids[] = {start_holder(0, readers), start_holder(USER, writers), start_holder(OTHER_USER, both)};
    int fd = open_pipe("a", O_RDWR);
    assert_int_equal(write(fd, "12345", 5), 5);
    struct shown shown = show(&ref);
    must_be_shown(kind->fields, shown.values, "readers", 2);
    must_be_shown(kind->fields, shown.values, "writers", 2);
    must_be_shown(kind->fields, shown.values, "queued", 5);
    must_be_shown(kind->fields, shown.values, "capacity", (unsigned)fcntl(fd, F_GETPIPE_SZ));
    const struct ipcfs_value *holders = find_value(kind->fields, shown.values, "holder");
    assert_int_equal(holders->table->rows, 4);
    must_hold(holders, 0, pids[0], FIRST_HELD, "r");
    must_hold(holders, 1, pids[0], FIRST_HELD + 3, "r");
    must_hold(holders, 2, pids[1], FIRST_HELD, "w");
    must_hold(holders, 3, pids[2], FIRST_HELD, "rw");
    release_shown(&shown);
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
        kill_and_wait(pids[i]);
    assert_int_equal(shown_number_of(&ref, "readers"), 0);
    close(fd);
}

/* Before the mount is there, nothing is taken for its pipe. */
static void test_other_device(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    pid_t pid = start_holder(0, both_ends);
    assert_int_equal(shown_number_of(&ref, "readers"), 1);
    place_set_device(makedev(4, 2));
    assert_int_equal(shown_number_of(&ref, "readers"), 0);
    place_set_device(0);
    assert_int_equal(shown_number_of(&ref, "readers"), 0);
    kill_and_wait(pid);
}

static void test_names(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR | O_EXCL, 0600);
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_ref any = {.name = "a"};
    pid_t pid = start_holder(0, both_ends);
    assert_int_equal(shown_number_of(&by_name, "writers"), 1);
    assert_int_equal(shown_number_of(&by_hold, "writers"), 1);
    assert_int_equal(shown_number_of(&any, "writers"), 1);
    assert_int_equal(kind->rename(0, "a", 0, "b", 0), 0);
    (void)make_pipe("a", 0600);
    assert_int_equal(read_capacity(&by_name), -ESTALE);
    assert_int_equal(shown_number_of(&by_hold, "writers"), 1);
    assert_int_equal(shown_number_of(&any, "writers"), 0);
    assert_int_equal(read_capacity(&any), 0);
    kill_and_wait(pid);
    let_go(&object);
}

/* ---- capacity ---- */

static void must_be_told(const struct ipcfs_ref *ref, const char *line, int error, const char *words)
{
    AUTO_TEXT reason = {0};
    int told = write_file(ref, "capacity", line, &reason);
    text_bytes(&reason, "", 1);
    if (told != error || !strstr(reason.data, words))
        fail_msg("capacity < %s: %s, \"%s\"", line, strerror(-told), reason.data);
}

static void test_capacity(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    pid_t pid = start_holder(0, both_ends);
    int fd = open_pipe("a", O_RDWR);
    assert_int_equal(read_capacity(&ref), fcntl(fd, F_GETPIPE_SZ));
    assert_int_equal(write_file(&ref, "capacity", "200000", NULL), 0);
    assert_int_equal(fcntl(fd, F_GETPIPE_SZ), 262144);
    assert_int_equal(read_capacity(&ref), 262144);
    assert_int_equal(shown_number_of(&ref, "capacity"), 262144);
    assert_int_equal(write_file(&ref, "capacity", "0", NULL), 0);
    assert_int_equal(read_capacity(&ref), getpagesize());
    for (int i = 0; i < 3; i++)
        assert_int_equal(write_file(&ref, "capacity", "65536", NULL), 0);
    char block[20000] = {0};
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
    must_be_told(&ref, "4096", -EBUSY, "more waits");
    must_be_told(&ref, "2147483649", -EINVAL, "more than");
    must_be_told(&ref, "4294971392", -EINVAL, "more than"); /* whose low 32 bits are 4096 */
    must_be_told(&ref, "", -EINVAL, "a number");
    must_be_told(&ref, "4k", -EINVAL, "a number");
    must_be_told(&ref, "-1", -EINVAL, "a number");
    assert_int_equal(read_capacity(&ref), 65536);
    kill_and_wait(pid);
    must_be_told(&ref, "4096", -ENXIO, "nobody");
    close(fd);
}

static long setting(const char *name)
{
    char path[64];
    long value = -1;
    (void)snprintf(path, sizeof path, "/proc/sys/fs/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &value), 1); // NOLINT(cert-err34-c): the kernel writes a number
    (void)fclose(file);
    return value;
}

/* Makes the pipe of "a" as a user of his own, so that nobody else's pipes count with it. */
static void hold_as_lonely_user(const void *data)
{
    (void)data;
    char path[64];
    int place = open(real_path("a"), O_PATH);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", place);
    if (take_identity(LONELY_USER) || open(path, O_RDWR) < 0)
        _exit(97);
    peer_ready();
    (void)pause();
}

/* His own rights count, not the daemon's. */
static void test_capacity_as_user(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0666);
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0622};
    pid_t pid = start_peer(0, hold_as_lonely_user, NULL);
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    char most[32];
    char more[32];
    AUTO_TEXT reason = {0};
    (void)snprintf(most, sizeof most, "%ld", setting("pipe-max-size"));
    (void)snprintf(more, sizeof more, "%ld", setting("pipe-max-size") + 1);
    act_as(USER);
    int set = write_file(&ref, "capacity", most, NULL);
    int refused = write_file(&ref, "capacity", more, &reason);
    int shrunk = write_file(&ref, "capacity", "4096", NULL);
    act_as_root();
    text_bytes(&reason, "", 1);
    assert_int_equal(set, 0);
    assert_int_equal(refused, -EPERM);
    assert_non_null(strstr(reason.data, "pipe-max-size"));
    assert_int_equal(shrunk, 0);
    assert_int_equal(read_capacity(&ref), 4096);
    kill_and_wait(pid);
}

/* ---- peek ---- */

static void test_peek(void **state)
{
    (void)state;
    static const char text[] = "one\0two\nthree";
    char back[sizeof text];
    struct ipcfs_ref ref = make_pipe("a", 0600);
    pid_t pid = start_holder(0, both_ends);
    int fd = open_pipe("a", O_RDWR);
    must_peek(&ref, "", 0);
    assert_int_equal(write(fd, text, 4), 4);
    must_peek(&ref, text, 4);
    assert_int_equal(write(fd, text + 4, sizeof text - 4),
                     sizeof text - 4); /* joins what waits in the page */
    for (int i = 0; i < 3; i++)
        must_peek(&ref, text, sizeof text);
    assert_int_equal(read(fd, back, 6), 6);
    must_peek(&ref, text + 6, sizeof text - 6);
    assert_int_equal(queued_in(fd), sizeof text - 6);
    assert_int_equal(read(fd, back + 6, sizeof text - 6), sizeof text - 6);
    assert_memory_equal(back, text, sizeof text);
    must_peek(&ref, "", 0);
    close(fd);
    kill_and_wait(pid);
}

/* `size` bytes to tell apart; owned. */
static char *make_bytes(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    return bytes;
}

/* As full as it can be. */
static void check_full(const char *capacity, size_t piece)
{
    struct ipcfs_ref ref = make_pipe("a", 0600);
    pid_t pid = start_holder(0, both_ends);
    int fd = open_pipe("a", O_RDWR | O_NONBLOCK);
    assert_int_equal(write_file(&ref, "capacity", capacity, NULL), 0);
    size_t room = (size_t)fcntl(fd, F_GETPIPE_SZ);
    size_t size = 0;
    char *bytes = make_bytes(room);
    while (size < room && write(fd, bytes + size, piece) == (ssize_t)piece)
        size += piece;
    assert_int_equal(size, room);
    must_peek(&ref, bytes, size);
    assert_int_equal(queued_in(fd), size);
    close(fd);
    kill_and_wait(pid);
    free(bytes);
    remove_object("a");
}

static void test_peek_full(void **state)
{
    (void)state;
    check_full("65536", 4096);
    check_full("1048576", 4096);
    check_full("65536", 64);
    check_full("4096", 1);
}

/* As many pieces as there is room for, none of which fills a page (pipe(2), O_DIRECT). */
static void test_packets(void **state)
{
    (void)state;
    enum { PIECE = 100, SLOTS = 256 };
    int ends[2];
    size_t size = 0;
    char *bytes = make_bytes(PIECE * SLOTS);
    assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
    assert_true(fcntl(ends[0], F_SETPIPE_SZ, SLOTS * getpagesize()) > 0);
    while (size < (size_t)PIECE * SLOTS && write(ends[1], bytes + size, PIECE) == PIECE)
        size += PIECE;
    struct pipe_question question = {0};
    assert_int_equal(pipe_copy(ends[0], &question), 0);
    assert_int_equal(question.content.length, PIECE * SLOTS);
    assert_memory_equal(question.content.data, bytes, PIECE * SLOTS);
    assert_int_equal(pipe_look(ends[1], &question), 0);
    assert_int_equal(question.queued, PIECE * SLOTS);
    text_reset(&question.content);
    close(ends[0]);
    close(ends[1]);
    free(bytes);
}

/* tee(2) wants a descriptor that reads, but whether there is something can be told. */
static void test_peek_without_reader(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    int fd = open_pipe("a", O_RDWR);
    const struct held writer[] = {{"a", O_WRONLY}, {NULL, 0}};
    pid_t pid = start_holder(0, writer);
    must_peek(&ref, "", 0);
    assert_int_equal(write(fd, "x", 1), 1);
    AUTO_TEXT text = {0};
    assert_int_equal(read_file(&ref, "peek", &text), -ENXIO);
    assert_int_equal(text.length, 0);
    assert_int_equal(shown_number_of(&ref, "queued"), 1);
    pid_t both = start_holder(0, both_ends);
    must_peek(&ref, "x", 1);
    kill_and_wait(both);
    kill_and_wait(pid);
    close(fd);
}

/* ---- rights ---- */

struct answers {
    long readers, queued, capacity, peek, set;
};

static struct answers answers_to(uid_t uid, const struct ipcfs_ref *ref)
{
    AUTO_TEXT text = {0};
    act_as(uid);
    struct answers answers = {
        .readers = shown_number_of(ref, "readers"),
        .queued = shown_number_of(ref, "queued"),
        .capacity = read_capacity(ref),
        .peek = read_file(ref, "peek", &text),
        .set = write_file(ref, "capacity", "65536", NULL),
    };
    act_as_root();
    return answers;
}

static void check_answers(const struct answers *answers, bool may_read, bool may_write)
{
    bool may = may_read || may_write;
    assert_int_equal(answers->readers, may ? 1 : -1);
    assert_int_equal(answers->queued, may ? 4 : -1);
    assert_int_equal(answers->capacity, may ? 65536 : -EACCES);
    assert_int_equal(answers->peek, may_read ? 0 : -EACCES);
    assert_int_equal(answers->set, may_write ? 0 : -EACCES);
}

/* Whoever has it open: the node's permissions decide. */
static void test_rights(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR | O_EXCL, 0600);
    const struct ipcfs_ref refs[] = {ref_by_name(&object.found, "a"), ref_by_hold(&object, "a")};
    pid_t pid = start_holder(0, both_ends);
    int fd = open_pipe("a", O_RDWR);
    assert_int_equal(write(fd, "four", 4), 4);
    for (mode_t bits = 0; bits <= 6; bits += 2) {
        struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = bits};
        assert_int_equal(kind->change(&refs[0], NULL, &change), 0);
        for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
            struct answers answers = answers_to(USER, &refs[i]);
            check_answers(&answers, bits & 4, bits & 2);
        }
    }
    close(fd);
    kill_and_wait(pid);
    let_go(&object);
}

static void test_attributes_are_everybodys(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0);
    act_as(USER);
    struct shown shown = show(&ref);
    act_as_root();
    must_be_shown(kind->fields, shown.values, "mode", 0);
    must_be_shown(kind->fields, shown.values, "uid", 0);
    assert_false(find_value(kind->fields, shown.values, "holder")->known);
    release_shown(&shown);
}

/* ---- nothing is disturbed ---- */

static void look_at_all(const struct ipcfs_ref *ref)
{
    AUTO_TEXT text = {0};
    (void)shown_number_of(ref, "readers");
    (void)read_file(ref, "peek", &text);
    (void)read_capacity(ref);
    (void)write_file(ref, "capacity", "65536", NULL);
    (void)survey_for("a", 0);
}

/* Opens "a" for writing or reading, which waits. */
static void wait_in_open(const void *flags)
{
    peer_ready();
    _exit(open(real_path("a"), *(const int *)flags) >= 0 ? 0 : 1);
}

static void test_nobody_is_let_in(void **state)
{
    (void)state;
    static const int flags[] = {O_WRONLY, O_RDONLY};
    static const int others[] = {O_RDONLY, O_WRONLY};
    struct ipcfs_ref ref = make_pipe("a", 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        pid_t pid = start_peer(0, wait_in_open, &flags[i]);
        let_peer_run(pid);
        for (int j = 0; j < 50; j++) {
            look_at_all(&ref);
            (void)usleep(1000);
        }
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        int fd = open_pipe("a", others[i]);
        assert_int_equal(end_of(pid), 0);
        close(fd);
    }
}

/* The last writer ends: the reader is told, also while it is looked at. */
static void test_ends_are_not_kept(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    int reader = open_pipe("a", O_RDONLY | O_NONBLOCK);
    const struct held writer[] = {{"a", O_WRONLY}, {NULL, 0}};
    char byte = 0;
    for (int i = 0; i < 30; i++) {
        pid_t pid = start_holder(0, writer);
        assert_int_equal(read(reader, &byte, 1), -1);
        look_at_all(&ref);
        kill_and_wait(pid);
        assert_int_equal(read(reader, &byte, 1), 0);
        look_at_all(&ref);
    }
    close(reader);
}

/* ---- memory ---- */

static struct ipcfs_ref subject;

static int show_subject(void)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->render(&subject, values);
    ipcfs_values_release(kind->fields, values);
    return error;
}

static int read_subject(void)
{
    AUTO_TEXT text = {0};
    int error = read_file(&subject, "capacity", &text);
    return error ? error : read_file(&subject, "peek", &text);
}

static int set_subject(void)
{
    AUTO_TEXT reason = {0};
    int error = write_file(&subject, "capacity", "65536", &reason);
    return error ? error : text_error(&reason);
}

static int take_row(void *data, const struct ipcfs_value *values)
{
    (void)values;
    ++*(int *)data;
    return 0;
}

static int survey_all(void)
{
    int rows = 0;
    int error = kind->survey(take_row, &rows);
    assert_true(error || rows >= 2);
    return error;
}

/* Every allocation fails once, is told, and leaves nothing. */
static void check_allocations(int (*operation)(void), unsigned least)
{
    unsigned number = 0;
    int error = -ENOMEM;
    for (; error; number++) {
        long before = failing_live();
        failing_arm(number + 1);
        error = operation();
        bool failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        assert_int_equal(failing_live(), before);
    }
    assert_true(number > least);
}

static int copy_directly(void)
{
    static int ends[2] = {-1, -1};
    char block[3000] = "";
    if (ends[0] < 0) {
        assert_int_equal(pipe(ends), 0);
        for (int i = 0; i < 10; i++)
            assert_int_equal(write(ends[1], block, sizeof block), sizeof block);
    }
    struct pipe_question question = {0};
    int error = pipe_copy(ends[0], &question);
    assert_true(error || question.content.length == 10 * sizeof block);
    text_reset(&question.content);
    if (error)
        return error;
    close(ends[0]);
    close(ends[1]);
    ends[0] = -1;
    return 0;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    subject = make_pipe("a", 0600);
    pid_t pid = start_holder(0, both_ends);
    int fd = open_pipe("a", O_RDWR);
    assert_int_equal(write(fd, "x", 1), 1);
    check_allocations(show_subject, 3);
    check_allocations(read_subject, 4);
    check_allocations(set_subject, 2);
    check_allocations(survey_all, 6);
    check_allocations(copy_directly, 2);
    close(fd);
    kill_and_wait(pid);
}

static const struct CMUnitTest tests[] = {
    PIPE_TEST(test_nobody),
    PIPE_TEST(test_holders),
    PIPE_TEST(test_other_device),
    PIPE_TEST(test_names),
    PIPE_TEST(test_capacity),
    PIPE_TEST(test_capacity_as_user),
    PIPE_TEST(test_peek),
    PIPE_TEST(test_peek_full),
    PIPE_TEST(test_packets),
    PIPE_TEST(test_peek_without_reader),
    PIPE_TEST(test_rights),
    PIPE_TEST(test_attributes_are_everybodys),
    PIPE_TEST(test_nobody_is_let_in),
    PIPE_TEST(test_ends_are_not_kept),
    PIPE_TEST(test_out_of_memory),
};

const struct suite pipe_show_suite = {
    .name = "what is shown", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
