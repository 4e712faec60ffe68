/* SPDX-License-Identifier: MIT */
/* Reading what is behind a word, by /proc/PID/map_files: that asks for mmap_lock of the process, which it may hold for as long
 * as it likes, so the thread that does it can be given up. */
#include "lock_word.h"

#include "patience.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* So many processes of one user may keep a thread each. */
enum { OWNER_MAX = 4 };

static struct patience patience = PATIENCE(OWNER_MAX);

struct reader {
    struct patient patient;
    size_t count;
    size_t done; /* guarded by the lock of `patience` */
    struct lock_word words[];
};

/* ---- in the thread ---- */

/* Whether it is the memory that is meant: something else may be mapped there by now, which must not be opened. */
static bool is_meant(int fd, const struct lock_word *word)
{
    struct stat stat;
    struct statfs system;
    if (fstat(fd, &stat) < 0 || fstatfs(fd, &system) < 0 || !S_ISREG(stat.st_mode))
        return false;
    if (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC)
        return false;
    return (stat.st_ino & word->mask) == word->number && (!word->device || stat.st_dev == word->device);
}

static void read_word(struct lock_word *word)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, word->pid, word->start,
                   word->end);
    AUTO_FD found = open(path, O_PATH | O_CLOEXEC);
    if (found < 0 || !is_meant(found, word))
        return;
    /* The thread has descriptors of its own: they are not in /proc/self, which is the first thread's. */
    (void)snprintf(path, sizeof path, "/proc/thread-self/fd/%d", found);
    AUTO_FD fd = open(path, O_RDONLY | O_NOATIME | O_NONBLOCK | O_CLOEXEC);
    word->known = fd >= 0 && pread(fd, word->bytes, sizeof word->bytes, (off_t)word->offset) ==
                                 (ssize_t)sizeof word->bytes;
}

static void read_all(struct patient *patient)
{
    struct reader *reader = (struct reader *)patient;
    AUTO_IDENTITY daemon = {0};
    if (identity_put_on(&daemon, NULL))
        return;
    while (reader->done < reader->count) {
        struct lock_word *word = &reader->words[reader->done];
        const struct patience_subject subject = {.number = {(uint64_t)word->pid}, .owner = word->uid};
        if (patience_begin(patient, &subject))
            read_word(word);
        if (!patience_lock(patient))
            return;
        reader->done++;
        patience_unlock(patient);
    }
}

static void free_reader(struct patient *patient)
{
    free(patient);
}

/* ---- who waits for it ---- */

static int start_reader(const struct lock_word *words, size_t count, struct reader **out)
{
    AUTO_FREE struct reader *reader = calloc(1, sizeof *reader + count * sizeof *words);
    if (!reader)
        return -ENOMEM;
    reader->patient.patience = &patience;
    reader->patient.work = read_all;
    reader->patient.release = free_reader;
    reader->count = count;
    memcpy(reader->words, words, count * sizeof *words);
    int error = patience_start(&reader->patient);
    if (!error)
        *out = TAKE_PTR(reader);
    return error;
}

/* Takes what there is; how many. */
static size_t collect(struct reader *reader, struct lock_word *words)
{
    const bool nothing_sooner = false;
    (void)pthread_mutex_lock(&patience.lock);
    (void)patience_await(&reader->patient, &nothing_sooner);
    size_t done = reader->done;
    memcpy(words, reader->words, done * sizeof *words);
    patience_leave(&reader->patient);
    return done;
}

int lock_words_read(struct lock_word *words, size_t count)
{
    for (size_t next = 0; next < count; next++) { /* the one at which a thread is given up is passed over */
        struct reader *reader = NULL;
        int error = start_reader(words + next, count - next, &reader);
        if (error)
            return error == -ENOMEM ? error : 0;
        next += collect(reader, words + next);
    }
    return 0;
}
