/* SPDX-License-Identifier: MIT */
/* Objects of all kinds that are made, used by both sides, renamed, and removed while they are open or waited for. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 240, END_BOUND_MS = 10000 };

static const char text[] = "what was written";

/* MNT/DIRECTORY/WORD.PID */
static const char *in_mount(const struct actor *actor, char *path, const char *directory, const char *word)
{
    snprintf(path, PATH, "%s/%s/%s.%d", actor->args[0], directory, word, getpid());
    return path;
}

static void write_line(struct actor *actor, const char *directory, const char *line)
{
    char path[PATH];

    snprintf(path, sizeof(path), "%s/%s", actor->args[0], directory);
    int fd = (int)must(actor, open(path, O_WRONLY | O_CLOEXEC), path);
    if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        fail(actor, "'%s' to %s: %s", line, directory, strerror(errno));
    close(fd);
}

static void expect_text(struct actor *actor, long n, const char *got, const char *how)
{
    if (n != (long)sizeof(text) || memcmp(got, text, sizeof(text)) != 0)
        fail(actor, "%s: %ld bytes, %s", how, n, n < 0 ? strerror(errno) : "or others");
}

static int fork_reader(struct actor *actor, const char *path)
{
    int pid = fork_child(actor);

    if (pid > 0)
        return pid;
    char got[100];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    _exit(fd < 0 ? errno : read(fd, got, sizeof(got)) < 0 ? errno : 0);
}

/* The object of a reader that waits is removed: it ends so, or it came too late. */
static void expect_end(struct actor *actor, int pid, int end)
{
    int status, done;

    for (int i = 0; (done = waitpid(pid, &status, WNOHANG)) <= 0; i++) {
        if (done < 0 && errno != EINTR)
            must(actor, done, "waitpid");
        if (i > END_BOUND_MS)
            fail(actor, "a reader goes on waiting for an object that was removed");
        usleep(1000);
    }
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != end && WEXITSTATUS(status) != ENOENT))
        fail(actor, "a reader of a removed object ends with status %#x", status);
}

static void name_shm(struct actor *actor)
{
    char path[PATH], other[PATH], native[PATH], got[100];

    in_mount(actor, path, "shm", "one");
    in_mount(actor, other, "shm", "other");
    snprintf(native, sizeof(native), "/dev/shm/other.%d", getpid());
    int fd = (int)must(actor, open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600), "create of shm");
    expect_text(actor, pwrite(fd, text, sizeof(text), 0), text, "write of shm");
    must(actor, rename(path, other), "rename of shm");
    int file = (int)must(actor, open(native, O_RDONLY | O_CLOEXEC), "native open of what was renamed");
    expect_text(actor, read(file, got, sizeof(got)), got, "native read of what was renamed");
    must(actor, unlink(pick(actor, 2) ? other : native), "unlink of shm");
    expect_text(actor, pread(fd, got, sizeof(got), 0), got, "read of what was removed");
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_nlink != 0)
        fail(actor, "fstat of what was removed: %lu links, %s", (unsigned long)status.st_nlink,
             strerror(errno));
    close(file);
    close(fd);
}

static void name_mq(struct actor *actor)
{
    char path[PATH], native[40], line[80], got[100];

    snprintf(native, sizeof(native), "/one.%d", getpid());
    snprintf(line, sizeof(line), "one.%d maxmsg=2 msgsize=64\n", getpid());
    write_line(actor, "ctl/mq/create", line);
    in_mount(actor, path, "mq", "one");
    mqd_t queue = (mqd_t)must(actor, mq_open(native, O_RDWR), "mq_open");
    must(actor, mq_send(queue, text, sizeof(text), 3), "mq_send");
    int fd = (int)must(actor, open(path, O_RDWR | O_DIRECT | O_CLOEXEC), "open of a queue");
    expect_text(actor, read(fd, got, sizeof(got)), got, "read of a queue");
    expect_text(actor, write(fd, text, sizeof(text)), text, "write of a queue");
    expect_text(actor, mq_receive(queue, got, sizeof(got), NULL), got, "mq_receive");
    int reader = fork_reader(actor, path);
    usleep(pick(actor, 5000));
    must(actor, pick(actor, 2) ? unlink(path) : mq_unlink(native), "unlink of a queue");
    must(actor, mq_send(queue, text, sizeof(text), 0), "mq_send to a queue without a name");
    expect_end(actor, reader, 0);
    close(fd);
    mq_close(queue);
}

static void name_msg(struct actor *actor)
{
    char path[PATH];
    struct {
        long type;
        char text[100];
    } packet;
    int key = 0x10000 + getpid();

    snprintf(path, sizeof(path), "%s/sysv/msg/by-key/%#010x", actor->args[0], key);
    int fd = (int)must(actor, open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600),
                       "create of a System V queue");
    int queue = (int)must(actor, msgget(key, 0), "msgget");
    expect_text(actor, write(fd, text, sizeof(text)), text, "write of a System V queue");
    expect_text(actor, msgrcv(queue, &packet, sizeof(packet.text), 1, IPC_NOWAIT), packet.text, "msgrcv");
    int reader = fork_reader(actor, path);
    usleep(pick(actor, 5000));
    must(actor, pick(actor, 2) ? unlink(path) : msgctl(queue, IPC_RMID, NULL), "removal of a System V queue");
    expect_end(actor, reader, EIDRM);
    close(fd);
}

