/* SPDX-License-Identifier: MIT */
#include "thread_process.h"

#include "small_file.h"

#include "ipcfs/number.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

pid_t thread_process(pid_t thread)
{
    static const char key[] = "\nTgid:\t";
    char path[32];
    char status[1024];
    uint64_t process = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", thread);
    if (thread <= 0 || small_file_read(AT_FDCWD, path, status, sizeof status))
        return 0;
    const char *line = strstr(status, key);
    const char *digits = line ? line + strlen(key) : "";
    return parse_digits(digits, strcspn(digits, "\n"), 10, INT_MAX, &process) ? 0 : (pid_t)process;
}
