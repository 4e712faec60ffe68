/* SPDX-License-Identifier: MIT */
/*
 * A client that is killed at one of its system calls.
 *
 *   killed PATIENCE STOP MICROSECONDS STEP [ARGUMENT]... [STEP...]
 *
 * It takes the steps, and at the STOP-th stop of ptrace(2), an entry to a system call where odd, an exit where even, it gets
 * SIGKILL; with MICROSECONDS not −1 so long after it has gone on from there. Where a call lasts longer than PATIENCE
 * milliseconds it says "waits", and is killed once there is a byte, or the end, of its input.
 *
 * Status: 0, all steps were taken before; 3, it was killed; 4, it was killed while it waited; 1, a step failed.
 *
 * Steps work on the descriptor that was opened last:
 *   open FLAGS PATH     FLAGS of: r w (both: rw), c x t (O_CREAT, O_EXCL, O_TRUNC), n (O_NONBLOCK), d (O_DIRECTORY)
 *   write TEXT          "_" is written as a blank, "," as a newline
 *   read SIZE, size LENGTH, list, lock, flock, poll, seek (to the start)
 *   map                 a page, written to
 *   other               the descriptor opened before becomes the last one
 *   close
 *   mkdir, rmdir, mkfifo, unlink PATH; bind, connect PATH (the socket is then the last descriptor); rename PATH PATH
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, LOOKS_US = 50 };

/* ---- the client ---- */

static int last = -1;
static int before = -1;

static int keep(int fd)
{
    before = last;
    last = fd;
    return fd;
}

static int step_open(char **argument)
{
    static const struct {
        char letter;
        int flag;
    } letters[] = {{'c', O_CREAT}, {'x', O_EXCL}, {'t', O_TRUNC}, {'n', O_NONBLOCK}, {'d', O_DIRECTORY}};
    bool writes = strchr(argument[0], 'w');
    int flags = writes ? strchr(argument[0], 'r') ? O_RDWR : O_WRONLY : O_RDONLY;

    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strchr(argument[0], letters[i].letter))
            flags |= letters[i].flag;
    return keep(open(argument[1], flags, 0600));
}

static int step_read(char **argument)
{
    static char buffer[1 << 17];
    return read(last, buffer, strtoul(argument[0], NULL, 10)) < 0 ? -1 : 0;
}

static int step_write(char **argument)
{
    for (char *c = argument[0]; *c; c++)
        *c = *c == '_' ? ' ' : *c == ',' ? '\n' : *c;
    return write(last, argument[0], strlen(argument[0])) < 0 ? -1 : 0;
}

static int step_size(char **argument)
{
    return ftruncate(last, strtol(argument[0], NULL, 10));
}

static int step_list(char **argument)
{
    char buffer[PAGE];
    ssize_t count;

    (void)argument;
    while ((count = getdents64(last, buffer, sizeof buffer)) > 0)
        ;
    return count < 0 ? -1 : 0;
}

static int step_lock(char **argument)
{
    struct flock lock = {.l_type = F_WRLCK};

    (void)argument;
    return fcntl(last, F_SETLKW, &lock);
}

static int step_flock(char **argument)
{
    (void)argument;
    return flock(last, LOCK_EX);
}

static int step_poll(char **argument)
{
    struct pollfd wanted = {.fd = last, .events = POLLIN};

    (void)argument;
    return poll(&wanted, 1, -1) < 0 ? -1 : 0;
}

static int step_seek(char **argument)
{
    (void)argument;
    return lseek(last, 0, SEEK_SET) < 0 ? -1 : 0;
}

static int step_map(char **argument)
{
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, last, 0);

    (void)argument;
    if (page != MAP_FAILED)
        page[0] = 'm';
    return page == MAP_FAILED ? -1 : 0;
}

static int step_other(char **argument)
{
    int fd = last;

    (void)argument;
    last = before;
    before = fd;
    return 0;
}

static int step_close(char **argument)
{
    (void)argument;
    return close(last);
}

