/* SPDX-License-Identifier: MIT */
/* What processes have open, mapped and attached, natively and through the mount; and what only looks like it. */
#include "inspect_join_subject.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void must(bool done)
{
    if (!done)
        _exit(97);
}

static void *map(int fd, int protection, int flags)
{
    void *memory = mmap(NULL, PAGE, protection, flags, fd, 0);
    must(memory != MAP_FAILED);
    return memory;
}

/* ---- shared memory ---- */

static void use_shm(void)
{
    int fd = shm_open("/plain", O_RDWR | O_CREAT, 0600);
    int reader = shm_open("/plain", O_RDONLY, 0);
    must(ftruncate(fd, PAGE) == 0 && dup2(fd, 100) == 100 && dup2(reader, 101) == 101);
    (void)map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    close(fd);
    close(reader);
    ready();
}

static void test_shm(void **state)
{
    (void)state;
    pid_t pid = start_child(use_shm);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    const struct inspected_object *object = object_named("shm", "plain");
    assert_false(object->removed);
    assert_int_equal(object->number, ino_of("/dev/shm/plain"));
    assert_int_equal(count_uses(object, pid, USE_DESCRIPTOR), 2);
    assert_int_equal(object->user_count, 3);
    const struct inspected_use *first = &seen->uses[object->users[0]];
    const struct inspected_use *second = &seen->uses[object->users[1]];
    assert_true(first->fd == 100 && first->reads && first->writes);
    assert_true(second->fd == 101 && second->reads && !second->writes);
    const struct inspected_use *mapping = use_of(object, pid, USE_MAPPING);
    assert_true(mapping->reads && mapping->writes && mapping->fd == -1 && mapping->member == -1);
    assert_int_equal(mapping->end - mapping->start, PAGE);
    assert_int_equal(shm_unlink("/plain"), 0);
    (void)look(INSPECT_HOLDERS);
    object = object_named("shm", "plain");
    assert_true(object->removed);
    assert_int_equal(object->user_count, 3);
}

/* Another file in its place is another object; the first is told by the name that it had. */
static void test_name_used_again(void **state)
{
    (void)state;
    pid_t pid = start_child(use_shm);
    uint64_t number = ino_of("/dev/shm/plain");
    assert_int_equal(shm_unlink("/plain"), 0);
    pid_t other = start_child(use_shm);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    const struct inspected_object *old = inspection_object(seen, kind_of("shm"), number);
    const struct inspected_object *later = inspection_object(seen, kind_of("shm"), ino_of("/dev/shm/plain"));
    assert_non_null(old);
    assert_non_null(later);
    assert_true(old->removed && !later->removed);
    assert_int_equal(count_uses(old, pid, USE_DESCRIPTOR), 2);
    assert_int_equal(count_uses(later, other, USE_DESCRIPTOR), 2);
    assert_int_equal(count_uses(later, pid, USE_DESCRIPTOR), 0);
    assert_int_equal(shm_unlink("/plain"), 0);
}

/* Listed are the names in an order that the kernel chooses: there is one before and one behind that by which it is opened. */
static void use_renamed(void)
{
    int made = shm_open("/first", O_RDONLY | O_CREAT, 0600);
    must(made >= 0 && link("/dev/shm/first", "/dev/shm/before") == 0);
    int fd = shm_open("/before", O_RDONLY, 0);
    (void)map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    must(link("/dev/shm/before", "/dev/shm/after") == 0);
    must(close(made) == 0 && close(fd) == 0);
    ready();
}

/* Of several names it is the one that it was opened by, and when that is gone another. Who maps it for himself alone writes
 * nothing into it. */
static void test_names(void **state)
{
    (void)state;
    pid_t pid = start_child(use_renamed);
    (void)look(INSPECT_HOLDERS);
    const struct inspected_use *use = use_of(object_named("shm", "before"), pid, USE_MAPPING);
    assert_true(use->reads && !use->writes);
    assert_null(find_object("shm", "after"));
    assert_null(find_object("shm", "first"));
    assert_int_equal(shm_unlink("/first"), 0);
    assert_int_equal(shm_unlink("/before"), 0);
    (void)look(INSPECT_HOLDERS);
    assert_false(object_named("shm", "after")->removed);
    assert_int_equal(shm_unlink("/after"), 0);
}

