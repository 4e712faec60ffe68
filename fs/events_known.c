/* SPDX-License-Identifier: MIT */
#include "events_known.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct key_bytes {
    size_t length;
    char bytes[sizeof(const struct ipcfs_backend *) + NAME_MAX + 1];
};

static void make_key(struct key_bytes *key, const struct ipcfs_backend *kind, const char *name)
{
    size_t length = strnlen(name, NAME_MAX);
    memcpy(key->bytes, &kind, sizeof kind);
    memcpy(key->bytes + sizeof kind, name, length);
    key->bytes[sizeof kind + length] = '\0';
    key->length = sizeof kind + length;
}

static struct known *find(struct known_table *table, const struct key_bytes *key)
{
    struct known *known = NULL;
    HASH_FIND(hh, table->by_name, key->bytes, key->length, known);
    return known;
}

struct known *known_find(struct known_table *table, const struct ipcfs_backend *kind, const char *name)
{
    struct key_bytes key;
    make_key(&key, kind, name);
    return find(table, &key);
}

static struct known *known_new(const struct ipcfs_backend *kind, const struct key_bytes *key)
{
    struct known *known = calloc(1, sizeof *known + key->length + 1);
    if (!known)
        return NULL;
    known->kind = kind;
    known->key = (char *)(known + 1);
    known->key_length = key->length;
    memcpy(known->key, key->bytes, key->length + 1);
    known->name = known->key + sizeof kind;
    return known;
}

struct known *known_get(struct known_table *table, const struct ipcfs_backend *kind, const char *name)
{
    struct key_bytes key;
    make_key(&key, kind, name);
    struct known *known = find(table, &key);
    if (known)
        return known;
    if (HASH_COUNT(table->by_name) < KNOWN_MAX)
        known = known_new(kind, &key);
    if (known)
        HASH_ADD_KEYPTR(hh, table->by_name, known->key, known->key_length, known);
    if (known && !known->hh.tbl) {
        free(known);
        known = NULL;
    }
    if (!known)
        table->full = true;
    return known;
}

void known_drop(struct known_table *table, struct known *known)
{
    HASH_DELETE(hh, table->by_name, known);
    free(known->other);
    free(known);
}

void known_clear(struct known_table *table)
{
    struct known *known = NULL;
    struct known *next = NULL;
    HASH_ITER(hh, table->by_name, known, next) {
        known_drop(table, known);
    }
    *table = (struct known_table){0};
}
