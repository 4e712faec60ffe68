/* SPDX-License-Identifier: MIT */
#include "section.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATH = 400 };

static int lock_inside(const struct section *section)
{
    char path[PATH];

    snprintf(path, sizeof(path), "%s/inside", section->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
        err(1, "somebody else is inside: %s", path);
    return fd;
}

static long read_counter(const char *path)
{
    char text[32] = "";
    char *end = text;
    FILE *file = fopen(path, "re");

    if (!file || !fgets(text, sizeof(text), file))
        err(1, "%s", path);
    fclose(file);
    long value = strtol(text, &end, 10);
    if (end == text)
        errx(1, "%s: no number", path);
    return value;
}

static void write_number(const char *path, long value)
{
    FILE *file = fopen(path, "we");

    if (!file || fprintf(file, "%ld\n", value) < 0 || fclose(file))
        err(1, "%s", path);
}

void section_increment(const struct section *section, long number)
{
    char counter[PATH], next[PATH], try[PATH];
    int inside = section->alive ? lock_inside(section) : -1;

    snprintf(counter, sizeof(counter), "%s/counter", section->directory);
    snprintf(next, sizeof(next), "%s/next.%s.%ld", section->directory, section->token, number);
    snprintf(try, sizeof(try), "%s/try.%s.%ld", section->directory, section->token, number);
    write_number(next, read_counter(counter) + 1);
    write_number(try, number);
    if (rename(next, counter))
        err(1, "%s", counter);
    if (inside >= 0)
        close(inside);
}
