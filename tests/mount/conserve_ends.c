/* SPDX-License-Identifier: MIT */
#include "conserve.h"
#include "traffic.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20 };

struct packet {
    long type;
    char text[MESSAGE_MAX + 1];
};

struct sender {
    const struct setup *setup;
    unsigned id;
    enum sender_mode mode;
    uint64_t random;
    int fd[PRIORITIES]; /* by priority; all but S_PRIORITY use the first */
    unsigned next;
};

static size_t make_message(char *text, unsigned sender, unsigned priority, unsigned sequence)
{
    uint64_t random = sequence * 31u + sender;
    size_t body = random_next(&random) % (MESSAGE_MAX - HEAD + 1);
    char bytes[MESSAGE_MAX];

    for (size_t i = 0; i < body; i++)
        bytes[i] = 'a' + (char)(random_next(&random) % 26);
    snprintf(text, HEAD + 1, "%02u %u %07u %04zu %08x ", sender, priority, sequence, body,
             checksum(bytes, body));
    memcpy(text + HEAD, bytes, body);
    text[HEAD + body] = '\0';
    return HEAD + body;
}

/* The next number of a head. */
static unsigned long head_number(const char **text, int base)
{
    char *end;
    unsigned long number = strtoul(*text, &end, base);

    *text = *end == ' ' ? end + 1 : "";
    return number;
}

void note_message(const struct setup *setup, unsigned receiver, const char *text, size_t length)
{
    const char *head = text;
    struct shared *shared = setup->shared;

    if (length < HEAD)
        errx(1, "receiver %u got no message: %zu bytes '%.40s'", receiver, length, text);
    unsigned long sender = head_number(&head, 10), priority = head_number(&head, 10);
    unsigned long sequence = head_number(&head, 10), body = head_number(&head, 10),
                  sum = head_number(&head, 16);
    if (head != text + HEAD || length != HEAD + body || checksum(head, body) != sum || sender >= SENDERS ||
        sequence >= SEQUENCES || priority >= PRIORITIES)
        errx(1, "receiver %u got a damaged message: %zu bytes '%s'", receiver, length, text);
    uint32_t at = atomic_fetch_add(&shared->entries, 1);
    if (at >= ENTRIES)
        errx(1, "more messages are received than can have been sent");
    struct entry *entry = &shared->log[at];
    entry->receiver = (uint16_t)receiver;
    entry->sender = (uint8_t)sender;
    entry->priority = (uint8_t)priority;
    entry->sequence = (uint32_t)sequence;
    atomic_store(&entry->valid, 1);
    atomic_fetch_add(&shared->received_by_mode[shared->receivers[receiver].mode], 1);
}

static int open_file(const char *base, const char *verb, int number, int flags)
{
    char path[400];

    snprintf(path, sizeof(path), number >= 0 ? "%s%s%d" : "%s%s", base, verb, number);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        err(1, "open %s", path);
    return fd;
}

static void wait_to(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    poll(&poll_fd, 1, POLL_MS);
}

/* Whether the call is to be made again. */
static bool again(const struct setup *setup, const char *what)
{
    if (errno == EINTR)
        atomic_fetch_add(&setup->shared->interrupted, 1);
    else if (errno != EAGAIN && errno != ETIMEDOUT && errno != ENOMSG)
        err(1, "%s", what);
    return true;
}

/* ---- senders ---- */

static void open_sender(struct sender *s)
{
    const struct setup *setup = s->setup;

    if (s->mode == S_FILE || s->mode == S_NONBLOCK)
        s->fd[0] = open_file(setup->file, "", -1, O_WRONLY | (s->mode == S_NONBLOCK ? O_NONBLOCK : 0));
    else if (s->mode == S_LINES)
        s->fd[0] = open_file(setup->control, "/lines", -1, O_WRONLY);
    else if (s->mode == S_PRIORITY)
        for (int i = 0; i < PRIORITIES; i++)
            s->fd[i] =
                open_file(setup->control, setup->posix ? "/prio/" : "/type/", i + !setup->posix, O_WRONLY);
}

static bool send_native(const struct sender *s, unsigned priority, const char *text, size_t length)
{
    const struct setup *setup = s->setup;
    bool wait = s->mode == S_NATIVE;

    if (setup->posix)
        return mq_send(wait ? setup->queue : setup->nonblocking, text, length, priority) == 0;
    struct packet packet = {.type = priority + 1};
    memcpy(packet.text, text, length);
    return msgsnd(setup->queue, &packet, length, wait ? 0 : IPC_NOWAIT) == 0;
}

