/* SPDX-License-Identifier: MIT */
#include "sysv_sem_values.h"

#include "sysv_sem.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The array of a small set is in one page, before one that is not mapped. Two system calls and a page fault for each would be
 * more than all else that is done for it, so such a mapping is kept for the next: one, for whoever comes first.
 */
static _Atomic(char *) spare;

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* So many bytes of zeros and, at their end, a page that is not mapped. NULL: no memory. */
static char *map(size_t room)
{
    char *mapping =
        mmap(NULL, room + page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping + room, page_size(), PROT_NONE) == 0)
        return mapping;
    (void)munmap(mapping, room + page_size());
    return NULL;
}

int sysv_sem_values_make(size_t count, struct sysv_sem_values *out)
{
    size_t page = page_size();
    size_t bytes = count * sizeof out->values[0];
    size_t room = bytes <= page ? page : (bytes + page - 1) / page * page;
    char *mapping = room == page ? atomic_exchange(&spare, NULL) : NULL;
    if (mapping)
        memset(mapping + room - bytes, 0, bytes);
    else
        mapping = map(room);
    if (!mapping)
        return -ENOMEM;
    *out = (struct sysv_sem_values){
        .values = (unsigned short *)(void *)(mapping + room - bytes),
        .count = count,
        .mapping = mapping,
        .room = room,
    };
    return 0;
}

void sysv_sem_values_release(struct sysv_sem_values *values)
{
    if (!values->mapping)
        return;
    int saved = errno;
    char *none = NULL;
    if (values->room > page_size() || !atomic_compare_exchange_strong(&spare, &none, values->mapping))
        (void)munmap(values->mapping, values->room + page_size());
    errno = saved;
    *values = (struct sysv_sem_values){0};
}

static int call(int id, int command, const struct sysv_sem_values *values)
{
    if (semctl(id, 0, command, (union semun){.array = values->values}) >= 0)
        return 0;
    return errno == EFAULT ? -ESTALE : sysv_sem_error(id, errno, -ESTALE);
}

int sysv_sem_get_all(int id, struct sysv_sem_values *values)
{
    return call(id, GETALL, values);
}

int sysv_sem_set_all(int id, const struct sysv_sem_values *values)
{
    return call(id, SETALL, values);
}

/* GETNCNT and GETZCNT are of one semaphore each, and go through all who wait for the set. */
int sysv_sem_waited(int id)
{
    enum { ASKED_MAX = 64 };
    struct semid_ds state;
    int found = -1;
    if (sysv_sem_state(id, &state) || state.sem_nsems > ASKED_MAX)
        return -1;
    for (int member = 0; member < (int)state.sem_nsems; member++) {
        int more = semctl(id, member, GETNCNT);
        int zero = semctl(id, member, GETZCNT);
        if (more < 0 || zero < 0 || (more + zero > 0 && found >= 0))
            return -1;
        if (more + zero > 0)
            found = member;
    }
    return found;
}
