/* SPDX-License-Identifier: MIT */
#include "endpoint.h"
#include "endpoint_sem.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

/* ---- text ---- */

static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int parse_queue(struct endpoint *end, const char *text)
{
    char *colon = strchrnul(text, ':');
    end->name = strndup(text, (size_t)(colon - text));
    end->room = *colon ? strtoul(colon + 1, &colon, 10) : 0;
    end->most = *colon == ':' ? strtoul(colon + 1, NULL, 10) : MESSAGE_USUAL;
    return end->name ? 0 : -1;
}

static int parse_file(struct endpoint *end, const char *text)
{
    static const struct {
        const char *prefix;
        bool packet;
        bool null;
    } forms[] = {{"packet:", true, false}, {"null:", false, true}, {"null-packet:", true, true}};
    const char *path = text;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *rest = after(text, forms[i].prefix);
        if (!rest)
            continue;
        end->packet = forms[i].packet;
        end->null = forms[i].null;
        path = rest;
    }
    end->name = strdup(path);
    return end->name ? 0 : -1;
}

int endpoint_parse(struct endpoint *end, const char *text)
{
    *end = (struct endpoint){.id = -1, .wait = -1};
    int semaphore = semaphore_parse(end, text);
    if (semaphore != 0)
        return semaphore == 1 ? 0 : -1;
    const char *queue = after(text, "mq:");
    if (queue) {
        end->type = ENDPOINT_MQ;
        return parse_queue(end, queue);
    }
    queue = after(text, "sysv:");
    if (!queue)
        return parse_file(end, text);
    end->type = ENDPOINT_SYSV;
    end->key = strtol(queue, NULL, 0);
    return parse_queue(end, queue);
}

/* ---- open ---- */

static int open_mq(struct endpoint *end, int flags)
{
    struct mq_attr attributes = {.mq_maxmsg = end->room ? (long)end->room : 10,
                                 .mq_msgsize = (long)end->most};
    end->id = mq_open(end->name, flags & ~(O_CREAT | O_TRUNC));
    if (end->id != -1 || errno != ENOENT)
        return end->id;
    end->id = mq_open(end->name, flags | O_CREAT | O_EXCL, 0600, &attributes);
    end->made = end->id != -1;
    return end->id;
}

static int make_sysv(struct endpoint *end)
{
    struct msqid_ds state;
    end->id = msgget((key_t)end->key, IPC_CREAT | IPC_EXCL | 0600);
    if (end->id == -1)
        return -1;
    end->made = true;
    if (!end->room)
        return 0;
    if (msgctl(end->id, IPC_STAT, &state) == -1)
        return -1;
    state.msg_qbytes = end->room;
    return msgctl(end->id, IPC_SET, &state);
}

static int open_sysv(struct endpoint *end)
{
    end->id = msgget((key_t)end->key, 0);
    return end->id == -1 && errno == ENOENT ? make_sysv(end) : end->id;
}

int endpoint_open(struct endpoint *end, int flags)
{
    switch (end->type) {
    case ENDPOINT_MQ:
        return open_mq(end, flags) == -1 ? -1 : 0;
    case ENDPOINT_SYSV:
        return open_sysv(end) == -1 ? -1 : 0;
    case ENDPOINT_FILE:
        end->id = open(end->name, flags | O_CLOEXEC | (end->packet ? O_DIRECT : 0), 0600);
        return end->id == -1 ? -1 : 0;
    default:
        return semaphore_open(end, flags);
    }
}

void endpoint_close(struct endpoint *end)
{
    if (is_semaphore(end)) {
        semaphore_close(end);
        return;
    }
    if (end->id != -1 && end->type != ENDPOINT_SYSV)
        close(end->id);
    end->id = -1;
}

void endpoint_free(struct endpoint *end)
{
    if (end->made && end->type == ENDPOINT_MQ)
        (void)mq_unlink(end->name);
    if (end->made && end->type == ENDPOINT_SYSV)
        (void)msgctl(end->id, IPC_RMID, NULL);
    if (is_semaphore(end))
        semaphore_remove(end);
    endpoint_close(end);
    free(end->name);
    end->name = NULL;
}

/* ---- messages ---- */

int endpoint_capacity(const struct endpoint *end, size_t size)
{
    struct mq_attr attributes;
    struct msqid_ds state;
    if (end->type == ENDPOINT_MQ)
        return mq_getattr(end->id, &attributes) == -1 ? -1 : (int)attributes.mq_maxmsg;
    if (end->type == ENDPOINT_SYSV)
        return msgctl(end->id, IPC_STAT, &state) == -1 ? -1 : (int)(state.msg_qbytes / size);
    if (is_semaphore(end))
        return SEMAPHORE_CAPACITY;
    errno = EINVAL;
    return -1;
}

static int all_or_nothing(ssize_t done, size_t size)
{
    if (done >= 0 && (size_t)done != size) {
        errno = EPROTO;
        return -1;
    }
    return done < 0 ? -1 : 0;
}

int endpoint_send(const struct endpoint *end, const struct envelope *envelope, size_t size)
{
    switch (end->type) {
    case ENDPOINT_MQ:
        return mq_send(end->id, envelope->text, size, 0);
    case ENDPOINT_SYSV:
        return msgsnd(end->id, envelope, size, 0);
    case ENDPOINT_FILE:
        return all_or_nothing(write(end->id, envelope->text, size), size);
    default:
        return semaphore_post(end);
    }
}

int endpoint_receive(const struct endpoint *end, struct envelope *envelope, size_t size)
{
    switch (end->type) {
    case ENDPOINT_MQ:
        return all_or_nothing(mq_receive(end->id, envelope->text, MESSAGE_MAX, NULL), size);
    case ENDPOINT_SYSV:
        return all_or_nothing(msgrcv(end->id, envelope, MESSAGE_MAX, 0, 0), size);
    case ENDPOINT_FILE:
        if (all_or_nothing(read(end->id, envelope->text, size), size) == -1)
            return -1;
        return end->packet ? 0 : all_or_nothing(read(end->id, envelope->text, size), 0);
    default:
        return semaphore_wait(end);
    }
}
