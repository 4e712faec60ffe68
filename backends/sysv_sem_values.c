/* SPDX-License-Identifier: MIT */
#include "sysv_sem_values.h"

#include "sysv_sem.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int sysv_sem_values_make(size_t count, struct sysv_sem_values *out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = count * sizeof out->values[0];
    size_t room = (bytes + page - 1) / page * page;
    char *mapping = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return -ENOMEM;
    *out = (struct sysv_sem_values){
        .values = (unsigned short *)(void *)(mapping + room - bytes),
        .count = count,
        .mapping = mapping,
        .mapped = room + page,
    };
    if (mprotect(mapping + room, page, PROT_NONE) == 0)
        return 0;
    sysv_sem_values_release(out);
    return -ENOMEM;
}

void sysv_sem_values_release(struct sysv_sem_values *values)
{
    if (!values->mapping)
        return;
    int saved = errno;
    (void)munmap(values->mapping, values->mapped);
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
