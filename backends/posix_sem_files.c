/* SPDX-License-Identifier: MIT */
#include "posix_sem_files.h"

#include "posix_sem_object.h"
#include "sem_word.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* So many posts may be asked for in one write. */
enum { POSTS_MAX = 1000000 };
/* A value of 32 bits, a newline, and what snprintf(3) ends it with. */
enum { VALUE_ROOM = 16 };

struct ipcfs_file {
    struct sem_word *word; /* owned */
    bool is_hold;
    atomic_bool taken; /* a hold that has one, to be given back */
};

/* Maps the semaphore for as long as one operation takes. */
static int map_word(const struct ipcfs_ref *ref, struct sem_word **out)
{
    AUTO_FD fd = posix_sem_open_file(ref, O_RDWR);
    return fd < 0 ? fd : sem_word_map(fd, out);
}

/* ---- value ---- */

static int read_value(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    uint64_t word = 0;
    AUTO_FD fd = posix_sem_open_file(ref, O_RDONLY);
    int error = fd < 0 ? fd : sem_word_read(fd, &word);
    if (!error)
        text_printf(out, "%u\n", sem_word_value(word));
    return error;
}

/* The line without blanks around it. */
static const char *trimmed(const struct ipcfs_written *written, size_t *length)
{
    const char *start = written->data;
    const char *end = start + written->size;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *length = (size_t)(end - start);
    return start;
}

/* What is too large need not be a number to its end: as much of it as helps to find it, and in one word. */
static void refuse_range(struct text *reason, const char *word, size_t length, uint64_t max,
                         const char *max_name)
{
    char shown[32];
    (void)snprintf(shown, sizeof shown, "%.*s", (int)length, word);
    text_escape_word(reason, shown);
    text_printf(reason, ": over %s (%llu)", max_name, (unsigned long long)max);
}

/* Says why, of a number that must be from 0 to `max`. */
static int parse_number(const struct ipcfs_written *written, const char *word, size_t length, uint64_t max,
                        const char *max_name, uint64_t *out)
{
    int error = parse_digits(word, length, 10, max, out);
    if (error == -ERANGE)
        refuse_range(written->reason, word, length, max, max_name);
    else if (error)
        text_printf(written->reason, "not a number, which would be digits only");
    return error ? -EINVAL : 0; /* sem_init(3) answers EINVAL to a value that is too large */
}

static int write_value(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    uint64_t value = 0;
    size_t length = 0;
    const char *word = trimmed(written, &length);
    int error = parse_number(written, word, length, SEM_VALUE_MAX, "SEM_VALUE_MAX", &value);
    struct sem_word *mapped = NULL;
    if (!error)
        error = map_word(ref, &mapped);
    if (error)
        return error;
    error = sem_word_set(mapped, (uint32_t)value);
    sem_word_unmap(mapped);
    return error;
}

/* ---- post ---- */

/* Numbers, and what looks as if it were meant for one. Anything else, or nothing, is one post. */
static bool is_about_number(const char *word, size_t length)
{
    return length && strchr("0123456789+-", *word) && *word;
}

static int write_post(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)ref;
    (void)number;
    uint64_t count = 1;
    size_t length = 0;
    const char *word = trimmed(written, &length);
    int error = 0;
    if (is_about_number(word, length))
        error = parse_number(written, word, length, POSTS_MAX, "the posts of one write", &count);
    if (!error)
        error = sem_word_post(written->file->word, (uint32_t)count);
    if (error == -EOVERFLOW)
        text_printf(written->reason, "the value would be over SEM_VALUE_MAX (%d)", SEM_VALUE_MAX);
    return error;
}

/* ---- post, wait and hold, open ---- */

static int open_file(const struct ipcfs_ref *ref, bool is_hold, struct ipcfs_file **out)
{
    struct sem_word *word = NULL;
    int error = map_word(ref, &word);
    if (error)
        return error;
    struct ipcfs_file *file = calloc(1, sizeof *file);
    if (!file) {
        sem_word_unmap(word);
        return -ENOMEM;
    }
    file->word = word;
    file->is_hold = is_hold;
    *out = file;
    return 0;
}

