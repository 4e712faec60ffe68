/* SPDX-License-Identifier: MIT */
#include "pipe_peers.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether a pipe of this user's can be as large as the tests want it. */
static bool has_room_for_pipes(void)
{
    int ends[2];
    if (pipe(ends) < 0)
        return false;
    bool has_room = fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) == 1 << 20;
    close(ends[0]);
    close(ends[1]);
    return has_room;
}

/* Without CAP_SYS_RESOURCE, all pipes of root's on the machine count (pipe(7), pipe-user-pages-soft): others may have had
 * many for a while. */
int begin_pipe_test(void **state)
{
    struct stat stat;
    for (int i = 0; i < 2000 && !has_room_for_pipes(); i++)
        (void)usleep(10 * 1000);
    if (begin_test(state) || lstat(place_path(), &stat) < 0)
        return -1;
    place_set_device(stat.st_dev);
    return 0;
}

int end_pipe_test(void **state)
{
    place_set_device(0);
    return end_test(state);
}

struct ipcfs_ref make_pipe(const char *name, mode_t mode)
{
    struct ipcfs_created object = create_object(name, O_RDWR | O_EXCL, mode);
    struct ipcfs_ref ref = ref_by_name(&object.found, name);
    let_go(&object);
    return ref;
}

const char *real_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/nodes/pipe/%s", place_path(), name);
    return path;
}

int open_pipe(const char *name, int flags)
{
    int fd = open(real_path(name), flags | O_CLOEXEC);
    if (fd < 0)
        fail_msg("open %s: %s", name, strerror(errno));
    return fd;
}

/* ---- peers ---- */

void peer_ready(void)
{
    (void)raise(SIGSTOP);
}

/* Dumpable again, which a change of the uid takes off: so that he may look at it himself. */
int take_identity(uid_t uid)
{
    if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ||
                prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
        return -1;
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

pid_t start_peer(uid_t uid, void (*run)(const void *data), const void *data)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (uid == 0 && take_identity(0))
            _exit(98);
        run(data);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status))
        fail_msg("a peer ended: %#x", (unsigned)status);
    return pid;
}

void let_peer_run(pid_t pid)
{
    assert_int_equal(kill(pid, SIGCONT), 0);
}

struct order {
    uid_t uid;
    const struct held *files;
};

/* The way to the FIFOs is root's alone; so the identity comes after. */
static void hold_files(const void *data)
{
    const struct order *order = data;
    (void)close_range(3, ~0U, 0); /* what this process has open is not to be held by it */
    for (int i = 0; order->files[i].name; i++) {
        bool elsewhere = *order->files[i].name == '/';
        int fd =
            open(elsewhere ? order->files[i].name : real_path(order->files[i].name), order->files[i].flags);
        if (fd < 0 || dup2(fd, FIRST_HELD + i) < 0)
            _exit(97);
        close(fd);
    }
    if (take_identity(order->uid))
        _exit(98);
    peer_ready();
    for (;;)
        (void)pause();
}

pid_t start_holder(uid_t uid, const struct held *files)
{
    const struct order order = {.uid = uid, .files = files};
    return start_peer(uid, hold_files, &order);
}

/* ---- what is shown ---- */

struct shown show(const struct ipcfs_ref *ref)
{
    struct shown shown = {0};
    int error = kind->render(ref, shown.values);
    if (error)
        fail_msg("render: %s", strerror(-error));
    return shown;
}

void release_shown(struct shown *shown)
{
    ipcfs_values_release(kind->fields, shown->values);
}

static long number_in(const struct ipcfs_field *fields, const struct ipcfs_value *values, const char *name)
{
    const struct ipcfs_value *value = find_value(fields, values, name);
    return value->known ? (long)value->number : -1;
}

long shown_number_of(const struct ipcfs_ref *ref, const char *field)
{
    struct shown shown = show(ref);
    long number = number_in(kind->fields, shown.values, field);
    release_shown(&shown);
    return number;
}

static const struct ipcfs_verb *verb_of(const char *name)
{
    const struct ipcfs_verb *verb = kind->verbs;
    while (verb->name && strcmp(verb->name, name) != 0)
        verb++;
    assert_non_null(verb->name);
    return verb;
}

int read_file(const struct ipcfs_ref *ref, const char *file, struct text *out)
{
    return verb_of(file)->read(ref, 0, out);
}

int write_file(const struct ipcfs_ref *ref, const char *file, const char *line, struct text *reason)
{
    AUTO_TEXT unheard = {0};
    const struct ipcfs_written written = {
        .data = line, .size = strlen(line), .caller = &self, .reason = reason ? reason : &unheard};
    return verb_of(file)->write(ref, 0, &written);
}

struct survey_search {
    const char *name;
    ino_t ino;
    struct surveyed found;
};

static int look_at_row(void *data, const struct ipcfs_value *values)
{
    const struct ipcfs_field *fields = kind->survey_fields;
    struct survey_search *search = data;
    const struct ipcfs_value *name = find_value(fields, values, "name");
    const struct ipcfs_value *pids = find_value(fields, values, "pids");
    bool meant = search->name ? name->known && strcmp(name->string, search->name) == 0
                              : !name->known && number_in(fields, values, "ino") == (long)search->ino;
    if (!meant)
        return 0;
    assert_false(search->found.found); /* each once */
    search->found = (struct surveyed){
        .found = true,
        .kind = find_value(fields, values, "kind")->string,
        .ino = number_in(fields, values, "ino"),
        .capacity = number_in(fields, values, "capacity"),
        .queued = number_in(fields, values, "queued"),
        .readers = number_in(fields, values, "readers"),
        .writers = number_in(fields, values, "writers"),
        .mode = number_in(fields, values, "mode"),
        .uid = number_in(fields, values, "uid"),
    };
    if (pids->known)
        (void)snprintf(search->found.pids, sizeof search->found.pids, "%s", pids->string);
    return 0;
}

struct surveyed survey_for(const char *name, ino_t ino)
{
    struct survey_search search = {.name = name, .ino = ino};
    assert_int_equal(kind->survey(look_at_row, &search), 0);
    return search.found;
}

/* ---- held up ---- */

/* Memory whose pages somebody else has to give, who never does (userfaultfd(2)); NULL. */
static void *missing_memory(size_t size)
{
    struct uffdio_api api = {.api = UFFD_API};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {.start = (uintptr_t)memory, .len = size},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (fd < 0 || memory == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
        ioctl(fd, UFFDIO_REGISTER, &range) < 0)
        return NULL;
    return memory;
}

static void write_missing(const void *data)
{
    const int *fd = data;
    void *memory = missing_memory(4096);
    if (!memory)
        _exit(97);
    peer_ready();
    (void)!write(*fd, memory, 4096);
}

/* A process that sleeps in a page fault is in state S or D, and its system call is the write. */
static bool is_in_write(pid_t pid)
{
    char path[64];
    char text[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool told = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    return told && strtol(text, NULL, 10) == SYS_write;
}

pid_t start_stuck_writer(int pipe_fd)
{
    pid_t pid = start_peer(0, write_missing, &pipe_fd);
    let_peer_run(pid);
    for (int i = 0; i < 5000 && !is_in_write(pid); i++)
        (void)usleep(1000);
    assert_true(is_in_write(pid));
    (void)usleep(20 * 1000);
    return pid;
}
