/* SPDX-License-Identifier: MIT */
#include "background.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* The parent's end: the child's one byte means that it serves, end of file that it is gone. */
static _Noreturn void wait_for_child(int fd)
{
    char byte = 0;
    ssize_t count = 0;
    do
        count = read(fd, &byte, 1);
    while (count < 0 && errno == EINTR);
    _exit(count == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int background_start(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    if (pid > 0) {
        close(ends[1]);
        wait_for_child(ends[0]);
    }
    close(ends[0]);
    (void)setsid();
    (void)!chdir("/");
    return ends[1];
}

void background_ready(int fd)
{
    log_to_syslog();
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int standard = 0; standard <= 2; standard++)
            (void)dup2(null, standard);
    }
    (void)!write(fd, "", 1);
    close(fd);
}
