/* SPDX-License-Identifier: MIT */
#include "sysv_msg_subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int native_queue(key_t key, int mode)
{
    int id = msgget(key, IPC_CREAT | IPC_EXCL | mode);
    if (id < 0)
        fail_msg("msgget(%d): %s", (int)key, strerror(errno));
    return id;
}

void native_send(int id, long type, const char *text)
{
    struct native_message message = {.type = type};
    size_t length = strlen(text);
    assert_true(length < sizeof message.text);
    memcpy(message.text, text, length);
    if (msgsnd(id, &message, length, IPC_NOWAIT) < 0)
        fail_msg("msgsnd(%d): %s", id, strerror(errno));
}

struct native_message native_receive(int id, long type)
{
    struct native_message message = {0};
    ssize_t count = msgrcv(id, &message, sizeof message.text - 1, type, IPC_NOWAIT);
    if (count < 0)
        fail_msg("msgrcv(%d, %ld): %s", id, type, strerror(errno));
    return message;
}

struct msqid_ds native_state(int id)
{
    struct msqid_ds state;
    if (msgctl(id, IPC_STAT, &state) < 0)
        fail_msg("msgctl(%d): %s", id, strerror(errno));
    return state;
}

struct native_look look_at_queue(int id)
{
    struct msqid_ds state = native_state(id);
    return (struct native_look){.perm = state.msg_perm, .ctime = state.msg_ctime};
}

void native_remove(int id)
{
    assert_int_equal(msgctl(id, IPC_RMID, NULL), 0);
}

struct ipcfs_created new_queue(void)
{
    return create_key("0x2a", O_RDWR | O_EXCL, 0600);
}

int write_qbytes(const struct ipcfs_ref *ref, const char *line, size_t length, struct text *reason)
{
    AUTO_TEXT unread = {0};
    const struct ipcfs_written written = {
        .data = line, .size = length, .caller = &self, .reason = reason ? reason : &unread};
    return find_verb("qbytes")->write(ref, 0, &written);
}

struct ipcfs_file *open_type(const struct ipcfs_created *object, int64_t type, int flags)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_ref ref = key_ref(object, true);
    int error = find_verb("type")->open(&ref, type, flags, &file);
    if (error)
        fail_msg("type/%lld: %s", (long long)type, strerror(-error));
    return file;
}

ssize_t receive(struct ipcfs_file *file, char *buffer, size_t size)
{
    struct ipcfs_wait wait = {0};
    size_t room = kind->message_room(file);
    char *whole = malloc(room);
    assert_non_null(whole);
    ssize_t count = kind->try_read(file, whole, room, 0, 0, &wait);
    if (count == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    if (count >= 0) {
        assert_true((size_t)count < size);
        memcpy(buffer, whole, (size_t)count);
        buffer[count] = '\0';
    }
    free(whole);
    return count;
}

ssize_t send_text(struct ipcfs_file *file, const char *text)
{
    struct ipcfs_wait wait = {0};
    ssize_t count = kind->try_write(file, text, strlen(text), 0, 0, &wait);
    if (count == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return count;
}

void must_receive(struct ipcfs_file *file, const char *expected)
{
    char text[256];
    ssize_t count = receive(file, text, sizeof text);
    if (count < 0)
        fail_msg("\"%s\" did not come: %s", expected, strerror((int)-count));
    assert_string_equal(text, expected);
}
