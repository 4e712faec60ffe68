/* SPDX-License-Identifier: MIT */
#include "inspect_join_subject.h"

#include "failing.h"

#include "ipcfs/place.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the mount ---- */

struct made_up made_up;

static bool made_up_node(void *data, uint64_t ino, struct inspection_node *out)
{
    (void)data;
    for (size_t i = 0; i < made_up.node_count; i++) {
        if (made_up.nodes[i].ino != ino)
            continue;
        *out = made_up.nodes[i].node;
        return true;
    }
    return false;
}

static int made_up_parked(void *data, int (*visit)(void *, const struct inspection_parked *), void *context)
{
    (void)data;
    int error = 0;
    for (size_t i = 0; !error && i < made_up.parked_count; i++)
        error = visit(context, &made_up.parked[i]);
    return error;
}

static int made_up_lock(void *data, int (*visit)(void *, const struct inspection_mount_lock *), void *context)
{
    (void)data;
    int error = 0;
    for (size_t i = 0; !error && i < made_up.lock_count; i++)
        error = visit(context, &made_up.locks[i]);
    return error;
}

const struct inspection_host host = {
    .mountpoint = "/mnt", .node = made_up_node, .each_parked = made_up_parked, .each_lock = made_up_lock};

const struct ipcfs_backend *kind_of(const char *name)
{
    for (size_t i = 0; ipcfs_backends[i]; i++)
        if (strcmp(ipcfs_backends[i]->kind, name) == 0)
            return ipcfs_backends[i];
    fail_msg("no kind %s", name);
    return NULL;
}

const char *path_in(const char *kind, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/nodes/%s/%s", place_path(), kind, name);
    return path;
}

uint64_t ino_of(const char *path)
{
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat.st_ino;
}

ino_t ino_of_fd(int fd)
{
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    return stat.st_ino;
}

void add_node(const char *path, const char *kind, const char *part, uint64_t number)
{
    size_t i = made_up.node_count++;
    assert_true(i < MADE_UP_MAX);
    made_up.nodes[i].ino = ino_of(path);
    made_up.nodes[i].node =
        (struct inspection_node){.kind = kind_of(kind), .number = number, .part = part, .member = -1};
}

/* ---- processes ---- */

static pid_t children[CHILDREN_MAX];
static size_t child_count;

pid_t start_child(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0 && child_count < CHILDREN_MAX);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run();
        stay();
    }
    children[child_count++] = pid;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status))
        fail_msg("a child ended: %#x", (unsigned)status);
    assert_int_equal(kill(pid, SIGCONT), 0);
    return pid;
}

void ready(void)
{
    (void)raise(SIGSTOP);
}

void stay(void)
{
    for (;;)
        (void)pause();
}

static void kill_children(void)
{
    while (child_count) {
        (void)kill(children[--child_count], SIGKILL);
        (void)waitpid(children[child_count], NULL, 0);
    }
}

static bool is_in(pid_t pid, const char *tid, long number)
{
    char path[320];
    char text[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", pid, tid);
    FILE *file = fopen(path, "re");
    bool told = file && fgets(text, sizeof text, file);
    if (file)
        (void)fclose(file);
    char *end = NULL;
    long now = strtol(text, &end, 10);
    return told && end != text && now == number;
}

static pid_t find_thread(pid_t pid, long number)
{
    char path[64];
    pid_t found = 0;
    const struct dirent *entry = NULL;
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    while (!found && (entry = readdir(tasks))) // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (*entry->d_name != '.' && is_in(pid, entry->d_name, number))
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    closedir(tasks);
    return found;
}

void await_call(pid_t pid, long number)
{
    for (int i = 0; i < 5000; i++) {
        if (find_thread(pid, number))
            return;
        (void)usleep(1000);
    }
    fail_msg("%d is not in the call %ld", pid, number);
}

pid_t thread_in(pid_t pid, long number)
{
    pid_t found = find_thread(pid, number);
    assert_true(found > 0);
    return found;
}

/* ---- made-up processes ---- */

const struct made_processes *made_processes;

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
int __real_processes_read(pid_t only, unsigned what, process_visit *visit, void *data);
int __wrap_processes_read(pid_t only, unsigned what, process_visit *visit, void *data);

/* Half of what each has open is its own, half everybody's. */
static void make_descriptors(struct process_descriptor *descriptors, char (*targets)[32], size_t count,
                             pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        size_t number = i % 2 ? i : (size_t)pid * count + i;
        (void)snprintf(targets[i], sizeof targets[i], "pipe:[%zu]", number + 1);
        descriptors[i] = (struct process_descriptor){.fd = (int)i, .reads = true, .target = targets[i]};
    }
}

