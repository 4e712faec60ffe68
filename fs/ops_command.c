/* SPDX-License-Identifier: MIT */
/*
 * Commands: control files each write(2) of which is one operation that may have to wait (sysv/sem/…/op). The backend makes
 * a file of each, whose lane says with whom it waits in line; why one is refused is told as for every control file.
 */
#include "ops.h"

#include "control.h"
#include "ipcfs/cleanup.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A longer one is not kept while it waits: it is never echoed. */
enum { COMMAND_MAX = 64 * 1024, KEPT_MAX = TRANSACTION_MAX + 1 };

struct command {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    struct caller caller;
    struct ipcfs_file *file; /* owned */
    bool too_long;           /* and not kept */
    size_t size;
    char data[]; /* terminated; of a longer one than KEPT_MAX nothing, once it is prepared */
};

bool control_is_command(const struct handle *handle)
{
    return handle->transaction && !handle->entry &&
           control_verb_of(&handle->node.kin)->type == IPCFS_VERB_COMMAND;
}

static void command_free(struct command *command)
{
    if (command->file)
        command->handle->node.kin.backend->close(command->file);
    free(command);
}

/* ---- what there is to say ---- */

static void note_refusal(void *context, const struct text *reason)
{
    const struct command *command = context;
    control_note_refusal(command->fs, command->handle, command->caller.uid, reason);
}

static const struct transaction_ops refusal_ops = {.refused = note_refusal};

/* What is echoed where there is nothing else to say: without its newline, and "" where it is too long for that. */
static const char *echo(struct command *command)
{
    size_t length = command->size;
    if (length > KEPT_MAX)
        return "";
    if (length && command->data[length - 1] == '\n')
        command->data[--length] = '\0';
    return length <= TRANSACTION_MAX ? command->data : "";
}

/* A reader of the handle finds why it was refused, or the file's own text. */
static void say(struct command *command, int error, struct text *reason)
{
    AUTO_TEXT answer = {0};
    if (error && error != -EAGAIN && error != -EINTR)
        transaction_refuse(&refusal_ops, command, echo(command), error, reason, &answer);
    transaction_answer(command->handle->transaction, &answer);
}

static void answer(struct command *command, struct reply *reply, ssize_t result)
{
    AUTO_TEXT reason = {0};
    say(command, result < 0 ? (int)result : 0, &reason);
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_write(reply, (size_t)result);
}

/* ---- the waiter ---- */

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct command *command = (struct command *)waiter;
    const struct ipcfs_backend *backend = command->handle->node.kin.backend;
    return backend->try_write(command->file, NULL, command->size, 0, 0, wait);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct command *command = (struct command *)waiter;
    struct ipcfs *fs = command->fs;
    struct handle *handle = command->handle;
    park_end(&command->parked);
    answer(command, &command->parked.reply, result);
    command_free(command);
    handle_put(&fs->handles, handle);
}

static const struct waiter_ops command_ops = {
    .attempt = attempt, .block = park_block, .deliver = park_deliver, .finish = finish};

/* ---- write ---- */

static int prepare(struct command *command, fuse_req_t req, struct text *reason)
{
    const struct node_kin *kin = &command->handle->node.kin;
    if (command->too_long) {
        text_string(reason, "line too long");
        return -E2BIG;
    }
    if (strlen(command->data) != command->size) {
        text_string(reason, "a NUL byte in the line");
        return -EINVAL;
    }
    const struct ipcfs_written written = {
        .data = command->data, .size = command->size, .caller = &command->caller, .reason = reason};
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (!error)
        error =
            control_verb_of(kin)->prepare(&command->handle->node.ref, kin->number, &written, &command->file);
    return error == -ESTALE ? -ENOENT : error;
}

/* A user can have very many waiting. Not parked yet. */
static struct command *without_data(struct command *command)
{
    if (command->size <= KEPT_MAX)
        return command;
    struct command *smaller = realloc(command, sizeof *command);
    return smaller ? smaller : command;
}

/* The command in its line: answered now, or parked. */
static void run(struct command *command, struct reply *reply, bool patient)
{
    struct wait_line *line = NULL;
    ssize_t result = park_line(command->fs, command->handle, command->file, true, &line);
    if (!result)
        result = wait_try(line, &command->parked.waiter, !patient);
    if (result == -EAGAIN && patient) {
        handle_use(&command->fs->handles, command->handle);
        command->parked.waiter.about = park_about(command->handle, "write", false);
        park(&command->parked, line, reply);
    } else {
        answer(command, reply, result);
        command_free(command);
    }
    if (line)
        wait_line_put(line);
}

void command_write(struct ipcfs *fs, fuse_req_t req, struct handle *handle, const char *data, size_t size,
                   int flags, struct reply *reply)
{
    bool too_long = size > COMMAND_MAX;
    size_t kept = too_long ? 0 : size;
    struct command *command = malloc(sizeof *command + kept + 1);
    if (!command) {
        reply_error(reply, -ENOMEM);
        return;
    }
    *command = (struct command){
        .parked.waiter = {.ops = &command_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .caller = caller_of(req),
        .too_long = too_long,
        .size = kept,
    };
    memcpy(command->data, data, kept);
    command->data[kept] = '\0';
    AUTO_TEXT reason = {0};
    int error = prepare(command, req, &reason);
    if (!error) {
        run(without_data(command), reply, !(flags & O_NONBLOCK));
        return;
    }
    say(command, error, &reason);
    command_free(command);
    reply_error(reply, error);
}
