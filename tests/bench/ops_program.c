/* SPDX-License-Identifier: MIT */
/*
 * A program beside a program that finds out the same. The path of a way is one of
 *
 *   run:WORDS   the program with its arguments, one blank between two of them; what it finds is thrown away
 *   sh:WORDS    the same in a shell
 *   read:FILE   no program: the file is opened, read to its end, and closed
 *   FILE        cat of the file
 */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 16 };

/* What follows the prefix; NULL: it is not there. */
static const char *behind(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

static int run_words(struct way *way, const char *words)
{
    char *argv[WORDS_MAX + 1] = {NULL};
    char *copy = strdup(words);
    char *rest = copy;
    if (!copy)
        return way_failed(way, "memory");
    for (size_t i = 0; i < WORDS_MAX && rest; i++)
        argv[i] = strsep(&rest, " ");
    int rc = run_program(way, argv);
    free(copy);
    return rc;
}

static int run_shell(struct way *way, const char *words)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)words, NULL};
    return run_program(way, argv);
}

static int run_cat(struct way *way, const char *path)
{
    char *argv[] = {(char[]){"cat"}, (char *)(uintptr_t)path, NULL};
    return run_program(way, argv);
}

static int run_either(struct way *way, uint64_t n)
{
    (void)n;
    const char *words = behind(way->path, "run:");
    const char *line = behind(way->path, "sh:");
    const char *path = behind(way->path, "read:");
    if (words)
        return run_words(way, words);
    if (line)
        return run_shell(way, line);
    return path ? read_to_end(way, path) : run_cat(way, way->path);
}

const struct op program_ops[] = {
    {.name = "find-out",
     .help = "run:WORDS, sh:WORDS; of a file: cat; read:FILE",
     .once = 1,
     .run = run_either},
    {0},
};
