/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <dirent.h>
#include <stddef.h>

int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (directory && readdir(directory)) // NOLINT(concurrency-mt-unsafe): one user per DIR
        count++;
    if (directory)
        closedir(directory);
    return count;
}
