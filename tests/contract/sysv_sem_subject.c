/* SPDX-License-Identifier: MIT */
#include "sysv_sem_subject.h"

#include "private_shm.h"

#include <errno.h>
#include <string.h>

union native_semun {
    int val;
    struct semid_ds *buf;
};

int native_set(key_t key, int nsems, int mode)
{
    int id = semget(key, nsems, IPC_CREAT | IPC_EXCL | mode);
    if (id < 0)
        fail_msg("semget(%d): %s", (int)key, strerror(errno));
    return id;
}

struct semid_ds native_set_state(int id)
{
    struct semid_ds state = {0};
    if (semctl(id, 0, IPC_STAT, (union native_semun){.buf = &state}) < 0)
        fail_msg("semctl(%d): %s", id, strerror(errno));
    return state;
}

struct native_look look_at_set(int id)
{
    struct semid_ds state = native_set_state(id);
    return (struct native_look){.perm = state.sem_perm, .ctime = state.sem_ctime};
}

void native_set_change(int id, uid_t uid, gid_t gid, int mode)
{
    struct semid_ds state = native_set_state(id);
    state.sem_perm.uid = uid;
    state.sem_perm.gid = gid;
    state.sem_perm.mode = (unsigned short)mode;
    assert_int_equal(semctl(id, 0, IPC_SET, (union native_semun){.buf = &state}), 0);
}

void native_set_remove(int id)
{
    assert_int_equal(semctl(id, 0, IPC_RMID), 0);
}

int native_get(int id, int semnum, int command)
{
    int value = semctl(id, semnum, command);
    if (value < 0)
        fail_msg("semctl(%d, %d): %s", id, semnum, strerror(errno));
    return value;
}

int native_value(int id, int semnum)
{
    return native_get(id, semnum, GETVAL);
}

void native_put(int id, int semnum, int value)
{
    assert_int_equal(semctl(id, semnum, SETVAL, (union native_semun){.val = value}), 0);
}

void native_op(int id, int semnum, int operation)
{
    struct sembuf one = {(unsigned short)semnum, (short)operation, IPC_NOWAIT};
    if (semop(id, &one, 1) < 0)
        fail_msg("semop(%d, %d:%d): %s", id, semnum, operation, strerror(errno));
}

void set_kernel_sem(const char *values)
{
    private_set("kernel/sem", values);
}

void reset_kernel_sem(void)
{
    private_set("kernel/sem", "32000 1024000000 500 32000");
}

struct ipcfs_created new_set(int nsems, mode_t mode)
{
    const struct ipcfs_value options[] = {{.known = true, .number = (uint64_t)nsems}};
    const struct ipcfs_wish wish = {.directory = BY_KEY,
                                    .name = "0x2a",
                                    .flags = O_CREAT | O_EXCL,
                                    .mode = mode,
                                    .caller = &self,
                                    .options = options};
    struct ipcfs_created object = {0};
    int error = kind->create(&wish, &object);
    if (error)
        fail_msg("create of %d: %s", nsems, strerror(-error));
    assert_true(object.made && object.hold && !object.file);
    return object;
}

static const struct ipcfs_verb *find_file(const struct ipcfs_verb *verb, const char *name)
{
    while (verb->name && strcmp(verb->name, name) != 0)
        verb++;
    assert_non_null(verb->name);
    return verb;
}

const struct ipcfs_verb *set_file(const char *name)
{
    return find_file(kind->files, name);
}

const struct ipcfs_verb *member_file(const char *name)
{
    return find_file(kind->member_files, name);
}

int write_bytes(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number, const char *line,
                size_t size, struct text *reason)
{
    const struct ipcfs_written written = {.data = line, .size = size, .caller = &self, .reason = reason};
    return verb->write(ref, number, &written);
}

int write_line(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number, const char *line)
{
    AUTO_TEXT reason = {0};
    return write_bytes(verb, ref, number, line, strlen(line), &reason);
}

void must_read(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number,
               const char *expected)
{
    AUTO_TEXT text = {0};
    int error = verb->read(ref, number, &text);
    if (error)
        fail_msg("%s: %s", verb->name, strerror(-error));
    text_bytes(&text, "", 1);
    assert_string_equal(text.data, expected);
}

struct ipcfs_file *open_member(const struct ipcfs_created *object, const char *name, int64_t number)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_ref ref = key_ref(object, true);
    int error = member_file(name)->open(&ref, number, O_RDONLY, &file);
    if (error)
        fail_msg("%lld/%s: %s", (long long)number, name, strerror(-error));
    return file;
}

ssize_t read_once(struct ipcfs_file *file, char text[32])
{
    struct ipcfs_wait wait = {0};
    size_t room = kind->message_room(file);
    assert_true(room < 32);
    ssize_t count = kind->try_read(file, text, room, 0, 0, &wait);
    assert_true(count < (ssize_t)room);
    if (count == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    if (count >= 0)
        text[count] = '\0';
    return count;
}

void must_give(struct ipcfs_file *file, const char *expected)
{
    char text[32];
    ssize_t count = read_once(file, text);
    if (count < 0)
        fail_msg("\"%s\" was not read: %s", expected, strerror((int)-count));
    assert_string_equal(text, expected);
}

int hold_once(struct ipcfs_file *file)
{
    const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    struct ipcfs_wait wait = {0};
    int error = kind->try_lock(file, &lock, &wait);
    if (error == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return error;
}

int prepare(const struct ipcfs_created *object, const char *line, struct text *reason,
            struct ipcfs_file **out)
{
    AUTO_TEXT unread = {0};
    struct ipcfs_ref ref = key_ref(object, true);
    const struct ipcfs_written written = {
        .data = line, .size = strlen(line), .caller = &self, .reason = reason ? reason : &unread};
    return set_file("op")->prepare(&ref, 0, &written, out);
}

struct ipcfs_file *must_prepare(const struct ipcfs_created *object, const char *line)
{
    AUTO_TEXT reason = {0};
    struct ipcfs_file *file = NULL;
    int error = prepare(object, line, &reason, &file);
    text_bytes(&reason, "", 1);
    if (error)
        fail_msg("\"%s\": %s, %s", line, strerror(-error), reason.data);
    return file;
}

ssize_t write_once(struct ipcfs_file *file, const char *line, struct ipcfs_wait *wait)
{
    return kind->try_write(file, line, strlen(line), 0, 0, wait);
}

ssize_t command(const struct ipcfs_created *object, const char *line)
{
    struct ipcfs_wait wait = {0};
    struct ipcfs_file *file = must_prepare(object, line);
    ssize_t count = write_once(file, line, &wait);
    kind->close(file);
    return count;
}
