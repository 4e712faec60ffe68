/* SPDX-License-Identifier: MIT */
#include "proc_numbers.h"

#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

static bool parse_id(const char *name, int *out)
{
    uint64_t number = 0;
    if (parse_digits(name, strlen(name), 10, INT_MAX, &number))
        return false;
    *out = (int)number;
    return true;
}

/* 1; 0 at the end, or −errno. */
static int fill(struct proc_numbers *numbers)
{
    ssize_t count = getdents64(numbers->directory, numbers->buffer, sizeof numbers->buffer);
    numbers->at = 0;
    numbers->end = count > 0 ? (size_t)count : 0;
    return count < 0 ? -errno : count > 0;
}

int proc_numbers_next(struct proc_numbers *numbers)
{
    for (;;) {
        int more = numbers->at < numbers->end ? 1 : fill(numbers);
        if (more != 1)
            return more;
        const struct dirent64 *entry = (const void *)(numbers->buffer + numbers->at);
        numbers->at += entry->d_reclen;
        numbers->name = entry->d_name;
        if (parse_id(entry->d_name, &numbers->number))
            return 1;
    }
}

int unless_out_of_reach(int error)
{
    bool out_of_reach = error == -ENOENT || error == -ESRCH || error == -EACCES || error == -EPERM;
    return out_of_reach ? 0 : error;
}
