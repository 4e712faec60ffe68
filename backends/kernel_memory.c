/* SPDX-License-Identifier: MIT */
#include "kernel_memory.h"

#include "ipcfs/cleanup.h"

#include <linux/memfd.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* There is one mount for pages of the ordinary size and one for each size of huge pages that the machine has. */
enum { MOUNTS_MAX = 16, HUGE_SHIFT_MIN = 12, HUGE_SHIFT_MAX = 40 };

static dev_t devices[MOUNTS_MAX];
static size_t count; /* both fixed after the start */

/* No page of it is ever used: of huge pages none need be there. */
static void learn(unsigned flags)
{
    struct stat stat;
    AUTO_FD fd = memfd_create("ipcfs", MFD_CLOEXEC | flags);
    if (fd >= 0 && count < MOUNTS_MAX && fstat(fd, &stat) == 0)
        devices[count++] = stat.st_dev;
}

static void learn_all(void)
{
    learn(0);
    for (unsigned shift = HUGE_SHIFT_MIN; shift <= HUGE_SHIFT_MAX; shift++)
        learn(MFD_HUGETLB | shift << MFD_HUGE_SHIFT);
}

void kernel_memory_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, learn_all);
}

bool kernel_memory_is(dev_t device)
{
    for (size_t i = 0; i < count; i++)
        if (devices[i] == device)
            return true;
    return false;
}
