/* SPDX-License-Identifier: MIT */
#include "failing.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The linker's names: __wrap_X is called for X, __real_X is X. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *string);
char *__real_strndup(const char *string, size_t length);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t length);
void __wrap_free(void *memory);

static _Thread_local unsigned countdown;
static _Thread_local bool reached;
static atomic_long live;

void failing_arm(unsigned number)
{
    countdown = number;
    reached = false;
}

bool failing_disarm(void)
{
    countdown = 0;
    return reached;
}

long failing_live(void)
{
    return atomic_load(&live);
}

bool failing_shall_fail(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    reached = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    if (memory)
        atomic_fetch_add(&live, 1);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return failing_shall_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return failing_shall_fail() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (failing_shall_fail())
        return NULL;
    return memory ? __real_realloc(memory, size) : counted(__real_realloc(NULL, size));
}

char *__wrap_strdup(const char *string)
{
    return failing_shall_fail() ? NULL : counted(__real_strdup(string));
}

char *__wrap_strndup(const char *string, size_t length)
{
    return failing_shall_fail() ? NULL : counted(__real_strndup(string, length));
}

void __wrap_free(void *memory)
{
    if (memory)
        atomic_fetch_sub(&live, 1);
    __real_free(memory);
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