static int open_wait(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EACCES;
    return open_file(ref, false, out);
}

static int open_post(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    (void)flags;
    return open_file(ref, false, out);
}

static int open_hold(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    (void)flags;
    return open_file(ref, true, out);
}

/* −EOVERFLOW, where others have posted up to SEM_VALUE_MAX meanwhile, and −EIDRM leave nothing to be done. */
static void give_back(struct ipcfs_file *file)
{
    if (atomic_exchange(&file->taken, false))
        (void)sem_word_post(file->word, 1);
}

void posix_sem_close(struct ipcfs_file *file)
{
    give_back(file);
    sem_word_unmap(file->word);
    free(file);
}

static int take(struct ipcfs_file *file, struct ipcfs_wait *wait, uint32_t *left)
{
    wait->source = IPCFS_WAIT_KEEPER;
    return wait->block ? sem_word_wait(file->word, left) : sem_word_take(file->word, left);
}

ssize_t posix_sem_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    if (file->is_hold)
        return -EINVAL;
    if (size < VALUE_ROOM)
        return -E2BIG;
    uint32_t left = 0;
    int error = take(file, wait, &left);
    return error ? error : snprintf(buffer, size, "%u\n", left);
}

ssize_t posix_sem_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                            struct ipcfs_wait *wait)
{
    (void)file;
    (void)data;
    (void)size;
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    return -EBADF;
}

size_t posix_sem_message_room(struct ipcfs_file *file)
{
    (void)file;
    return VALUE_ROOM;
}

/* First come, first served among all who want one, to keep it or not. */
uint64_t posix_sem_lane(struct ipcfs_file *file, bool writing)
{
    (void)file;
    (void)writing;
    return 0;
}

int posix_sem_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    uint64_t word = 0;
    wait->source = IPCFS_WAIT_KEEPER;
    if (file->is_hold)
        return 0; /* nothing comes from it, ever */
    int error = sem_word_look(file->word, &word);
    if (error)
        return POLLERR | POLLIN | POLLRDNORM; /* a read says what it is */
    return sem_word_value(word) ? POLLIN | POLLRDNORM : 0;
}

/* Of a hold: one taken is its lock. */
int posix_sem_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    if (!file->is_hold || !lock->whole || lock->range.l_type == F_RDLCK)
        return -EOPNOTSUPP;
    if (lock->range.l_type == F_UNLCK) {
        give_back(file);
        return 0;
    }
    if (atomic_load(&file->taken))
        return 0;
    uint32_t left = 0;
    int error = take(file, wait, &left);
    if (!error && atomic_exchange(&file->taken, true))
        (void)sem_word_post(file->word, 1); /* another call on this file has taken one meanwhile */
    return error;
}

enum { NEEDS_BOTH = IPCFS_NEEDS_READ | IPCFS_NEEDS_WRITE };

const struct ipcfs_verb posix_sem_files[] = {
    {.name = "value",
     .type = IPCFS_VERB_TEXT,
     .mode = 0666,
     .read_needs = IPCFS_NEEDS_READ,
     .write_needs = NEEDS_BOTH,
     .help = "the value; write N: posts or takes as many as make it N",
     .read = read_value,
     .write = write_value},
    {.name = "post",
     .type = IPCFS_VERB_TEXT,
     .mode = 0222,
     .write_needs = NEEDS_BOTH,
     .help = "write N: adds N, all or nothing (sem_post); an empty line or a word adds 1",
     .blank = true,
     .write = write_post,
     .open = open_post},
    {.name = "wait",
     .type = IPCFS_VERB_FILE,
     .mode = 0444,
     .read_needs = NEEDS_BOTH,
     .help = "each read takes one, waiting for it (sem_wait), and gives the value left",
     .open = open_wait},
    {.name = "hold",
     .type = IPCFS_VERB_HOLD,
     .mode = 0666,
     .read_needs = NEEDS_BOTH,
     .write_needs = NEEDS_BOTH,
     .help = "open takes one, waiting for it; it is given back when the last descriptor is closed",
     .open = open_hold},
    {0},
};