/* Native ends are so much faster that nothing would be left to those of the mount. */
static void give_way(const struct setup *setup, bool native, uint64_t *random)
{
    if (setup->file && native)
        usleep(random_next(random) % (setup->beside ? 3000 : 300));
}

static bool send_once(const struct sender *s, unsigned priority, const char *text, size_t length)
{
    if (s->mode <= S_NATIVE_NONBLOCK)
        return send_native(s, priority, text, length);
    ssize_t n = write(s->fd[s->mode == S_PRIORITY ? priority : 0], text, length);
    if (n >= 0 && (size_t)n != length)
        errx(1, "a write of %zu bytes says %zd", length, n);
    return n >= 0;
}

static void wait_for_room(const struct sender *s)
{
    if (errno == EINTR || s->mode == S_NATIVE)
        return;
    if (s->mode == S_NONBLOCK)
        wait_to(s->fd[0], POLLOUT);
    else if (s->setup->posix)
        wait_to(s->setup->nonblocking, POLLOUT);
    else
        usleep(1000);
}

static void send_message(struct sender *s)
{
    struct shared *shared = s->setup->shared;
    bool any = s->mode == S_PRIORITY || s->mode <= S_NATIVE_NONBLOCK;
    unsigned priority = any ? random_next(&s->random) % PRIORITIES : 0, sequence = s->next++;
    char text[MESSAGE_MAX + 1];
    size_t length = make_message(text, s->id, priority, sequence);

    atomic_store(&shared->outcome[s->id][sequence], TRYING);
    while (!send_once(s, priority, text, length)) {
        again(s->setup, "sending");
        if (atomic_load(&shared->stop_senders)) {
            atomic_store(&shared->outcome[s->id][sequence], NEVER);
            return;
        }
        wait_for_room(s);
    }
    atomic_store(&shared->outcome[s->id][sequence], SENT);
    atomic_fetch_add(&shared->sent_by_mode[s->mode], 1);
}

/* A write of several lines may send some of them: it says how many bytes, and the rest is written again. */
static void send_lines(struct sender *s)
{
    struct shared *shared = s->setup->shared;
    static char text[LINES_MAX * (MESSAGE_MAX + 1) + 1];
    size_t end[LINES_MAX], length = 0, done = 0;
    unsigned count = 1 + random_next(&s->random) % LINES_MAX, first = s->next, sent = 0;

    for (unsigned i = 0; i < count; i++, s->next++) {
        length += make_message(text + length, s->id, 0, s->next);
        text[length++] = '\n';
        end[i] = length;
        atomic_store(&shared->outcome[s->id][s->next], TRYING);
    }
    while (done < length) {
        ssize_t n = write(s->fd[0], text + done, length - done);
        if (n < 0)
            again(s->setup, "writing lines");
        done += n > 0 ? n : 0;
        for (; sent < count && end[sent] <= done; sent++) {
            atomic_store(&shared->outcome[s->id][first + sent], SENT);
            atomic_fetch_add(&shared->sent_by_mode[s->mode], 1);
        }
        bool between = done == (sent ? end[sent - 1] : 0);
        if (atomic_load(&shared->stop_senders) && between)
            break;
    }
    for (; sent < count; sent++)
        atomic_store(&shared->outcome[s->id][first + sent], NEVER);
}

int run_sender(const struct setup *setup, unsigned sender, enum sender_mode mode)
{
    struct sender s = {.setup = setup, .id = sender, .mode = mode, .random = setup->seed * 1000 + sender};

    open_sender(&s);
    be_interrupted(&s.random);
    while (!atomic_load(&setup->shared->stop_senders) && s.next + LINES_MAX < SEQUENCES) {
        give_way(setup, mode <= S_NATIVE_NONBLOCK, &s.random);
        if (mode == S_LINES)
            send_lines(&s);
        else
            send_message(&s);
        if (random_next(&s.random) % 64 == 0)
            usleep(random_next(&s.random) % 2000);
    }
    return 0;
}

/* ---- receivers ---- */

static ssize_t receive_native(const struct setup *setup, enum receiver_mode mode, char *text)
{
    long type = mode == R_TYPE ? 2 : mode == R_NEGATIVE ? -3 : 0;
    struct packet packet;

    if (setup->posix)
        return mq_receive(mode == R_NATIVE_NONBLOCK ? setup->nonblocking : setup->queue, text, MESSAGE_MAX,
                          NULL);
    ssize_t n = msgrcv(setup->queue, &packet, MESSAGE_MAX, type, mode == R_NATIVE_NONBLOCK ? IPC_NOWAIT : 0);
    if (n > 0)
        memcpy(text, packet.text, n);
    return n;
}

