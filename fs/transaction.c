/* SPDX-License-Identifier: MIT */
#include "transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- a write ---- */

void transaction_refuse(const struct transaction_ops *ops, void *context, const char *line, int error,
                        struct text *reason, struct text *answer)
{
    if (!reason->length && !text_error(reason)) {
        text_escape_line(reason, line);
        text_printf(reason, "%s%s", *line ? ": " : "", strerror(-error));
    }
    if (text_error(reason) || !reason->length)
        return; /* no memory for it: the errno has to do */
    ops->refused(context, reason);
    text_bytes(answer, reason->data, reason->length);
    text_string(answer, "\n");
}

/* A line that can not be given to the file at all: `line` echoes it, "" where it is too long for that. */
static int refuse_form(const struct transaction_ops *ops, void *context, const char *words,
                       struct text *answer)
{
    AUTO_TEXT reason = {0};
    text_string(&reason, words);
    transaction_refuse(ops, context, "", -EINVAL, &reason, answer);
    return -EINVAL;
}

static int run_line(const struct transaction_ops *ops, void *context, const char *line, size_t length,
                    struct text *answer)
{
    if (strlen(line) != length)
        return refuse_form(ops, context, "a NUL byte in the line", answer);
    AUTO_TEXT said = {0};
    int error = ops->line(context, line, length, &said);
    if (!error)
        error = text_error(&said);
    if (error)
        transaction_refuse(ops, context, line, error, &said, answer);
    else
        text_bytes(answer, said.data, said.length);
    return error;
}

ssize_t transaction_run(const struct transaction_ops *ops, void *context, const char *data, size_t size,
                        struct text *answer)
{
    if (size > TRANSACTION_MAX)
        return refuse_form(ops, context, "line too long", answer);
    char line[TRANSACTION_MAX + 1];
    for (size_t done = 0; done < size;) {
        const char *newline = memchr(data + done, '\n', size - done);
        size_t length = newline ? (size_t)(newline - data) - done : size - done;
        memcpy(line, data + done, length);
        line[length] = '\0';
        int error = length || ops->blank ? run_line(ops, context, line, length, answer) : 0;
        if (error)
            return done ? (ssize_t)done : error;
        done += length + (newline != NULL);
    }
    return (ssize_t)size;
}

/* ---- what is read ---- */

struct transaction {
    struct lock lock; /* guards all of it */
    struct text text;
    size_t position;
    bool ready; /* `text` is what is read; its end has not been told yet */
};

struct transaction *transaction_new(void)
{
    struct transaction *transaction = calloc(1, sizeof *transaction);
    if (!transaction)
        return NULL;
    if (lock_init(&transaction->lock, LOCK_HANDLE)) {
        free(transaction);
        return NULL;
    }
    return transaction;
}

void transaction_free(struct transaction *transaction)
{
    if (!transaction)
        return;
    text_reset(&transaction->text);
    lock_destroy(&transaction->lock);
    free(transaction);
}

/* Takes `text` over, which is given what there was; called with the lock held. */
static void put(struct transaction *transaction, struct text *text, bool ready)
{
    struct text old = transaction->text;
    transaction->text = *text;
    transaction->position = 0;
    transaction->ready = ready;
    *text = old;
}

void transaction_answer(struct transaction *transaction, struct text *answer)
{
    lock_take(&transaction->lock);
    put(transaction, answer, answer->length > 0 || text_error(answer));
    lock_release(&transaction->lock);
    text_reset(answer);
}

bool transaction_wants_text(struct transaction *transaction)
{
    lock_take(&transaction->lock);
    bool wants = !transaction->ready;
    lock_release(&transaction->lock);
    return wants;
}

void transaction_offer(struct transaction *transaction, struct text *text)
{
    lock_take(&transaction->lock);
    if (!transaction->ready)
        put(transaction, text, true);
    lock_release(&transaction->lock);
    text_reset(text);
}

int transaction_take(struct transaction *transaction, size_t size, struct text *out)
{
    AUTO_TEXT unneeded = {0};
    lock_take(&transaction->lock);
    size_t left = transaction->text.length - transaction->position;
    size_t count = left < size ? left : size;
    int lost = text_error(&transaction->text);
    if (count && !lost)
        text_bytes(out, transaction->text.data + transaction->position, count);
    int error = lost ? lost : text_error(out);
    if (!error)
        transaction->position += count;
    if (lost || (!error && !left && transaction->ready))
        put(transaction, &unneeded, false);
    lock_release(&transaction->lock);
    return error;
}
