/* SPDX-License-Identifier: MIT */
/*
 * A native user of semaphores, for the tests: only sem_* and sem*(2), never the mount.
 *
 *   semaphore posix|sysv NAME COMMAND [ARGUMENT]...   NAME: of the POSIX semaphore without slash; the key of the set
 *
 *   create VALUE...       System V: one semaphore for each value
 *   remove
 *   value                 prints the values
 *   set VALUE             of a POSIX semaphore, by sem_post and sem_trywait; of the first one of a set by SETVAL
 *   wait COUNT            takes so many, one after another, and says "took" each time
 *   post COUNT
 *   op SPEC...            System V: one semop of NUMBER:OPERATION[u][n] (SEM_UNDO, IPC_NOWAIT) each, then says "done"
 *   status                System V: a line "NUMBER VALUE NCOUNT ZCOUNT PID" for each semaphore
 *   hold                  takes one, says "held" and gives it back when its input ends; System V: SEM_UNDO
 *   section DIR COUNT TOKEN [alive]   so many increments under the semaphore, see section.h; "alive": it is not killed,
 *                         so it also sees that nobody else is inside
 *   watch SECONDS SUM     System V: the sum of all values is this in every GETALL; prints how many there were, and how
 *                         many of them were different
 *
 * Nothing waits longer than SEMAPHORE_SECONDS of the environment (10), then SIGALRM ends the program.
 */
#include "section.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

enum { SEMAPHORES_MAX = 256 };

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

static bool posix;
static const char *name;
static char path[300];
static sem_t *sem;
static int semid;

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void open_semaphore(void)
{
    if (posix)
        sem = sem_open(path, 0);
    else
        semid = semget((key_t)strtoul(name, NULL, 0), 0, 0);
    if (posix ? sem == SEM_FAILED : semid < 0)
        err(1, "%s", name);
}

static void create(char **values, int count)
{
    unsigned short all[SEMAPHORES_MAX] = {0};

    if (posix) {
        sem = sem_open(path, O_CREAT | O_EXCL, 0600, (unsigned)strtoul(values[0], NULL, 0));
        if (sem == SEM_FAILED)
            err(1, "sem_open %s", path);
        return;
    }
    for (int i = 0; i < count && i < SEMAPHORES_MAX; i++)
        all[i] = strtoul(values[i], NULL, 0);
    semid = semget((key_t)strtoul(name, NULL, 0), count, IPC_CREAT | IPC_EXCL | 0600);
    if (semid < 0 || semctl(semid, 0, SETALL, (union semun){.array = all}))
        err(1, "semget %s", name);
}

static void remove_semaphore(void)
{
    if (posix ? sem_unlink(path) : semctl(semid, 0, IPC_RMID))
        err(1, "remove %s", name);
}

/* ---- the operations ---- */

static void change(int number, int by, int flags)
{
    struct sembuf op = {.sem_num = number, .sem_op = by, .sem_flg = flags};

    if (semop(semid, &op, 1))
        err(1, "semop %+d", by);
}

static void take(int flags)
{
    if (!posix)
        change(0, -1, flags);
    else if (sem_wait(sem))
        err(1, "sem_wait");
}

static void give(int flags)
{
    if (!posix)
        change(0, 1, flags);
    else if (sem_post(sem))
        err(1, "sem_post");
}

static int posix_value(void)
{
    int value;

    if (sem_getvalue(sem, &value))
        err(1, "sem_getvalue");
    return value;
}

static void set(int value)
{
    if (!posix && semctl(semid, 0, SETVAL, (union semun){.val = value}))
        err(1, "SETVAL");
    if (!posix)
        return;
    while (posix_value() < value)
        give(0);
    while (posix_value() > value && !sem_trywait(sem))
        ;
}

static int members(void)
{
    struct semid_ds ds = {0};

    if (semctl(semid, 0, IPC_STAT, (union semun){.buf = &ds}))
        err(1, "IPC_STAT");
    return (int)ds.sem_nsems;
}