int __wrap_processes_read(pid_t only, unsigned what, process_visit *visit, void *data)
{
    enum { DESCRIPTORS_MAX = 1000 };
    static struct process_descriptor descriptors[DESCRIPTORS_MAX];
    static char targets[DESCRIPTORS_MAX][32];
    if (!made_processes)
        return __real_processes_read(only, what, visit, data);
    int result = 0;
    for (size_t i = 0; !result && i < made_processes->count; i++) {
        struct process process = {.pid = (pid_t)i + 2, .readable = true, .calls_known = true};
        make_descriptors(descriptors, targets, made_processes->descriptors, process.pid);
        process.descriptors = descriptors;
        process.uid = made_processes->uid;
        process.descriptor_count = made_processes->descriptors;
        result = visit(data, &process);
    }
    return result;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

/* ---- what is told ---- */

static struct inspection *told;

const struct inspection *look(unsigned what)
{
    inspection_free(told);
    told = NULL;
    int error = inspection_make(&host, what, 0, &told);
    if (error)
        fail_msg("inspection_make(): %s", strerror(-error));
    check_order(told);
    return told;
}

const struct inspected_object *find_object(const char *kind_word, const char *name)
{
    const struct inspected_object *found = NULL;
    for (size_t i = 0; i < told->object_count; i++) {
        const struct inspected_object *object = &told->objects[i];
        if (strcmp(inspected_kind_word(object), kind_word) != 0 || strcmp(object->name, name) != 0)
            continue;
        if (found)
            fail_msg("%s %s is there twice", kind_word, name);
        found = object;
    }
    return found;
}

const struct inspected_object *object_named(const char *kind_word, const char *name)
{
    const struct inspected_object *found = find_object(kind_word, name);
    if (!found)
        fail_msg("no %s %s", kind_word, name);
    return found;
}

static bool is_use(const struct inspected_use *use, pid_t pid, enum inspected_how how)
{
    return use->how == how && told->processes[use->process].pid == pid;
}

size_t count_uses(const struct inspected_object *object, pid_t pid, enum inspected_how how)
{
    size_t count = 0;
    for (size_t i = 0; i < object->user_count; i++)
        count += is_use(&told->uses[object->users[i]], pid, how);
    return count;
}

const struct inspected_use *use_of(const struct inspected_object *object, pid_t pid, enum inspected_how how)
{
    const struct inspected_use *found = NULL;
    for (size_t i = 0; i < object->user_count; i++)
        if (is_use(&told->uses[object->users[i]], pid, how))
            found = &told->uses[object->users[i]];
    if (!found || count_uses(object, pid, how) != 1)
        fail_msg("%s %s: %zu uses by %d, %s", inspected_kind_word(object), object->name,
                 count_uses(object, pid, how), pid, inspected_how_word(how));
    return found;
}

size_t count_waits(pid_t pid)
{
    size_t count = 0;
    for (size_t i = 0; i < told->use_count; i++)
        count += is_use(&told->uses[i], pid, USE_WAITING);
    return count;
}

const struct inspected_use *wait_of(pid_t pid)
{
    const struct inspected_use *found = NULL;
    for (size_t i = 0; i < told->use_count; i++)
        if (is_use(&told->uses[i], pid, USE_WAITING))
            found = &told->uses[i];
    if (count_waits(pid) != 1)
        fail_msg("%d waits for %zu", pid, count_waits(pid));
    return found;
}

bool has_lock(const struct inspected_object *object, pid_t holder, pid_t waiter)
{
    size_t count = 0;
    for (size_t i = 0; i < told->lock_count; i++)
        count += &told->objects[told->locks[i].object] == object && told->locks[i].holder == holder &&
                 told->locks[i].waiter == waiter;
    assert_true(count <= 1);
    return count;
}

static void check_object(const struct inspection *inspection, size_t index)
{
    const struct inspected_object *object = &inspection->objects[index];
    assert_non_null(object->name);
    assert_int_equal(object->type == INSPECTED_OBJECT, object->kind != NULL);
    assert_true(object->user_count > 0);
    for (size_t i = 0; i < object->user_count; i++) {
        assert_int_equal(inspection->uses[object->users[i]].object, index);
        assert_true(i == 0 || object->users[i - 1] < object->users[i]);
    }
    if (object->kind)
        assert_ptr_equal(inspection_object(inspection, object->kind, object->number), object);
}

void check_order(const struct inspection *inspection)
{
    size_t users = 0;
    for (size_t i = 0; i < inspection->object_count; i++) {
        check_object(inspection, i);
        users += inspection->objects[i].user_count;
    }
    assert_int_equal(users, inspection->use_count);
    for (size_t i = 0; i < inspection->use_count; i++) {
        assert_true(inspection->uses[i].process < inspection->process_count);
        assert_true(i == 0 || inspection->uses[i - 1].process <= inspection->uses[i].process);
    }
    for (size_t i = 0; i < inspection->lock_count; i++)
        assert_true(inspection->locks[i].object < inspection->object_count);
    for (size_t i = 0; i < inspection->process_count; i++)
        assert_ptr_equal(inspection_process(inspection, inspection->processes[i].pid),
                         &inspection->processes[i]);
}

/* ---- tests ---- */

static long allocations;

int begin_join(void **state)
{
    struct stat stat;
    (void)state;
    made_up = (struct made_up){0};
    allocations = failing_live();
    if (lstat(place_path(), &stat) < 0)
        return -1;
    place_set_device(stat.st_dev);
    return 0;
}

int end_join(void **state)
{
    (void)state;
    kill_children();
    inspection_free(told);
    told = NULL;
    made_processes = NULL;
    place_set_device(0);
    long left = failing_live() - allocations;
    if (left)
        (void)fprintf(stderr, "left behind: %ld allocations\n", left);
    return left ? -1 : 0;
}
