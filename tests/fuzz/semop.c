/* SPDX-License-Identifier: MIT */
/* What is written to the files of a semaphore set: what is refused says why, and what is taken means the same when it is
 * written down again. */
#include "fuzz.h"

#include "sysv_sem.h"
#include "sysv_sem_parse.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 16, SEMOPM = 20 };

static void check_reason(int error, const struct text *reason)
{
    MUST(error <= 0 && (!error || reason->length));
    MUST(!reason->length || !memchr(reason->data, '\n', reason->length));
}

static void check_value(const struct ipcfs_written *written)
{
    unsigned short value = 0;
    int error = sysv_sem_parse_value(written, &value);
    check_reason(error, written->reason);
    MUST(error || (value <= SYSV_SEM_VALUE_MAX && strtoul(written->data, NULL, 10) == value));
}

static void check_values(const struct ipcfs_written *written, size_t count)
{
    unsigned short values[VALUES_MAX];
    int error = sysv_sem_parse_values(written, values, count);
    check_reason(error, written->reason);
    const char *rest = written->data;
    for (size_t i = 0; !error && i < count; i++) {
        char *end = NULL;
        MUST(values[i] <= SYSV_SEM_VALUE_MAX && strtoul(rest, &end, 10) == values[i]);
        rest = end;
    }
}

static void check_post(const struct ipcfs_written *written)
{
    short count = 0;
    int error = sysv_sem_parse_post(written, &count);
    check_reason(error, written->reason);
    MUST(error || count >= 0);
}

static void write_vector(const struct sysv_sem_vector *vector, size_t nsems, struct text *out)
{
    for (size_t i = 0; i < vector->count; i++) {
        const struct sembuf *operation = &vector->operations[i];
        const struct sembuf *unwaiting = &vector->operations[vector->count + i];
        MUST(operation->sem_num < nsems && unwaiting->sem_flg == IPC_NOWAIT);
        MUST(operation->sem_num == unwaiting->sem_num && operation->sem_op == unwaiting->sem_op);
        text_printf(out, " %u:%+d%s", operation->sem_num, operation->sem_op,
                    operation->sem_flg & IPC_NOWAIT ? "n" : "");
    }
}

static void check_vector(const struct ipcfs_written *written, size_t nsems)
{
    struct sysv_sem_vector *vector = NULL;
    struct sysv_sem_vector *same = NULL;
    AUTO_TEXT once = {0};
    AUTO_TEXT twice = {0};
    int error = sysv_sem_parse_vector(written, nsems, SEMOPM, &vector);
    check_reason(error, written->reason);
    MUST(!error == (vector != NULL));
    if (!vector)
        return;
    write_vector(vector, nsems, &once);
    const struct ipcfs_written again = {.data = once.data, .size = once.length, .reason = written->reason};
    MUST(sysv_sem_parse_vector(&again, nsems, SEMOPM, &same) == 0);
    write_vector(same, nsems, &twice);
    MUST(once.length && once.length == twice.length);
    MUST(once.data && twice.data && memcmp(once.data, twice.data, once.length) == 0);
    MUST(vector->alters == same->alters && vector->never_waits == same->never_waits);
    free(vector);
    free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t count = 1 + input_byte(&input) % VALUES_MAX;
    char *line = input_string(&input);
    for (int what = 0; what < 4; what++) {
        AUTO_TEXT reason = {0};
        const struct ipcfs_written written = {.data = line, .size = strlen(line), .reason = &reason};
        if (what == 0)
            check_value(&written);
        else if (what == 1)
            check_values(&written, count);
        else if (what == 2)
            check_post(&written);
        else
            check_vector(&written, count == VALUES_MAX ? USHRT_MAX + 2 : count);
    }
    free(line);
    return 0;
}
