/* SPDX-License-Identifier: MIT */
#include "sock_listener_subject.h"

#include "failing.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static struct {
    int descriptors;
    long allocations;
    int kept;
} before;

void pause_ms(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

static void directory_path(const char *name, char *path, size_t room)
{
    (void)snprintf(path, room, "/run/%s", name);
}

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = -3; /* "." and "..", and for /proc/self/fd the walk's own descriptor */
    while (directory && readdir(directory)) // NOLINT(concurrency-mt-unsafe): one user per DIR
        count++;
    if (directory)
        (void)closedir(directory);
    return count;
}

int count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

int count_kept(void)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/listen", place_path());
    return count_entries(path);
}

int begin_listener_test(void **state)
{
    (void)state;
    before.descriptors = count_descriptors();
    before.allocations = failing_live();
    before.kept = count_kept();
    return 0;
}

/* What a test that failed has left, so that the next can be well. */
static void clean_up(void)
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[PATH_MAX];
        struct stat stat;
        directory_path(names[i], path, sizeof path);
        if (lstat(path, &stat) == 0)
            remove_listener(names[i]);
    }
}

int end_listener_test(void **state)
{
    (void)state;
    clean_up();
    int descriptors = count_descriptors() - before.descriptors;
    long allocations = failing_live() - before.allocations;
    int kept = count_kept() - before.kept;
    bool children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
    if (!descriptors && !allocations && !kept && !children)
        return 0;
    (void)fprintf(stderr, "left behind: %d descriptors, %ld allocations, %d kept%s\n", descriptors,
                  allocations, kept, children ? ", a child" : "");
    return -1;
}

/* ---- objects ---- */

struct ipcfs_found find_directory(const char *name)
{
    char path[PATH_MAX];
    struct ipcfs_found found = {0};
    directory_path(name, path, sizeof path);
    assert_int_equal(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &found.stat), 0);
    found.id.number = found.stat.stx_ino;
    found.id.birth = (uint64_t)found.stat.stx_btime.tv_sec * 1000000000 + found.stat.stx_btime.tv_nsec;
    return found;
}

struct ipcfs_found make_directory(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    char path[PATH_MAX];
    directory_path(name, path, sizeof path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, uid, gid), 0);
    assert_int_equal(chmod(path, mode), 0);
    return find_directory(name);
}

struct ipcfs_found make_listener(const char *name, int type, unsigned backlog)
{
    struct ipcfs_found object = make_directory(name, 0, 0, 0700);
    const struct listener_wish wish = {.type = type, .backlog = backlog};
    assert_int_equal(listener_make(&object, &wish), 0);
    return object;
}

void remove_listener(const char *name)
{
    char path[PATH_MAX];
    struct ipcfs_found object = find_directory(name);
    directory_path(name, path, sizeof path);
    assert_int_equal(rmdir(path), 0);
    listener_remove(object.id);
}

struct ipcfs_ref ref_of(const struct ipcfs_found *object)
{
    return (struct ipcfs_ref){.id = object->id, .name = ""};
}

/* ---- files ---- */