/* Page 0, a gap, page 1; and behind it page 1 once more. */
static void use_pieces(void)
{
    int fd = shm_open("/pieces", O_RDWR | O_CREAT, 0600);
    char *place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0 && place != MAP_FAILED);
    must(mmap(place, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == place);
    must(mmap(place + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, PAGE) == place + 2 * PAGE);
    must(mmap(place + 3 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, PAGE) == place + 3 * PAGE);
    close(fd);
    ready();
}

static void test_pieces(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {0, PAGE, PAGE};
    pid_t pid = start_child(use_pieces);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    const struct inspected_object *object = object_named("shm", "pieces");
    assert_int_equal(count_uses(object, pid, USE_MAPPING), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct inspected_use *use = &seen->uses[object->users[i]];
        assert_int_equal(use->offset, offsets[i]);
        assert_int_equal(use->end - use->start, PAGE);
    }
    assert_int_equal(shm_unlink("/pieces"), 0);
}

/* ---- semaphores and queues ---- */

static void use_sem_and_queue(void)
{
    must(sem_open("/turn", O_CREAT, 0600, 1) != SEM_FAILED);
    int fd = mq_open("/jobs", O_RDONLY | O_CREAT, 0600, NULL);
    must(fd >= 0 && dup2(fd, 100) == 100);
    close(fd);
    ready();
}

static void test_sem_and_queue(void **state)
{
    (void)state;
    pid_t pid = start_child(use_sem_and_queue);
    (void)look(INSPECT_HOLDERS);
    const struct inspected_object *sem = object_named("sem", "turn");
    const struct inspected_object *queue = object_named("mq", "jobs");
    assert_int_equal(sem->number, ino_of("/dev/shm/sem.turn"));
    assert_true(use_of(sem, pid, USE_MAPPING)->writes);
    const struct inspected_use *use = use_of(queue, pid, USE_DESCRIPTOR);
    assert_true(use->fd == 100 && use->reads && !use->writes);
    assert_false(sem->removed || queue->removed);
    assert_int_equal(sem_unlink("/turn"), 0);
    assert_int_equal(mq_unlink("/jobs"), 0);
    (void)look(INSPECT_HOLDERS);
    assert_true(object_named("mq", "jobs")->removed);
}

static void use_opened_sem(void)
{
    must(sem_open("/turn", 0) != SEM_FAILED);
    ready();
}

static void test_removed_sem(void **state)
{
    (void)state;
    sem_t *sem = sem_open("/turn", O_CREAT, 0600, 1);
    assert_true(sem != SEM_FAILED && sem_close(sem) == 0);
    pid_t pid = start_child(use_opened_sem);
    assert_int_equal(sem_unlink("/turn"), 0);
    (void)look(INSPECT_HOLDERS);
    assert_true(object_named("sem", "turn")->removed);
    (void)use_of(object_named("sem", "turn"), pid, USE_MAPPING);
}

/* ---- System V ---- */

static int segment;

/* Two attachments, one of them in three pieces. */
static void attach(void)
{
    char *first = shmat(segment, NULL, 0);
    must(first != (void *)-1 && mprotect(first + PAGE, PAGE, PROT_READ) == 0);
    must(shmat(segment, NULL, SHM_RDONLY) != (void *)-1);
    ready();
}

static void attach_elsewhere(void)
{
    must(unshare(CLONE_NEWIPC) == 0);
    segment = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
    must(shmat(segment, NULL, 0) != (void *)-1);
    ready();
}

