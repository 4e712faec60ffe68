/* SPDX-License-Identifier: MIT */
#include "thing_name.h"

#include <string.h>

struct thing_name thing_name_of(const char *path)
{
    static const char deleted[] = " (deleted)";
    static const size_t suffix = sizeof deleted - 1;
    const char *slash = strrchr(path, '/');
    struct thing_name name = {.text = slash ? slash + 1 : path};
    name.length = strlen(name.text);
    if (name.length > suffix && memcmp(name.text + name.length - suffix, deleted, suffix) == 0)
        name.length -= suffix;
    return name;
}

bool thing_name_begins(const struct thing_name *name, const char *prefix)
{
    size_t length = strlen(prefix);
    return name->length >= length && memcmp(name->text, prefix, length) == 0;
}

bool thing_name_is_deeper(const char *path, const char *parent)
{
    size_t length = strlen(parent);
    return strncmp(path, parent, length) == 0 && path[length] == '/' && strchr(path + length + 1, '/');
}
