/* SPDX-License-Identifier: MIT */
#include "posix_sem_subject.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int count_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        count += strstr(line, "/dev/shm/sem.") != NULL;
    if (maps)
        (void)fclose(maps);
    return count;
}

static int mappings_before;

int begin_sem_test(void **state)
{
    mappings_before = count_mappings();
    return begin_test(state);
}

int end_sem_test(void **state)
{
    int failed = end_test(state);
    int left = count_mappings() - mappings_before;
    if (left)
        (void)fprintf(stderr, "left behind: %d mappings\n", left);
    return failed || left ? -1 : 0;
}

struct ipcfs_created make_sem(const char *name, unsigned value)
{
    struct ipcfs_created object = {0};
    const struct ipcfs_value options[] = {ipcfs_number(value)};
    const struct ipcfs_wish wish = {
        .name = name, .flags = O_CREAT | O_RDWR, .mode = 0600, .caller = &self, .options = options};
    assert_int_equal(kind->create(&wish, &object), 0);
    return object;
}

const struct ipcfs_verb *sem_file(const char *name)
{
    for (const struct ipcfs_verb *verb = kind->files; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    fail_msg("no file %s", name);
    return NULL;
}

/* As a descriptor that is opened for it does. */
static int write_and_hear(const struct ipcfs_ref *ref, const char *file, const char *line,
                          struct text *reason)
{
    const struct ipcfs_verb *verb = sem_file(file);
    struct ipcfs_written written = {.data = line, .size = strlen(line), .caller = &self, .reason = reason};
    struct ipcfs_ref held = *ref;
    struct ipcfs_hold *hold = NULL;
    int error = verb->open && !ref->hold ? kind->hold(ref, &hold) : 0;
    if (hold)
        held.hold = hold;
    if (!error && verb->open)
        error = verb->open(&held, 0, O_WRONLY, &written.file);
    if (!error)
        error = verb->write(&held, 0, &written);
    if (written.file)
        kind->close(written.file);
    if (hold)
        kind->release(hold);
    return error;
}

int write_verb_line(const struct ipcfs_ref *ref, const char *file, const char *line)
{
    AUTO_TEXT reason = {0};
    return write_and_hear(ref, file, line, &reason);
}

void must_be_refused(const struct ipcfs_ref *ref, const char *file, const char *line, const char *words)
{
    AUTO_TEXT reason = {0};
    int error = write_and_hear(ref, file, line, &reason);
    text_bytes(&reason, "", 1);
    if (error != -EINVAL || !strstr(reason.data, words))
        fail_msg("%s < \"%s\": %s, \"%s\"", file, line, strerror(-error), reason.data);
}

long read_value(const struct ipcfs_ref *ref)
{
    AUTO_TEXT text = {0};
    int error = sem_file("value")->read(ref, 0, &text);
    if (error)
        return error;
    assert_true(text.length > 1 && text.data[text.length - 1] == '\n');
    return strtol(text.data, NULL, 10);
}

long shown_number(const struct ipcfs_ref *ref, const char *field)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->render(ref, values), 0);
    for (size_t i = 0; kind->fields[i].name; i++)
        if (strcmp(kind->fields[i].name, field) == 0)
            return values[i].known ? (long)values[i].number : -1;
    fail_msg("no field %s", field);
    return -1;
}

void make_plain_file(const char *path, off_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

void must_not_be_reached(const char *name)
{
    struct statx stat;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0777};
    struct ipcfs_ref ref = {.name = name};
    assert_int_equal(find_error(name), -ENOENT);
    assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
    assert_int_equal(kind->hold(&ref, &hold), -ESTALE);
    assert_int_equal(kind->render(&ref, values), -ESTALE);
    assert_int_equal(kind->change(&ref, NULL, &change), -ESTALE);
    assert_int_equal(read_value(&ref), -ESTALE);
    assert_int_equal(write_verb_line(&ref, "value", "1"), -ESTALE);
    assert_int_equal(write_verb_line(&ref, "post", "1"), -ESTALE);
    assert_int_equal(kind->remove(0, name), -ENOENT);
}

struct ipcfs_file *open_part(const struct ipcfs_ref *ref, const char *file)
{
    struct ipcfs_file *opened = NULL;
    int error = sem_file(file)->open(ref, 0, O_RDONLY, &opened);
    if (error)
        fail_msg("open %s: %s", file, strerror(-error));
    return opened;
}

long take_one(struct ipcfs_file *file, bool block)
{
    char text[64] = {0};
    struct ipcfs_wait wait = {.block = block};
    ssize_t count = kind->try_read(file, text, kind->message_room(file), 0, 0, &wait);
    if (count < 0)
        return count == -EAGAIN && wait.source != IPCFS_WAIT_KEEPER ? -EPROTO : count;
    return count > 0 && text[count - 1] == '\n' ? strtol(text, NULL, 10) : -EPROTO;
}

int hold_one(struct ipcfs_file *file, bool block)
{
    struct ipcfs_wait wait = {.block = block};
    const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    int error = kind->try_lock(file, &lock, &wait);
    return error == -EAGAIN && wait.source != IPCFS_WAIT_KEEPER ? -EPROTO : error;
}

sem_t *make_native(const char *name, mode_t mode, unsigned value)
{
    sem_t *semaphore = sem_open(name, O_CREAT | O_EXCL, mode, value);
    assert_true(semaphore != SEM_FAILED);
    return semaphore;
}

sem_t *open_native(const char *name)
{
    sem_t *semaphore = sem_open(name, 0);
    assert_true(semaphore != SEM_FAILED);
    return semaphore;
}

int native_sem_value(sem_t *semaphore)
{
    int value = -1;
    assert_int_equal(sem_getvalue(semaphore, &value), 0);
    return value;
}

pid_t start_native_waiter(const char *name)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid)
        return pid;
    (void)alarm(20);
    sem_t *semaphore = sem_open(name, 0);
    _exit(semaphore == SEM_FAILED || sem_wait(semaphore) != 0 ? 1 : 0);
}

int status_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void *keep(void *argument)
{
    struct keeper *keeper = argument;
    keeper->result = keeper->is_hold ? hold_one(keeper->file, true) : take_one(keeper->file, true);
    return NULL;
}

void start_keeper(struct keeper *keeper, struct ipcfs_file *file, bool is_hold)
{
    *keeper = (struct keeper){.file = file, .is_hold = is_hold, .runs = true};
    assert_int_equal(pthread_create(&keeper->thread, NULL, keep, keeper), 0);
}

long result_of(struct keeper *keeper, int milliseconds)
{
    int64_t end = now_ms() + milliseconds;
    while (keeper->runs) {
        keeper->runs = pthread_tryjoin_np(keeper->thread, NULL) != 0;
        if (keeper->runs && now_ms() >= end)
            return NEVER_ENDED;
        if (keeper->runs)
            pause_ms(1);
    }
    return keeper->result;
}

long interrupt(struct keeper *keeper)
{
    while (keeper->runs) { /* a signal may come before it waits */
        assert_int_equal(pthread_kill(keeper->thread, SIGUSR2), 0);
        (void)result_of(keeper, 5);
    }
    return keeper->result;
}

void pause_ms(long milliseconds)
{
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void wait_for_waiters(const struct ipcfs_ref *ref, long count)
{
    for (int i = 0; i < 5000 && shown_number(ref, "waiters") != count; i++)
        pause_ms(1);
    assert_int_equal(shown_number(ref, "waiters"), count);
}

static void on_signal(int number)
{
    (void)number;
}

void let_signals_come(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
}