const struct ipcfs_verb *part(const char *name)
{
    for (const struct ipcfs_verb *verb = listener_files; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    fail_msg("no file %s", name);
    return NULL;
}

int try_open_part(const struct ipcfs_found *object, const char *name, int flags, struct ipcfs_file **out)
{
    struct ipcfs_ref ref = ref_of(object);
    return part(name)->open(&ref, 0, flags, out);
}

struct ipcfs_file *open_part(const struct ipcfs_found *object, const char *name)
{
    struct ipcfs_file *file = NULL;
    int flags = strcmp(name, "send") == 0 ? O_WRONLY : strcmp(name, "recv") == 0 ? O_RDONLY : O_RDWR;
    assert_int_equal(try_open_part(object, name, flags, &file), 0);
    return file;
}

int try_connect(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    int error = file->ops->try_connect(file, &wait);
    if (error == -EAGAIN)
        assert_int_not_equal(wait.source, IPCFS_WAIT_NONE);
    return error;
}

void must_connect(struct ipcfs_file *file)
{
    int error = -EAGAIN;
    for (int i = 0; i < 5000 && (error = try_connect(file)) == -EAGAIN; i++)
        pause_ms(1);
    assert_int_equal(error, 0);
}

struct ipcfs_file *open_connected(const struct ipcfs_found *object, const char *name)
{
    struct ipcfs_file *file = open_part(object, name);
    must_connect(file);
    return file;
}

void close_file(struct ipcfs_file *file)
{
    file->ops->close(file);
}

ssize_t read_file(struct ipcfs_file *file, char *buffer, size_t size)
{
    struct ipcfs_wait wait = {0};
    ssize_t count = file->ops->try_read(file, buffer, size, 0, 0, &wait);
    if (count == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_POLL);
    return count;
}

ssize_t write_file(struct ipcfs_file *file, const char *data, size_t size)
{
    struct ipcfs_wait wait = {0};
    ssize_t count = file->ops->try_write(file, data, size, 0, 0, &wait);
    if (count == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_POLL);
    return count;
}

void must_read(struct ipcfs_file *file, const char *expected)
{
    char buffer[256] = "";
    ssize_t count = -EAGAIN;
    for (int i = 0; i < 5000 && (count = read_file(file, buffer, sizeof buffer)) == -EAGAIN; i++)
        pause_ms(1);
    assert_int_equal(count, strlen(expected));
    assert_memory_equal(buffer, expected, strlen(expected));
}

void must_write(struct ipcfs_file *file, const char *data)
{
    assert_int_equal(write_file(file, data, strlen(data)), strlen(data));
}

void must_show(const struct ipcfs_found *object, const char *name, const char *expected)
{
    struct ipcfs_ref ref = ref_of(object);
    AUTO_TEXT text = {0};
    assert_int_equal(part(name)->read(&ref, 0, &text), 0);
    assert_int_equal(text.length, strlen(expected) + 1);
    assert_memory_equal(text.data, expected, strlen(expected));
    assert_int_equal(text.data[text.length - 1], '\n');
}

static int write_with_reason(const struct ipcfs_found *object, const char *name, const char *line,
                             struct text *reason)
{
    struct ipcfs_ref ref = ref_of(object);
    const struct caller root = {0};
    const struct ipcfs_written written = {
        .data = line, .size = strlen(line), .caller = &root, .reason = reason};
    return part(name)->write(&ref, 0, &written);
}

int write_line(const struct ipcfs_found *object, const char *name, const char *line)
{
    AUTO_TEXT reason = {0};
    return write_with_reason(object, name, line, &reason);
}

void must_be_refused(const struct ipcfs_found *object, const char *name, const char *line, int error,
                     const char *words)
{
    AUTO_TEXT reason = {0};
    assert_int_equal(write_with_reason(object, name, line, &reason), error);
    text_bytes(&reason, "", 1);
    assert_non_null(strstr(reason.data, words));
}

/* ---- natives ---- */

int connect_natively(const struct ipcfs_found *object, int type, bool block)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ipcfs_ref ref = ref_of(object);
    if (part("socket")->link(&ref, address.sun_path, sizeof address.sun_path))
        return -ENAMETOOLONG;
    AUTO_FD fd = socket(AF_UNIX, type | SOCK_CLOEXEC | (block ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int echo(int fd)
{
    char buffer[65536];
    for (;;) {
        ssize_t count = read(fd, buffer, sizeof buffer);
        if (count <= 0)
            return count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        for (ssize_t done = 0; done < count;) {
            ssize_t written = write(fd, buffer + done, (size_t)(count - done));
            if (written < 0)
                return EXIT_FAILURE;
            done += written;
        }
    }
}

pid_t start_client(const struct ipcfs_found *object, int type, uid_t uid, gid_t gid)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(60);
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        _exit(99);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = connect_natively(object, type, true);
    _exit(fd < 0 ? -fd : echo(fd));
}

int status_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- state ---- */

struct listener_state look_at(const struct ipcfs_found *object)
{
    struct listener_state state;
    assert_int_equal(listener_state(object->id, &state), 0);
    return state;
}

static const struct ipcfs_value *peer_value(const struct listener_state *state, size_t row, const char *name)
{
    for (size_t i = 0; listener_peer_fields[i].name; i++)
        if (strcmp(listener_peer_fields[i].name, name) == 0)
            return ipcfs_table_row(state->peers, row) + i;
    fail_msg("no field %s", name);
    return NULL;
}

uint64_t peer_number(const struct listener_state *state, size_t row, const char *name)
{
    const struct ipcfs_value *value = peer_value(state, row, name);
    return value->known ? value->number : 0;
}

void must_have_peer(const struct listener_state *state, pid_t pid, uid_t uid, gid_t gid, const char *via)
{
    for (size_t row = 0; row < state->peers->rows; row++)
        if (peer_number(state, row, "pid") == (uint64_t)pid && peer_number(state, row, "uid") == uid &&
            peer_number(state, row, "gid") == gid && strcmp(peer_value(state, row, "via")->string, via) == 0)
            return;
    for (size_t row = 0; row < state->peers->rows; row++)
        print_error("pid %d uid %d gid %d %s\n", (int)peer_number(state, row, "pid"),
                    (int)peer_number(state, row, "uid"), (int)peer_number(state, row, "gid"),
                    peer_value(state, row, "via")->string);
    fail_msg("no peer pid %d uid %u gid %u %s", pid, uid, gid, via);
}

void let_state_go(struct listener_state *state)
{
    free(state->peers);
    state->peers = NULL;
}

/* ---- keepers ---- */

static void *keep(void *argument)
{
    struct keeper *keeper = argument;
    struct ipcfs_wait wait = {.block = true};
    keeper->result = keeper->file->ops->try_connect(keeper->file, &wait);
    return NULL;
}

void start_keeper(struct keeper *keeper, struct ipcfs_file *file)
{
    *keeper = (struct keeper){.file = file};
    assert_int_equal(pthread_create(&keeper->thread, NULL, keep, keeper), 0);
}

bool has_ended(struct keeper *keeper, int milliseconds)
{
    for (int i = 0; i < milliseconds; i++) {
        if (pthread_tryjoin_np(keeper->thread, NULL) == 0)
            return true;
        pause_ms(1);
    }
    return false;
}

int interrupt(struct keeper *keeper)
{
    do {
        assert_int_equal(pthread_kill(keeper->thread, SIGUSR2), 0);
    } while (!has_ended(keeper, 20));
    return keeper->result;
}

static void do_nothing(int number)
{
    (void)number;
}

void let_signals_come(void)
{
    const struct sigaction action = {.sa_handler = do_nothing};
    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
}
