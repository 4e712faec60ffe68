/* SPDX-License-Identifier: MIT */
#include "endpoint_sem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

/* ---- text ---- */

int semaphore_parse(struct endpoint *end, const char *text)
{
    static const struct {
        const char *prefix;
        enum endpoint_type type;
    } forms[] = {{"sem:", ENDPOINT_SEM}, {"semset:", ENDPOINT_SEM_SET}, {"sem-dir:", ENDPOINT_SEM_DIR}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t length = strlen(forms[i].prefix);
        if (strncmp(text, forms[i].prefix, length) != 0)
            continue;
        char *rest = NULL;
        end->type = forms[i].type;
        end->key = strtol(text + length, &rest, 0);
        end->num = *rest == ':' ? (unsigned short)strtoul(rest + 1, NULL, 10) : 0;
        end->name = strdup(text + length);
        return end->name ? 1 : -1;
    }
    return 0;
}

bool is_semaphore(const struct endpoint *end)
{
    return end->type == ENDPOINT_SEM || end->type == ENDPOINT_SEM_SET || end->type == ENDPOINT_SEM_DIR;
}

/* ---- open ---- */

static int open_posix(struct endpoint *end)
{
    sem_t *sem = sem_open(end->name, 0);
    if (sem == SEM_FAILED && errno == ENOENT) {
        sem = sem_open(end->name, O_CREAT | O_EXCL, 0600, 0);
        end->made = sem != SEM_FAILED;
    }
    if (sem == SEM_FAILED)
        return -1;
    end->sem = sem;
    return 0;
}

static int open_set(struct endpoint *end)
{
    end->id = semget((key_t)end->key, 0, 0);
    if (end->id == -1 && errno == ENOENT) {
        end->id = semget((key_t)end->key, SET_SEMAPHORES, IPC_CREAT | IPC_EXCL | 0600);
        end->made = end->id != -1;
    }
    return end->id == -1 ? -1 : 0;
}

static int open_file(const struct endpoint *end, const char *name, int flags)
{
    char *path;
    if (asprintf(&path, "%s/%s", end->name, name) == -1)
        return -1;
    int fd = open(path, flags | O_CLOEXEC);
    free(path);
    return fd;
}

static int open_directory(struct endpoint *end, int flags)
{
    int access = flags & O_ACCMODE;
    if (access != O_RDONLY && (end->id = open_file(end, "post", O_WRONLY)) == -1)
        return -1;
    if (access != O_WRONLY && (end->wait = open_file(end, "wait", O_RDONLY | O_DIRECT)) == -1)
        return -1;
    return 0;
}

int semaphore_open(struct endpoint *end, int flags)
{
    switch (end->type) {
    case ENDPOINT_SEM:
        return open_posix(end);
    case ENDPOINT_SEM_SET:
        return open_set(end);
    default:
        return open_directory(end, flags);
    }
}

void semaphore_close(struct endpoint *end)
{
    if (end->sem)
        sem_close(end->sem);
    if (end->type == ENDPOINT_SEM_DIR && end->id != -1)
        close(end->id);
    if (end->wait != -1)
        close(end->wait);
    end->sem = NULL;
    end->id = end->wait = -1;
}

void semaphore_remove(struct endpoint *end)
{
    if (end->made && end->type == ENDPOINT_SEM)
        (void)sem_unlink(end->name);
    if (end->made && end->type == ENDPOINT_SEM_SET)
        (void)semctl(end->id, 0, IPC_RMID);
    end->made = false;
}

/* ---- use ---- */

static int change(const struct endpoint *end, short by, short flags)
{
    struct sembuf step = {.sem_num = end->num, .sem_op = by, .sem_flg = flags};
    return semop(end->id, &step, 1);
}

int semaphore_post(const struct endpoint *end)
{
    static const char one[] = "1\n";
    switch (end->type) {
    case ENDPOINT_SEM:
        return sem_post(end->sem);
    case ENDPOINT_SEM_SET:
        return change(end, 1, 0);
    default:
        return write(end->id, one, sizeof one - 1) == sizeof one - 1 ? 0 : -1;
    }
}

/* In packet mode every read takes one; nothing in it would be the end of the file. */
static int wait_file(const struct endpoint *end)
{
    char left[16];
    ssize_t got = read(end->wait, left, sizeof left);
    if (got == 0)
        errno = EPROTO;
    return got > 0 ? 0 : -1;
}

int semaphore_wait(const struct endpoint *end)
{
    switch (end->type) {
    case ENDPOINT_SEM:
        return sem_wait(end->sem);
    case ENDPOINT_SEM_SET:
        return change(end, -1, 0);
    default:
        return wait_file(end);
    }
}

int semaphore_hold(const struct endpoint *end)
{
    if (end->type == ENDPOINT_SEM)
        return sem_wait(end->sem) == -1 ? -1 : sem_post(end->sem);
    return change(end, -1, SEM_UNDO) == -1 ? -1 : change(end, 1, SEM_UNDO);
}

int semaphore_value(const struct endpoint *end)
{
    int value;
    if (end->type == ENDPOINT_SEM)
        return sem_getvalue(end->sem, &value) == -1 ? -1 : value;
    return semctl(end->id, end->num, GETVAL);
}
