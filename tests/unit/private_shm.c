/* SPDX-License-Identifier: MIT */
#include "private_shm.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

static void must(int result, const char *what)
{
    if (result == 0)
        return;
    (void)fprintf(stderr, "%s: %s; this test runs as root\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void private_shm_enter(const char *options)
{
    must(unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare");
    must(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), "making all mounts private");
    must(mount("none", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options), "tmpfs on /dev/shm");
    must(mount("none", "/run", "tmpfs", MS_NOSUID | MS_NODEV, options), "tmpfs on /run");
}

void private_set(const char *setting, const char *value)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/sys/%s", setting);
    FILE *file = fopen(path, "we");
    bool written = file && fputs(value, file) >= 0;
    must(file && fclose(file) == 0 && written ? 0 : -1, path);
}