static void name_sem(struct actor *actor)
{
    char path[PATH], file[PATH + 10], native[40], got[100];

    snprintf(native, sizeof(native), "/one.%d", getpid());
    must(actor, mkdir(in_mount(actor, path, "sem", "one"), 0700), "mkdir of a semaphore");
    sem_t *semaphore = sem_open(native, 0);
    if (semaphore == SEM_FAILED || sem_post(semaphore) < 0)
        fail(actor, "sem_open of what was made: %s", strerror(errno));
    snprintf(file, sizeof(file), "%s/value", path);
    long n = read_text(file, got, sizeof(got));
    if (n != 2 || strcmp(got, "1\n") != 0)
        fail(actor, "value after a post: %ld, '%s'", n, got);
    must(actor, sem_wait(semaphore), "sem_wait");
    snprintf(file, sizeof(file), "%s/wait", path);
    int reader = fork_reader(actor, file);
    usleep(pick(actor, 5000));
    must(actor, pick(actor, 2) ? rmdir(path) : sem_unlink(native), "removal of a semaphore");
    must(actor, sem_post(semaphore), "post of a semaphore without a name");
    expect_end(actor, reader, 0);
    sem_close(semaphore);
}

static void name_set(struct actor *actor)
{
    char path[PATH], line[80];
    int key = 0x10000 + getpid();
    struct sembuf op = {.sem_num = 1, .sem_op = 2};

    snprintf(line, sizeof(line), "%#010x nsems=2\n", key);
    write_line(actor, "ctl/sysv/sem/create", line);
    int set = (int)must(actor, semget(key, 0, 0), "semget");
    must(actor, semop(set, &op, 1), "semop");
    snprintf(line, sizeof(line), "sysv/sem/by-key/%#010x/op", key);
    write_line(actor, line, "1:-2 0:+1");
    long value = must(actor, semctl(set, 0, GETVAL), "GETVAL");
    if (value != 1)
        fail(actor, "value after an op: %ld", value);
    snprintf(path, sizeof(path), "%s/sysv/sem/by-id/%d/1/wait", actor->args[0], set);
    int reader = fork_reader(actor, path);
    usleep(pick(actor, 5000));
    snprintf(path, sizeof(path), "%s/sysv/sem/by-key/%#010x", actor->args[0], key);
    must(actor, pick(actor, 2) ? rmdir(path) : semctl(set, 0, IPC_RMID), "removal of a set");
    expect_end(actor, reader, EIDRM);
}

static void name_segment(struct actor *actor)
{
    char path[PATH], got[100];
    int key = 0x10000 + getpid();

    snprintf(path, sizeof(path), "%s/sysv/shm/by-key/%#010x", actor->args[0], key);
    int fd = (int)must(actor, open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600), "create of a segment");
    must(actor, ftruncate(fd, 8192), "size of a segment");
    int segment = (int)must(actor, shmget(key, 0, 0), "shmget");
    char *address = shmat(segment, NULL, 0);
    if (address == (void *)-1)
        must(actor, -1, "shmat");
    memcpy(address + 4096, text, sizeof(text));
    must(actor, pick(actor, 2) ? unlink(path) : shmctl(segment, IPC_RMID, NULL), "removal of a segment");
    expect_text(actor, pread(fd, got, sizeof(text), 4096), got, "read of a segment that was removed");
    shmdt(address);
    close(fd);
}

static void name_pipe(struct actor *actor)
{
    char path[PATH], other[PATH], got[100];

    must(actor, mkfifo(in_mount(actor, path, "pipe", "one"), 0600), "mkfifo");
    in_mount(actor, other, "pipe", "other");
    int fd = (int)must(actor, open(path, O_RDWR | O_CLOEXEC), "open of a pipe");
    must(actor, rename(path, other), "rename of a pipe");
    int end = (int)must(actor, open(other, O_WRONLY | O_NONBLOCK | O_CLOEXEC), "open of what was renamed");
    expect_text(actor, write(end, text, sizeof(text)), text, "write of a pipe");
    must(actor, unlink(other), "unlink of a pipe");
    expect_text(actor, read(fd, got, sizeof(got)), got, "read of a pipe that was removed");
    close(end);
    close(fd);
}

static void name_socket(struct actor *actor)
{
    char path[PATH], accept[PATH + 10];

    must(actor, mkdir(in_mount(actor, path, "sock", "one"), 0700), "mkdir of a socket");
    snprintf(accept, sizeof(accept), "%s/accept", path);
    int reader = fork_reader(actor, accept);
    usleep(pick(actor, 5000));
    must(actor, rmdir(path), "rmdir of a socket");
    expect_end(actor, reader, EIDRM);
    struct sockaddr_un address = unix_address(actor, in_mount(actor, path, "sock", "bound"));
    int fd = (int)must(actor, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    must(actor, bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
    if (sendto(fd, text, sizeof(text), 0, (struct sockaddr *)&address, sizeof(address)) != sizeof(text))
        fail(actor, "sendto: %s", strerror(errno));
    must(actor, unlink(path), "unlink of a socket");
    close(fd);
}

static const struct {
    const char *step;
    void (*run)(struct actor *actor);
} kinds[] = {
    {"shm", name_shm},   {"mq", name_mq},        {"sysv/msg", name_msg},
    {"sem", name_sem},   {"sysv/sem", name_set}, {"sysv/shm", name_segment},
    {"pipe", name_pipe}, {"sock", name_socket},
};

/* MNT */
static void name(struct actor *actor)
{
    while (working(actor)) {
        unsigned kind = (unsigned)pick(actor, sizeof(kinds) / sizeof(*kinds));
        step(actor, kinds[kind].step);
        kinds[kind].run(actor);
        usleep(pick(actor, 3000));
    }
}

const struct role name_roles[] = {
    {"name", 1, false, name},
    {0},
};
