/* SPDX-License-Identifier: MIT */
/* Numbers, and names that are numbers: one number has one name, and printing what was read gives what was written. */
#include "fuzz.h"

#include "processes.h"
#include "sysv.h"

#include "ipcfs/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same by the C library, which takes more: signs, blanks, and what is too large. */
static int parse_again(const char *digits, size_t length, unsigned base, uint64_t max, uint64_t *out)
{
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)digits[i]) || (unsigned)(digits[i] - '0') >= base)
            return -EINVAL;
    if (!length)
        return -EINVAL;
    const struct input bytes = {(const uint8_t *)digits, length};
    char *string = input_string(&bytes);
    errno = 0;
    *out = strtoull(string, NULL, (int)base);
    free(string);
    return errno == ERANGE || *out > max ? -ERANGE : 0;
}

static void check_digits(const char *digits, size_t length, unsigned base, uint64_t max)
{
    uint64_t number = 0;
    uint64_t again = 0;
    int error = parse_digits(digits, length, base, max, &number);
    int wanted = parse_again(digits, length, base, max, &again);
    /* Which of two things is wrong first, the one from the left finds. */
    MUST(!error == !wanted && (wanted != -ERANGE || error == -ERANGE));
    MUST(error || (number == again && number <= max));
}

static bool is_canonical(const char *text)
{
    const char *digits = text + (*text == '-');
    size_t length = strspn(digits, "0123456789");
    return length && !digits[length] && (*digits != '0' || (length == 1 && *text != '-'));
}

static void check_canonical(const char *text)
{
    int64_t number = 0;
    char *printed = NULL;
    errno = 0;
    (void)strtoll(text, NULL, 10);
    bool fits = errno != ERANGE;
    bool is = parse_canonical(text, &number);
    MUST(is == (is_canonical(text) && fits));
    if (!is)
        return;
    MUST(asprintf(&printed, "%" PRId64, number) > 0);
    MUST(strcmp(printed, text) == 0);
    free(printed);
}

static void check_id(const char *text)
{
    int id = -1;
    int64_t number = 0;
    bool is = sysv_parse_id(text, &id);
    bool wanted = parse_canonical(text, &number) && number >= 0 && number <= INT_MAX;
    MUST(is == wanted && (!is || id == number));
    pid_t pid = 0;
    is = process_parse(text, &pid);
    MUST(is == (wanted && number > 0) && (!is || pid == number));
}

static void check_key(const char *text)
{
    key_t key = 0;
    key_t again = 0;
    char name[SYSV_NAME_ROOM];
    if (!sysv_parse_key(text, &key))
        return;
    MUST(strtoul(text, NULL, 16) == (uint32_t)key);
    (void)snprintf(name, sizeof name, "0x%08x", (unsigned)key);
    MUST(sysv_parse_key(name, &again) && again == key);
}

/* "LIMIT:TEXT". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct input limit = input_until(&input, ':');
    char *exact = input_copy(&input);
    char *text = input_string(&input);
    char *limit_text = input_string(&limit);
    uint64_t max = strtoull(limit_text, NULL, 10);
    for (unsigned base = 2; base <= 10; base += 2) {
        check_digits(exact, input.size, base, max);
        check_digits(exact, input.size, base, UINT64_MAX);
    }
    check_canonical(text);
    check_id(text);
    check_key(text);
    free(limit_text);
    free(text);
    free(exact);
    return 0;
}
