/* SPDX-License-Identifier: MIT */
#include "sysv_sem_parse.h"

#include "sysv_sem.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- words ---- */

struct word {
    const char *start;
    size_t length;
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n';
}

/* The first word from `*cursor` on, which then is behind it. */
static bool next_word(const char **cursor, const char *end, struct word *out)
{
    const char *start = *cursor;
    while (start < end && is_blank(*start))
        start++;
    const char *stop = start;
    while (stop < end && !is_blank(*stop))
        stop++;
    *cursor = stop;
    *out = (struct word){start, (size_t)(stop - start)};
    return stop > start;
}

static size_t count_words(const struct ipcfs_written *written)
{
    const char *cursor = written->data;
    struct word word;
    size_t count = 0;
    while (next_word(&cursor, written->data + written->size, &word))
        count++;
    return count;
}

/* "WORD: why", with as much of the word as helps to find it. */
__attribute__((format(printf, 4, 5))) static int refuse(const struct ipcfs_written *written,
                                                        const struct word *word, int error,
                                                        const char *format, ...)
{
    char shown[32];
    char why[80];
    size_t length = word->length < sizeof shown ? word->length : sizeof shown - 1;
    memcpy(shown, word->start, length);
    shown[length] = '\0';
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    text_escape_word(written->reason, shown);
    text_printf(written->reason, ": %s", why);
    return error;
}

/* ---- values ---- */

static int parse_word_value(const struct ipcfs_written *written, const struct word *word, unsigned short *out)
{
    uint64_t value = 0;
    int error = parse_digits(word->start, word->length, 10, SYSV_SEM_VALUE_MAX, &value);
    if (error == -ERANGE)
        return refuse(written, word, error, "over the highest value, %d", SYSV_SEM_VALUE_MAX);
    if (error)
        return refuse(written, word, error, "a value from 0 to %d is wanted", SYSV_SEM_VALUE_MAX);
    *out = (unsigned short)value;
    return 0;
}

int sysv_sem_parse_value(const struct ipcfs_written *written, unsigned short *out)
{
    const struct word all = {written->data, written->size};
    return parse_word_value(written, &all, out);
}

int sysv_sem_parse_values(const struct ipcfs_written *written, unsigned short *values, size_t count)
{
    const char *cursor = written->data;
    const char *end = written->data + written->size;
    struct word word;
    size_t words = count_words(written);
    if (words != count) {
        text_printf(written->reason, "%zu values are wanted, not %zu", count, words);
        return -EINVAL;
    }
    for (size_t i = 0; next_word(&cursor, end, &word); i++) {
        int error = parse_word_value(written, &word, &values[i]);
        if (error)
            return error;
    }
    return 0;
}

/* ---- post ---- */

int sysv_sem_parse_post(const struct ipcfs_written *written, short *out)
{
    const char *cursor = written->data;
    const char *end = written->data + written->size;
    struct word word;
    *out = 1;
    if (!next_word(&cursor, end, &word) || !strchr("+-0123456789", word.start[0]))
        return 0;
    struct word more;
    uint64_t count = 0;
    int error = parse_digits(word.start, word.length, 10, SYSV_SEM_VALUE_MAX, &count);
    if (error == -ERANGE)
        return refuse(written, &word, error, "over the highest value, %d", SYSV_SEM_VALUE_MAX);
    if (error || next_word(&cursor, end, &more))
        return refuse(written, &word, -EINVAL, "how many to post is wanted, or a word that is no number");
    *out = (short)count;
    return 0;
}

/* ---- vectors ---- */

static int parse_number(const struct ipcfs_written *written, const struct word *word, size_t length,
                        size_t nsems, unsigned short *out)
{
    uint64_t number = 0;
    int error = parse_digits(word->start, length, 10, UINT64_MAX, &number);
    if (error == -EINVAL)
        return refuse(written, word, error, "NUM:OP is wanted, as 0:-1");
    if (error || number >= nsems)
        return refuse(written, word, -EFBIG, "the semaphores are 0 to %zu", nsems - 1);
    if (number > USHRT_MAX)
        return refuse(written, word, -EFBIG, "semop numbers no semaphore above %d", USHRT_MAX);
    *out = (unsigned short)number;
    return 0;
}

static int parse_amount(const struct ipcfs_written *written, const struct word *word, struct word digits,
                        short *out)
{
    bool negative = digits.length && digits.start[0] == '-';
    if (negative || (digits.length && digits.start[0] == '+'))
        digits = (struct word){digits.start + 1, digits.length - 1};
    uint64_t amount = 0;
    int error =
        parse_digits(digits.start, digits.length, 10, negative ? -(int64_t)SHRT_MIN : SHRT_MAX, &amount);
    if (error == -ERANGE)
        return refuse(written, word, error, "OP is from %d to %d", SHRT_MIN, SHRT_MAX);
    if (error)
        return refuse(written, word, error, "NUM:OP is wanted, as 0:-1 or 1:+2n");
    *out = (short)(negative ? -(int)amount : (int)amount);
    return 0;
}

static int parse_operation(const struct ipcfs_written *written, const struct word *word, size_t nsems,
                           struct sembuf *out)
{
    const char *colon = memchr(word->start, ':', word->length);
    if (!colon)
        return refuse(written, word, -EINVAL, "NUM:OP is wanted, as 0:-1");
    *out = (struct sembuf){0};
    int error = parse_number(written, word, (size_t)(colon - word->start), nsems, &out->sem_num);
    if (error)
        return error;
    struct word digits = {colon + 1, word->length - (size_t)(colon + 1 - word->start)};
    if (digits.length && digits.start[digits.length - 1] == 'n') {
        digits.length--;
        out->sem_flg = IPC_NOWAIT;
    }
    return parse_amount(written, word, digits, &out->sem_op);
}

static int check_count(const struct ipcfs_written *written, size_t count, size_t semopm)
{
    if (count == 0) {
        text_string(written->reason, "NUM:OP words are wanted, as 0:-1 1:+1");
        return -EINVAL;
    }
    if (count > semopm) {
        text_printf(written->reason, "%zu operations: over semopm (%zu) of kernel.sem", count, semopm);
        return -E2BIG;
    }
    return 0;
}

int sysv_sem_parse_vector(const struct ipcfs_written *written, size_t nsems, size_t semopm,
                          struct sysv_sem_vector **out)
{
    size_t count = count_words(written);
    int error = check_count(written, count, semopm);
    if (error)
        return error;
    AUTO_FREE struct sysv_sem_vector *vector =
        calloc(1, sizeof *vector + 2 * count * sizeof vector->operations[0]);
    if (!vector)
        return -ENOMEM;
    const char *cursor = written->data;
    struct word word;
    while (next_word(&cursor, written->data + written->size, &word)) {
        struct sembuf *operation = &vector->operations[vector->count];
        error = parse_operation(written, &word, nsems, operation);
        if (error)
            return error;
        vector->alters |= operation->sem_op != 0;
        vector->never_waits |= (operation->sem_flg & IPC_NOWAIT) != 0;
        operation[count] = *operation;
        operation[count].sem_flg |= IPC_NOWAIT;
        vector->count++;
    }
    *out = TAKE_PTR(vector);
    return 0;
}
