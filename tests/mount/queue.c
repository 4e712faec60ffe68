/* SPDX-License-Identifier: MIT */
/*
 * A native user of message queues, for the tests: only mq_* and msg*, never the mount.
 *
 *   queue mq|sysv NAME COMMAND [ARGUMENT]...      NAME: of the POSIX queue without slash; the key of the System V queue
 *
 *   create                the queue, with the system's default attributes
 *   send PRIO TEXT...     each TEXT a message, of this priority or type
 *   receive COUNT         prints "PRIO LENGTH TEXT" of so many messages
 *   sendseq COUNT         sends 1, 2 … COUNT as text
 *   seq COUNT             receives exactly that, and says where it differs
 *   count                 prints the number of messages
 *   notify                mq only: "registered", and "notified" when a message comes into the empty queue
 *   remove
 *
 * Nothing waits longer than QUEUE_SECONDS of the environment (10), then SIGALRM ends the program.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

static bool posix;
static const char *name;
static mqd_t mqd;
static int msqid;

static struct {
    long type;
    char text[ROOM + 1];
} message;

static void open_queue(int flags)
{
    char path[300];

    if (posix) {
        snprintf(path, sizeof(path), "/%s", name);
        mqd = mq_open(path, O_RDWR | flags, 0600, NULL);
        if (mqd < 0)
            err(1, "mq_open %s", path);
        return;
    }
    msqid = msgget((key_t)strtoul(name, NULL, 0), (flags & O_CREAT ? IPC_CREAT : 0) | 0600);
    if (msqid < 0)
        err(1, "msgget %s", name);
}

static void send_text(long priority, const char *text)
{
    message.type = priority;
    size_t length = strlen(text);
    if (length > ROOM)
        errx(2, "too long");
    memcpy(message.text, text, length);
    if (posix ? mq_send(mqd, message.text, length, priority) : msgsnd(msqid, &message, length, 0))
        err(1, "sending '%.20s'", text);
}

static size_t receive_text(void)
{
    unsigned priority = 0;
    ssize_t length =
        posix ? mq_receive(mqd, message.text, ROOM, &priority) : msgrcv(msqid, &message, ROOM, 0, 0);

    if (length < 0)
        err(1, "receiving");
    if (posix)
        message.type = priority;
    message.text[length] = '\0';
    return length;
}

static void send_all(char **words)
{
    for (char **text = words + 1; *text; text++)
        send_text(strtol(words[0], NULL, 10), *text);
}

static void receive(long count)
{
    while (count-- > 0) {
        size_t length = receive_text();
        printf("%ld %zu %s\n", message.type, length, message.text);
        fflush(stdout);
    }
}

static void send_numbers(long count)
{
    char text[30];

    for (long i = 1; i <= count; i++) {
        snprintf(text, sizeof(text), "%ld", i);
        send_text(posix ? 0 : 1, text);
    }
}

static void receive_numbers(long count)
{
    char want[30];

    for (long i = 1; i <= count; i++) {
        receive_text();
        snprintf(want, sizeof(want), "%ld", i);
        if (strcmp(message.text, want) != 0)
            errx(1, "message %ld is '%s'", i, message.text);
    }
}

static void print_count(void)
{
    struct mq_attr attr;
    struct msqid_ds ds;

    if (posix ? mq_getattr(mqd, &attr) : msgctl(msqid, IPC_STAT, &ds))
        err(1, "attributes");
    printf("%lu\n", posix ? (unsigned long)attr.mq_curmsgs : (unsigned long)ds.msg_qnum);
}

static void wait_for_notification(void)
{
    sigset_t set;
    siginfo_t info;
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (mq_notify(mqd, &event) < 0)
        err(1, "mq_notify");
    puts("registered");
    fflush(stdout);
    if (sigwaitinfo(&set, &info) < 0)
        err(1, "sigwaitinfo");
    if (info.si_code != SI_MESGQ || info.si_value.sival_int != 77)
        errx(1, "notified with code %d and value %d", info.si_code, info.si_value.sival_int);
    puts("notified");
}

static void remove_queue(void)
{
    char path[300];

    snprintf(path, sizeof(path), "/%s", name);
    if (posix ? mq_unlink(path) : msgctl(msqid, IPC_RMID, NULL))
        err(1, "remove %s", name);
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("QUEUE_SECONDS");

    if (argc < 4)
        errx(2, "usage: see queue.c");
    alarm(seconds ? strtoul(seconds, NULL, 10) : 10);
    posix = !strcmp(argv[1], "mq");
    name = argv[2];
    const char *command = argv[3], *argument = argc > 4 ? argv[4] : "";
    open_queue(!strcmp(command, "create") ? O_CREAT : 0);
    if (!strcmp(command, "send") && argc > 5)
        send_all(argv + 4);
    else if (!strcmp(command, "receive"))
        receive(strtol(argument, NULL, 10));
    else if (!strcmp(command, "sendseq"))
        send_numbers(strtol(argument, NULL, 10));
    else if (!strcmp(command, "seq"))
        receive_numbers(strtol(argument, NULL, 10));
    else if (!strcmp(command, "count"))
        print_count();
    else if (!strcmp(command, "notify") && posix)
        wait_for_notification();
    else if (!strcmp(command, "remove"))
        remove_queue();
    else if (strcmp(command, "create") != 0)
        errx(2, "usage: see queue.c");
    return fflush(stdout) ? 1 : 0;
}
