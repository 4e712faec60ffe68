/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

void fuzz_fail(const char *file, int line, const char *condition)
{
    (void)dprintf(STDERR_FILENO, "%s:%d: this must hold: %s\n", file, line, condition);
    abort();
}

uint8_t input_byte(struct input *input)
{
    if (!input->size)
        return 0;
    input->size--;
    return *input->data++;
}

uint64_t input_number(struct input *input, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | input_byte(input);
    return number;
}

struct input input_part(struct input *input, size_t size)
{
    struct input part = {input->data, size < input->size ? size : input->size};
    input->data += part.size;
    input->size -= part.size;
    return part;
}

struct input input_until(struct input *input, uint8_t end)
{
    const uint8_t *found = input->size ? memchr(input->data, end, input->size) : NULL;
    struct input part = input_part(input, found ? (size_t)(found - input->data) : input->size);
    if (found)
        (void)input_byte(input);
    return part;
}

char *input_string(const struct input *input)
{
    char *string = calloc(1, input->size + 1);
    MUST(string);
    if (input->size)
        memcpy(string, input->data, input->size);
    return string;
}

char *input_copy(const struct input *input)
{
    char *copy = malloc(input->size ? input->size : 1);
    MUST(copy);
    if (input->size)
        memcpy(copy, input->data, input->size);
    return copy;
}