static void print_values(void)
{
    unsigned short all[SEMAPHORES_MAX] = {0};
    int count = posix ? 0 : members();

    if (posix)
        printf("%d\n", posix_value());
    else if (semctl(semid, 0, GETALL, (union semun){.array = all}))
        err(1, "GETALL");
    for (int i = 0; i < count; i++)
        printf("%d%c", all[i], i + 1 == count ? '\n' : ' ');
}

static void print_status(void)
{
    for (int i = 0, count = members(); i < count; i++)
        printf("%d %d %d %d %d\n", i, semctl(semid, i, GETVAL), semctl(semid, i, GETNCNT),
               semctl(semid, i, GETZCNT), semctl(semid, i, GETPID));
}

static void operate(char **words, int count)
{
    struct sembuf ops[SEMAPHORES_MAX] = {0};

    for (int i = 0; i < count && i < SEMAPHORES_MAX; i++) {
        char *end;
        ops[i].sem_num = strtoul(words[i], &end, 10);
        ops[i].sem_op = strtol(end + (*end == ':'), &end, 10);
        ops[i].sem_flg = (strchr(end, 'u') ? SEM_UNDO : 0) | (strchr(end, 'n') ? IPC_NOWAIT : 0);
    }
    if (semop(semid, ops, count))
        err(1, "semop");
    say("done");
}

/* ---- longer ones ---- */

static void until_input_ends(void)
{
    char byte;

    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static void hold(void)
{
    take(SEM_UNDO);
    say("held");
    until_input_ends();
    give(SEM_UNDO);
}

static void sections(const struct section *section, long count)
{
    for (long i = 0; i < count; i++) {
        take(SEM_UNDO);
        section_increment(section, i);
        give(SEM_UNDO);
    }
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void watch(double seconds, long want)
{
    unsigned short all[SEMAPHORES_MAX] = {0}, last[SEMAPHORES_MAX] = {0};
    unsigned long looks = 0, different = 0;
    size_t count = members();

    for (double end = now() + seconds; now() < end; looks++) {
        long sum = 0;
        if (semctl(semid, 0, GETALL, (union semun){.array = all}))
            err(1, "GETALL");
        for (size_t i = 0; i < count; i++)
            sum += all[i];
        if (sum != want)
            errx(1, "look %lu: %d and %d and …, the sum is %ld, not %ld", looks, all[0], all[1], sum, want);
        different += memcmp(last, all, count * sizeof(all[0])) != 0;
        memcpy(last, all, count * sizeof(all[0]));
    }
    printf("%lu %lu\n", looks, different);
}

static int command(const char *word, char **arguments, int count)
{
    long number = count ? strtol(arguments[0], NULL, 0) : 0;

    if (!strcmp(word, "remove"))
        remove_semaphore();
    else if (!strcmp(word, "value"))
        print_values();
    else if (!strcmp(word, "set") && count)
        set((int)number);
    else if (!strcmp(word, "wait") && count)
        for (; number > 0; number--, say("took"))
            take(0);
    else if (!strcmp(word, "post") && count)
        for (; number > 0; number--)
            give(0);
    else if (!strcmp(word, "op") && count && !posix)
        operate(arguments, count);
    else if (!strcmp(word, "status") && !posix)
        print_status();
    else if (!strcmp(word, "hold"))
        hold();
    else if (!strcmp(word, "watch") && count > 1 && !posix)
        watch(strtod(arguments[0], NULL), strtol(arguments[1], NULL, 10));
    else if (!strcmp(word, "section") && count > 2)
        sections(&(struct section){.directory = arguments[0], .token = arguments[2], .alive = count > 3},
                 strtol(arguments[1], NULL, 10));
    else
        return 2;
    return 0;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("SEMAPHORE_SECONDS");

    if (argc < 4)
        errx(2, "usage: see semaphore.c");
    alarm(seconds ? strtoul(seconds, NULL, 10) : 10);
    posix = !strcmp(argv[1], "posix");
    name = argv[2];
    snprintf(path, sizeof(path), "/%s", name);
    if (!strcmp(argv[3], "create") && argc > 4) {
        create(argv + 4, argc - 4);
        return 0;
    }
    open_semaphore();
    int status = command(argv[3], argv + 4, argc - 4);
    if (status)
        errx(status, "usage: see semaphore.c");
    return fflush(stdout) ? 1 : 0;
}