static void test_segment(void **state)
{
    (void)state;
    char name[16];
    segment = shmget(0x2a, 4 * PAGE, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(segment >= 0);
    pid_t pid = start_child(attach);
    pid_t elsewhere = start_child(attach_elsewhere);
    assert_int_equal(shmctl(segment, IPC_RMID, NULL), 0);
    (void)snprintf(name, sizeof name, "%d", segment);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    const struct inspected_object *object = object_named("sysv/shm", name);
    assert_false(object->removed);
    assert_int_equal(object->user_count, 2);
    assert_int_equal(count_uses(object, pid, USE_ATTACHMENT), 2);
    for (size_t i = 0; i < 2; i++) {
        const struct inspected_use *use = &seen->uses[object->users[i]];
        assert_int_equal(use->end - use->start, 4 * PAGE);
        assert_int_equal(use->offset, 0);
    }
    const struct inspected_object *other = object_named("shared", "SYSV00000000");
    (void)use_of(other, elsewhere, USE_MAPPING);
}

/* ---- without a name ---- */

static int ends[2];

static void use_nameless(void)
{
    int memory = memfd_create("SYSV0000002a", 0);
    must(memory >= 0 && ftruncate(memory, PAGE) == 0 && dup2(memory, 100) == 100);
    close(memory);
    (void)map(100, PROT_READ, MAP_SHARED);
    ready();
}

static void test_nameless(void **state)
{
    (void)state;
    char name[32];
    assert_int_equal(pipe(ends), 0);
    void *memory = map(-1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    pid_t pids[] = {start_child(use_nameless), start_child(ready)};
    (void)look(INSPECT_HOLDERS);
    (void)snprintf(name, sizeof name, "pipe:[%lu]", (unsigned long)ino_of_fd(ends[0]));
    const struct inspected_object *pipe = object_named("pipe", name);
    assert_int_equal(pipe->number, ino_of_fd(ends[0]));
    assert_int_equal(pipe->user_count, 4);
    const struct inspected_object *memfd = object_named("memfd", "memfd:SYSV0000002a");
    assert_int_equal(use_of(memfd, pids[0], USE_DESCRIPTOR)->fd, 100);
    assert_false(use_of(memfd, pids[0], USE_MAPPING)->writes);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    size_t shared = 0;
    for (size_t i = 0; i < seen->object_count; i++)
        shared += seen->objects[i].type == INSPECTED_SHARED && seen->objects[i].user_count == 2;
    assert_int_equal(shared, 1);
    assert_int_equal(munmap(memory, PAGE), 0);
    close(ends[0]);
    close(ends[1]);
}

static const char *const deceptive[] = {"/mnt/SYSV0000002a", "/mnt/memfd:x (deleted)", "/mnt/sem.x",
                                        "/dev/shm/directory/sem.x", "/dev/shm/.ipcfs.own"};

/* Regular files of such names, mapped; a directory and a FIFO in /dev/shm. */
static void use_deceptive(void)
{
    must(mkdir("/dev/shm/directory", 0700) == 0 && mkfifo("/dev/shm/fifo", 0600) == 0);
    for (size_t i = 0; i < sizeof deceptive / sizeof *deceptive; i++) {
        int fd = open(deceptive[i], O_RDWR | O_CREAT, 0600);
        must(fd >= 0 && ftruncate(fd, PAGE) == 0);
        (void)map(fd, PROT_READ, MAP_SHARED);
        must(i % 2 || unlink(deceptive[i]) == 0);
    }
    must(open("/dev/shm", O_RDONLY | O_DIRECTORY) >= 0 && open("/dev/shm/fifo", O_RDWR) >= 0);
    ready();
}

static void test_deceptive(void **state)
{
    (void)state;
    pid_t pid = start_child(use_deceptive);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    for (size_t i = 0; i < seen->use_count; i++) {
        const struct inspected_object *object = &seen->objects[seen->uses[i].object];
        if (seen->processes[seen->uses[i].process].pid == pid && object->kind)
            fail_msg("%s %s", object->kind->kind, object->name);
    }
    const struct inspected_use *fifo = use_of(object_named("pipe", "/dev/shm/fifo"), pid, USE_DESCRIPTOR);
    assert_true(fifo->reads && fifo->writes);
    assert_int_equal(unlink("/dev/shm/fifo"), 0);
    for (size_t i = 1; i < sizeof deceptive / sizeof *deceptive; i += 2)
        assert_int_equal(unlink(deceptive[i]), 0);
    assert_int_equal(rmdir("/dev/shm/directory"), 0);
}

/* ---- files of equal numbers ---- */

/* A tmpfs numbers its files one after another. */
static void make_fifo_numbered(const char *path, uint64_t number)
{
    enum { TRIES = 100000 };
    for (int i = 0; i < TRIES; i++) {
        assert_int_equal(mkfifo(path, 0600), 0);
        if (ino_of(path) == number)
            return;
        assert_int_equal(unlink(path), 0);
    }
    fail_msg("no inode %llu", (unsigned long long)number);
}

static void use_fifos(void)
{
    must(open("/dev/shm/fifo", O_RDWR) >= 0 && open("/mnt/fifo", O_RDWR) >= 0);
    ready();
}

static void test_equal_numbers(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("/dev/shm/fifo", 0600), 0);
    assert_int_equal(mkfifo("/mnt/fifo", 0600), 0);
    uint64_t here = ino_of("/dev/shm/fifo");
    uint64_t there = ino_of("/mnt/fifo");
    const char *lower = here < there ? "/dev/shm/fifo" : "/mnt/fifo";
    if (here != there) {
        assert_int_equal(unlink(lower), 0);
        make_fifo_numbered(lower, here < there ? there : here);
    }
    pid_t pid = start_child(use_fifos);
    (void)look(INSPECT_HOLDERS);
    const struct inspected_object *one = object_named("pipe", "/dev/shm/fifo");
    const struct inspected_object *other = object_named("pipe", "/mnt/fifo");
    assert_int_equal(one->number, other->number);
    (void)use_of(one, pid, USE_DESCRIPTOR);
    (void)use_of(other, pid, USE_DESCRIPTOR);
    assert_int_equal(unlink("/dev/shm/fifo"), 0);
    assert_int_equal(unlink("/mnt/fifo"), 0);
}

/* ---- through the mount ---- */

static void use_mount(void)
{
    static char fifo[512];
    (void)snprintf(fifo, sizeof fifo, "%s", path_in("pipe", "p"));
    must(open(fifo, O_RDONLY | O_NONBLOCK) >= 0 && open(fifo, O_PATH) >= 0 &&
         open(path_in("sock", "hold"), O_RDWR) >= 0 && open(path_in("sock", "other"), O_RDWR) >= 0);
    ready();
}

static void make_file(const char *path, mode_t type)
{
    assert_int_equal(mknod(path, type | 0600, 0), 0);
}

static void test_mount(void **state)
{
    (void)state;
    make_file(path_in("pipe", "p"), S_IFIFO);
    make_file(path_in("sock", "hold"), S_IFREG);
    make_file(path_in("sock", "other"), S_IFREG);
    add_node(path_in("pipe", "p"), "pipe", NULL, ino_of(path_in("pipe", "p")));
    add_node(path_in("sock", "hold"), "sem", "hold", 4711);
    pid_t pid = start_child(use_mount);
    const struct inspection *seen = look(INSPECT_HOLDERS);
    const struct inspected_object *pipe = object_named("pipe", "p");
    assert_int_equal(pipe->type, INSPECTED_OBJECT);
    assert_int_equal(pipe->user_count, 2);
    assert_true(seen->uses[pipe->users[0]].reads && !seen->uses[pipe->users[1]].reads);
    const struct inspected_object *sem = inspection_object(seen, kind_of("sem"), 4711);
    assert_non_null(sem);
    assert_true(sem->removed);
    assert_string_equal(use_of(sem, pid, USE_DESCRIPTOR)->part, "hold");
    assert_int_equal(unlink(path_in("pipe", "p")), 0);
    (void)look(INSPECT_HOLDERS);
    assert_true(object_named("pipe", "p")->removed);
    assert_int_equal(unlink(path_in("sock", "hold")), 0);
    assert_int_equal(unlink(path_in("sock", "other")), 0);
}

static void test_only_one(void **state)
{
    (void)state;
    struct inspection *one = NULL;
    pid_t pid = start_child(use_sem_and_queue);
    (void)start_child(use_opened_sem);
    assert_int_equal(inspection_make(&host, INSPECT_HOLDERS, pid, &one), 0);
    check_order(one);
    assert_int_equal(one->process_count, 1);
    assert_int_equal(one->processes[0].pid, pid);
    assert_non_null(inspection_object(one, kind_of("sem"), ino_of("/dev/shm/sem.turn")));
    inspection_free(one);
    assert_int_equal(sem_unlink("/turn"), 0);
    assert_int_equal(mq_unlink("/jobs"), 0);
}

const struct CMUnitTest join_use_tests[] = {
    JOIN_TEST(test_shm),      JOIN_TEST(test_name_used_again), JOIN_TEST(test_names),
    JOIN_TEST(test_segment),  JOIN_TEST(test_sem_and_queue),   JOIN_TEST(test_removed_sem),
    JOIN_TEST(test_mount),    JOIN_TEST(test_nameless),        JOIN_TEST(test_deceptive),
    JOIN_TEST(test_only_one), JOIN_TEST(test_pieces),          JOIN_TEST(test_equal_numbers)};
const size_t join_use_count = sizeof join_use_tests / sizeof *join_use_tests;
