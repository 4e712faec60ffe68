/* SPDX-License-Identifier: MIT */
/* What is told of the descriptors of a process, beside what the peer was told by stat(2). */
#include "inspect_peers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_READER, PIPE_WRITER, SOCKET, MARK, NULL_WRITER, MEMFD, UNLINKED, QUEUE };

static void open_things(const void *data)
{
    (void)data;
    int ends[2];
    (void)close_range(3, ~0U, 0);
    if (pipe(ends))
        _exit(97);
    told->fds[PIPE_READER] = ends[0];
    told->fds[PIPE_WRITER] = ends[1];
    told->fds[SOCKET] = socket(AF_UNIX, SOCK_DGRAM, 0);
    told->fds[MARK] = open("/dev/shm", O_PATH);
    told->fds[NULL_WRITER] = open("/dev/null", O_WRONLY);
    told->fds[MEMFD] = memfd_create("na me", 0);
    told->fds[UNLINKED] = open(unlinked, O_RDWR | O_CREAT, 0600);
    told->fds[QUEUE] = mq_open("/inspected", O_RDWR | O_CREAT, 0600, NULL);
    (void)unlink(unlinked);
    (void)mq_unlink("/inspected");
    for (size_t i = 0; i < ARRAY_LENGTH(told->fds); i++)
        if (fstat(told->fds[i], &told->stats[i]) < 0)
            _exit(97);
    peer_ready();
}

static void must_be_descriptor(const struct process *process, int which, const char *access,
                               const char *target)
{
    const struct process_descriptor *found = descriptor_of(process, told->fds[which]);
    const struct stat *stat = &told->stats[which];
    bool has_path = target[0] == '/';
    assert_non_null(found);
    assert_int_equal(found->reads, strchr(access, 'r') != NULL);
    assert_int_equal(found->writes, strchr(access, 'w') != NULL);
    assert_string_equal(found->target, target);
    assert_int_equal(found->device, has_path ? stat->st_dev : 0);
    assert_int_equal(found->ino, has_path ? stat->st_ino : 0);
    assert_int_equal(found->type, has_path ? stat->st_mode & S_IFMT : 0);
}

static const char *numbered(const char *kind, int which)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "%s:[%lu]", kind, (unsigned long)told->stats[which].st_ino);
    return text;
}

static void test_descriptors(void **state)
{
    (void)state;
    char deleted[128];
    (void)snprintf(deleted, sizeof deleted, "%s (deleted)", unlinked);
    pid_t pid = start_peer(0, open_things, NULL);
    struct process process = look_at(pid, PROCESS_DESCRIPTORS);
    assert_true(process.readable);
    assert_int_equal(process.mapping_count + process.call_count, 0);
    assert_true(process.descriptor_count >= ARRAY_LENGTH(told->fds));
    must_be_descriptor(&process, PIPE_READER, "r", numbered("pipe", PIPE_READER));
    must_be_descriptor(&process, PIPE_WRITER, "w", numbered("pipe", PIPE_WRITER));
    must_be_descriptor(&process, SOCKET, "rw", numbered("socket", SOCKET));
    must_be_descriptor(&process, MARK, "", "/dev/shm");
    must_be_descriptor(&process, NULL_WRITER, "w", "/dev/null");
    must_be_descriptor(&process, MEMFD, "rw", "/memfd:na me (deleted)");
    must_be_descriptor(&process, UNLINKED, "rw", deleted);
    must_be_descriptor(&process, QUEUE, "rw", "/inspected (deleted)");
    process_free(&process);
    kill_and_wait(pid);
}

static void test_numbers_of_targets(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        long number; /* −1: none */
    } cases[] = {{"pipe:[0]", 0},   {"pipe:[4294967299]", 4294967299},
                 {"pipe:[12", -1},  {"pipe:[]", -1},
                 {"pipe:12", -1},   {"/pipe:[12]", -1},
                 {"pipe:[1]2", -1}, {"pipes:[12]", -1},
                 {"pipe:[-1]", -1}, {"socket:[12]", -1},
                 {"", -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct process_descriptor descriptor = {.target = cases[i].target};
        ino_t number = 77;
        assert_int_equal(process_descriptor_number(&descriptor, "pipe", &number), cases[i].number >= 0);
        assert_int_equal(number, cases[i].number >= 0 ? cases[i].number : 77);
    }
}

/* A path longer than the kernel tells. */
static void hold_deep_file(const void *data)
{
    enum { DEPTH = 20 };
    (void)data;
    char name[NAME_MAX + 1] = {0};
    memset(name, 'd', NAME_MAX);
    if (chdir("/dev/shm"))
        _exit(97);
    for (int i = 0; i < DEPTH; i++)
        if (mkdir(name, 0700) || chdir(name))
            _exit(97);
    told->fds[0] = mkfifo("fifo", 0600) ? -1 : open("fifo", O_RDWR);
    if (fstat(told->fds[0], &told->stats[0]))
        _exit(97);
    peer_ready();
    (void)unlink("fifo");
    for (int i = 0; i < DEPTH; i++)
        if (chdir("..") || rmdir(name))
            _exit(97);
}

static void test_too_long_a_path(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = start_peer(0, hold_deep_file, NULL);
    struct process process = look_at(pid, PROCESS_DESCRIPTORS);
    let_peer_run(pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    const struct process_descriptor *fifo = descriptor_of(&process, told->fds[0]);
    assert_non_null(fifo);
    assert_string_equal(fifo->target, "");
    assert_true(S_ISFIFO(fifo->type) && fifo->reads && fifo->writes);
    assert_int_equal(fifo->ino, told->stats[0].st_ino);
    process_free(&process);
}

/* The same without what costs more. */
static void test_links(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, open_things, NULL);
    struct process process = look_at(pid, PROCESS_LINKS | PROCESS_UNNAMED);
    assert_true(process.readable);
    assert_int_equal(process.start, 0);
    assert_string_equal(process.command, "");
    const struct process_descriptor *reader = descriptor_of(&process, told->fds[PIPE_READER]);
    const struct process_descriptor *memfd = descriptor_of(&process, told->fds[MEMFD]);
    assert_non_null(reader);
    assert_non_null(memfd);
    assert_string_equal(reader->target, numbered("pipe", PIPE_READER));
    assert_string_equal(memfd->target, "/memfd:na me (deleted)");
    assert_false(reader->reads || reader->writes || memfd->ino || memfd->type);
    process_free(&process);
    kill_and_wait(pid);
}

const struct CMUnitTest inspect_descriptors_tests[] = {
    TOLD_TEST(test_descriptors),
    TOLD_TEST(test_links),
    TOLD_TEST(test_numbers_of_targets),
    TOLD_TEST(test_too_long_a_path),
};
const size_t inspect_descriptors_count = ARRAY_LENGTH(inspect_descriptors_tests);
