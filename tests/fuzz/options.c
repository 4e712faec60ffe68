/* SPDX-License-Identifier: MIT */
/* The command line: a line of the input is an argument. */
#include "fuzz.h"

#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16 };

/* What is wrong with the arguments is said there, and much is. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stderr = fopen("/dev/null", "we");
    return stderr ? 0 : -1;
}

static int split(struct input *input, char **arguments)
{
    int count = 1;
    arguments[0] = strdup("ipcfs");
    while (input->size && count < ARGUMENTS_MAX) {
        struct input part = input_until(input, '\n');
        arguments[count++] = input_string(&part);
    }
    arguments[count] = NULL;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    char *arguments[ARGUMENTS_MAX + 1];
    struct options options;
    int count = split(&input, arguments);
    int error = options_parse(count, arguments, &options);
    if (!error && !options.help && !options.version) {
        MUST(options.mountpoint && *options.mountpoint == '/');
        MUST(options.threads >= 1 && options.threads <= 256);
        MUST(!options.runtime || *options.runtime == '/');
        MUST(options.fuse.argc >= 2);
    }
    options_free(&options);
    for (int i = 0; i < count; i++)
        free(arguments[i]);
    return 0;
}
