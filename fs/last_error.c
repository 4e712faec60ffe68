/* SPDX-License-Identifier: MIT */
#include "last_error.h"

#include <time.h>

int last_errors_init(struct last_errors *errors)
{
    *errors = (struct last_errors){0};
    return lock_init(&errors->lock, LOCK_TABLE);
}

void last_errors_destroy(struct last_errors *errors)
{
    for (unsigned i = 0; i < LAST_ERRORS_MAX; i++)
        text_reset(&errors->entries[i].line);
    lock_destroy(&errors->lock);
}

/* The user's entry, or NULL. Called with the lock held. */
static struct last_error *find(struct last_errors *errors, uid_t uid)
{
    for (unsigned i = 0; i < LAST_ERRORS_MAX; i++) {
        struct last_error *entry = &errors->entries[i];
        if (entry->used && entry->uid == uid)
            return entry;
    }
    return NULL;
}

/* Called with the lock held. */
static struct last_error *unused_longest(struct last_errors *errors)
{
    struct last_error *oldest = &errors->entries[0];
    for (unsigned i = 1; i < LAST_ERRORS_MAX; i++) {
        if (errors->entries[i].used < oldest->used)
            oldest = &errors->entries[i];
    }
    return oldest;
}

static void append_time(struct text *line)
{
    struct timespec now;
    struct tm broken;
    char words[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &broken) && strftime(words, sizeof words, "%Y-%m-%dT%H:%M:%SZ", &broken))
        text_string(line, words);
}

void last_error_set(struct last_errors *errors, uid_t uid, const struct text *path, const struct text *reason)
{
    AUTO_TEXT line = {0};
    append_time(&line);
    text_string(&line, " ");
    text_bytes(&line, path->data, path->length);
    text_string(&line, ": ");
    text_bytes(&line, reason->data, reason->length);
    text_string(&line, "\n");
    if (text_error(&line) || text_error(path))
        return;
    lock_take(&errors->lock);
    struct last_error *entry = find(errors, uid);
    if (!entry)
        entry = unused_longest(errors);
    struct text old = entry->line;
    *entry = (struct last_error){.used = ++errors->uses, .uid = uid, .line = line};
    lock_release(&errors->lock);
    line = old;
}

void last_error_text(struct last_errors *errors, uid_t uid, struct text *out)
{
    lock_take(&errors->lock);
    struct last_error *entry = find(errors, uid);
    if (entry) {
        entry->used = ++errors->uses;
        text_bytes(out, entry->line.data, entry->line.length);
    }
    lock_release(&errors->lock);
}