static int step_mkdir(char **argument)
{
    return mkdir(argument[0], 0700);
}

static int step_rmdir(char **argument)
{
    return rmdir(argument[0]);
}

static int step_mkfifo(char **argument)
{
    return mkfifo(argument[0], 0600);
}

static int step_unlink(char **argument)
{
    return unlink(argument[0]);
}

static int step_rename(char **argument)
{
    return rename(argument[0], argument[1]);
}

static int at_address(const char *path, int (*call)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return call(keep(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address, sizeof address);
}

static int step_bind(char **argument)
{
    return at_address(argument[0], bind);
}

static int step_connect(char **argument)
{
    return at_address(argument[0], connect);
}

static const struct step {
    const char *name;
    int arguments;
    int (*take)(char **argument);
} steps[] = {
    {"open", 2, step_open},       {"read", 1, step_read},     {"write", 1, step_write},
    {"size", 1, step_size},       {"list", 0, step_list},     {"lock", 0, step_lock},
    {"flock", 0, step_flock},     {"poll", 0, step_poll},     {"seek", 0, step_seek},
    {"map", 0, step_map},         {"other", 0, step_other},   {"close", 0, step_close},
    {"mkdir", 1, step_mkdir},     {"rmdir", 1, step_rmdir},   {"mkfifo", 1, step_mkfifo},
    {"unlink", 1, step_unlink},   {"rename", 2, step_rename}, {"bind", 1, step_bind},
    {"connect", 1, step_connect},
};

static const struct step *find_step(const char *name)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(steps[i].name, name) == 0)
            return &steps[i];
    errx(1, "no step is called %s", name);
}

static void be_the_client(char **words)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        err(1, "ptrace");
    (void)raise(SIGSTOP);
    while (*words) {
        const struct step *step = find_step(*words++);
        if (step->take(words) < 0)
            err(1, "%s %s", step->name, step->arguments ? *words : "");
        words += step->arguments;
    }
    _exit(0);
}

/* ---- who kills it ---- */

static void pause_us(long microseconds)
{
    const struct timespec time = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};

    (void)nanosleep(&time, NULL);
}

static int end(pid_t client, int status)
{
    (void)kill(client, SIGKILL);
    (void)waitpid(client, NULL, __WALL);
    return status;
}

static long now_us(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Waits for the next stop, or the end. False: the client waits for something. */
static bool next_stop(pid_t client, long patience_ms, int *status)
{
    for (long until = now_us() + patience_ms * 1000; now_us() < until; pause_us(LOOKS_US))
        if (waitpid(client, status, WNOHANG | __WALL) > 0)
            return true;
    return false;
}

static int follow(pid_t client, long patience_ms, long stop, long microseconds)
{
    int status;

    for (long at = 1;; at++) {
        if (ptrace(PTRACE_SYSCALL, client, NULL, NULL) < 0)
            err(1, "PTRACE_SYSCALL");
        if (!next_stop(client, patience_ms, &status)) {
            char byte;
            (void)puts("waits");
            (void)fflush(stdout);
            (void)!read(0, &byte, 1);
            return end(client, 4);
        }
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
            errx(1, "the client has status %#x", (unsigned)status);
        if (at < stop)
            continue;
        if (microseconds >= 0 && ptrace(PTRACE_CONT, client, NULL, NULL) == 0)
            pause_us(microseconds);
        return end(client, 3);
    }
}

int main(int argc, char **argv)
{
    int status;

    if (argc < 5)
        errx(1, "usage: killed PATIENCE STOP MICROSECONDS STEP...");
    pid_t client = fork();
    if (client < 0)
        err(1, "fork");
    if (client == 0)
        be_the_client(argv + 4);
    if (waitpid(client, &status, __WALL) < 0 || !WIFSTOPPED(status))
        errx(1, "the client did not stop");
    if (ptrace(PTRACE_SETOPTIONS, client, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
        err(1, "PTRACE_SETOPTIONS");
    return follow(client, strtol(argv[1], NULL, 10), strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
}
