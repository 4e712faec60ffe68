/* SPDX-License-Identifier: MIT */
/* sysv/ftok: a line "PATH PROJ", and the key is read back. */
#include "control.h"

#include "ftok.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Ends the string at `end`, or where the blanks before it begin; and tells where. */
static char *cut_blanks(const char *start, char *end)
{
    while (end > start && is_blank(end[-1]))
        end--;
    *end = '\0';
    return end;
}

/* The line in two: the last word, and what stands before the blanks before it. */
static int split(char *line, char **path, char **project)
{
    while (is_blank(*line))
        line++;
    char *last = cut_blanks(line, line + strlen(line));
    while (last > line && !is_blank(last[-1]))
        last--;
    if (last == line)
        return -EINVAL;
    (void)cut_blanks(line, last - 1);
    *path = line;
    *project = last;
    return 0;
}

/* A number of 1 to 255, or one character that is no digit. 0: neither; −ENOMEM. */
static int parse_project(const char *word)
{
    AUTO_TEXT bytes = {0};
    int error = text_unescape(&bytes, word, strlen(word));
    if (text_error(&bytes))
        return text_error(&bytes);
    if (!error && bytes.length == 1 && !is_digit(*bytes.data))
        return (unsigned char)*bytes.data;
    uint64_t number = 0;
    return error || parse_digits(bytes.data, bytes.length, 10, UCHAR_MAX, &number) ? 0 : (int)number;
}

/* "PATH: why". */
static int refuse(struct text *answer, const char *path, int error, const char *why)
{
    text_string(answer, path);
    text_printf(answer, ": %s", why);
    return error;
}

static int answer_key(struct ipcfs *fs, const char *escaped, unsigned char project, struct text *answer)
{
    AUTO_TEXT path = {0};
    AUTO_TEXT why = {0};
    uint32_t key = 0;
    if (text_unescape(&path, escaped, strlen(escaped)))
        return refuse(answer, escaped, -EINVAL, "a backslash in a path is \\134");
    text_bytes(&path, "", 1);
    if (text_error(&path))
        return -ENOMEM;
    int error = ftok_key(path.data, project, fs->device, &key, &why);
    if (!error) {
        text_printf(answer, "0x%08" PRIx32 "\n", key);
        return 0;
    }
    text_bytes(&why, "", 1);
    return refuse(answer, escaped, error, why.length > 1 && !text_error(&why) ? why.data : strerror(-error));
}

int control_ftok(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                 const char *line, size_t length, struct text *answer)
{
    (void)kind;
    (void)caller;
    char *path = NULL;
    char *project = NULL;
    AUTO_FREE char *words = strndup(line, length);
    if (!words)
        return -ENOMEM;
    if (split(words, &path, &project)) {
        text_string(answer, "PATH PROJ is wanted: a path, and a number or a character");
        return -EINVAL;
    }
    int number = parse_project(project);
    if (number < 0)
        return number;
    if (!number)
        return refuse(answer, project, -EINVAL, "PROJ is a number of 1 to 255, or one character");
    return answer_key(fs, path, (unsigned char)number, answer);
}
