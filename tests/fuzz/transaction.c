/* SPDX-License-Identifier: MIT */
/* Lines written to a control file, and what is read back: the lines are those of the input, none follows one that was
 * refused, and what is read in pieces is what was said. */
#include "fuzz.h"

#include "transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLANK = 1, REASONS = 2 };

struct writing {
    struct text given;   /* the lines that were done, each with a newline */
    struct text answers; /* what they said, and the refusal */
    bool refused;
    bool reasons; /* a refusal says why */
};

/* A line that begins with '!' is refused, one that begins with '?' is answered. */
static int take_line(void *context, const char *line, size_t length, struct text *answer)
{
    struct writing *writing = context;
    MUST(!writing->refused);
    MUST(strlen(line) == length && !strchr(line, '\n') && length <= TRANSACTION_MAX);
    if (*line == '!') {
        if (writing->reasons)
            text_string(answer, "no");
        return -EINVAL;
    }
    text_bytes(&writing->given, line, length);
    text_string(&writing->given, "\n");
    if (*line != '?')
        return 0;
    text_printf(answer, "%s\n", line);
    text_printf(&writing->answers, "%s\n", line);
    return 0;
}

static void take_refusal(void *context, const struct text *reason)
{
    struct writing *writing = context;
    MUST(!writing->refused && reason->length && !memchr(reason->data, '\n', reason->length));
    writing->refused = true;
    text_bytes(&writing->answers, reason->data, reason->length);
    text_string(&writing->answers, "\n");
}

/* What was given are the whole lines of the input, but for the empty ones. */
static void check_given(const struct writing *writing, const char *data, size_t done, bool blank)
{
    AUTO_TEXT wanted = {0};
    for (size_t at = 0; at < done;) {
        const char *newline = memchr(data + at, '\n', done - at);
        size_t length = newline ? (size_t)(newline - data) - at : done - at;
        if (length || blank) {
            text_bytes(&wanted, data + at, length);
            text_string(&wanted, "\n");
        }
        at += length + (newline != NULL);
    }
    MUST(wanted.length == writing->given.length);
    MUST(!wanted.length || memcmp(wanted.data, writing->given.data, wanted.length) == 0);
}

static void check_read(struct text *answer, size_t piece)
{
    AUTO_TEXT copy = {0};
    AUTO_TEXT all = {0};
    struct transaction *transaction = transaction_new();
    MUST(transaction);
    text_bytes(&copy, answer->data, answer->length);
    transaction_answer(transaction, answer);
    MUST(transaction_wants_text(transaction) == !copy.length);
    for (size_t before = all.length;; before = all.length) {
        AUTO_TEXT part = {0};
        MUST(transaction_take(transaction, piece, &part) == 0 && part.length <= piece);
        text_bytes(&all, part.data, part.length);
        if (all.length == before)
            break;
    }
    MUST(all.length == copy.length && (!all.length || memcmp(all.data, copy.data, all.length) == 0));
    MUST(transaction_wants_text(transaction));
    transaction_free(transaction);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned how = input_byte(&input);
    size_t piece = 1 + input_byte(&input);
    const struct transaction_ops ops = {.blank = how & BLANK, .line = take_line, .refused = take_refusal};
    struct writing writing = {.reasons = how & REASONS};
    AUTO_TEXT answer = {0};
    char *lines = input_copy(&input);
    ssize_t done = transaction_run(&ops, &writing, lines, input.size, &answer);
    MUST(done <= (ssize_t)input.size && (done == (ssize_t)input.size) == !writing.refused);
    if (done >= 0)
        check_given(&writing, lines, (size_t)done, ops.blank);
    else
        MUST(!writing.given.length);
    MUST(answer.length == writing.answers.length);
    MUST(!answer.length || memcmp(answer.data, writing.answers.data, answer.length) == 0);
    check_read(&answer, piece);
    free(lines);
    text_reset(&writing.given);
    text_reset(&writing.answers);
    return 0;
}