size_t drain_one(const struct setup *setup, char *text)
{
    ssize_t n = receive_native(setup, R_NATIVE_NONBLOCK, text);

    if (n < 0 && errno != EAGAIN && errno != ENOMSG)
        err(1, "draining");
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? n : 0;
}

/* All pieces of a message; 0: there was none this time. */
static ssize_t receive_pieces(int fd, size_t room, char *text)
{
    size_t length = 0;

    for (;;) {
        size_t left = MESSAGE_MAX + 1 - length;
        ssize_t n = read(fd, text + length, room < left ? room : left);
        if (n < 0 && length == 0)
            return -1;
        if (n < 0 && errno != EINTR)
            err(1, "the rest of a message");
        if (n == 0)
            return (ssize_t)length;
        length += n > 0 ? n : 0;
        if (length > MESSAGE_MAX)
            errx(1, "a message without end: '%.*s'", (int)length, text);
    }
}

static int open_receiver(const struct setup *setup, enum receiver_mode mode)
{
    switch (mode) {
    case R_MESSAGE:
        return open_file(setup->file, "", -1, O_RDONLY);
    case R_PACKET:
        return open_file(setup->file, "", -1, O_RDONLY | O_DIRECT);
    case R_NONBLOCK:
        return open_file(setup->file, "", -1, O_RDONLY | O_NONBLOCK);
    case R_LINES:
        return open_file(setup->control, "/lines", -1, O_RDONLY);
    case R_TYPE:
        return open_file(setup->control, "/type/2", -1, O_RDONLY);
    case R_NEGATIVE:
        return open_file(setup->control, "/type/-3", -1, O_RDONLY);
    default:
        return setup->handle;
    }
}

static void receive_messages(const struct setup *setup, unsigned receiver, uint64_t *random)
{
    enum receiver_mode mode = setup->shared->receivers[receiver].mode;
    bool native = !setup->file || mode == R_NATIVE || mode == R_NATIVE_NONBLOCK;
    int fd = native ? setup->nonblocking : open_receiver(setup, mode);
    char text[MESSAGE_MAX + 2];

    while (!atomic_load(&setup->shared->stop_receivers)) {
        ssize_t n;
        give_way(setup, native, random);
        if (native)
            n = receive_native(setup, mode, text);
        else if (mode == R_SHARED || mode == R_PACKET)
            n = read(fd, text, MESSAGE_MAX);
        else
            n = receive_pieces(fd, 1 + random_next(random) % (MESSAGE_MAX + 1), text);
        if (n > 0) {
            text[n] = '\0';
            note_message(setup, receiver, text, n);
        } else if (n < 0) {
            bool empty = errno != EINTR;
            again(setup, "receiving");
            if (empty && fd >= 0)
                wait_to(fd, POLLIN);
            else if (empty)
                usleep(1000);
        }
    }
}

static void receive_lines(const struct setup *setup, unsigned receiver, size_t room)
{
    int fd = open_receiver(setup, R_LINES);
    static char text[2 * 4096 + MESSAGE_MAX];
    size_t have = 0;

    while (!atomic_load(&setup->shared->stop_receivers) || have > 0) {
        ssize_t n = read(fd, text + have, room);
        if (n == 0)
            errx(1, "lines has an end");
        if (n < 0) {
            again(setup, "reading lines");
            continue;
        }
        have += n;
        char *line = text, *newline;
        while ((newline = memchr(line, '\n', text + have - line))) {
            *newline = '\0';
            note_message(setup, receiver, line, newline - line);
            line = newline + 1;
        }
        have -= line - text;
        memmove(text, line, have);
        if (have > MESSAGE_MAX)
            errx(1, "a line that is too long: '%.*s'", (int)have, text);
    }
}

int run_receiver(const struct setup *setup, unsigned receiver)
{
    struct receiver *r = &setup->shared->receivers[receiver];
    uint64_t random = setup->seed * 77777 + receiver;

    be_interrupted(&random);
    if (r->mode == R_LINES && setup->file) {
        size_t room = 1 + random_next(&random) % 4096;
        r->loss = room / (HEAD + 1) + 1;
        receive_lines(setup, receiver, room);
    } else {
        r->loss = 1;
        receive_messages(setup, receiver, &random);
    }
    return 0;
}
