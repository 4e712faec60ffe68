/* SPDX-License-Identifier: MIT */
/*
 * crowd: a machine with many objects, and many processes that have them.
 *
 * usage: crowd PROCESSES OBJECTS SEGMENTS
 *
 * Makes so many shared memory objects (/crowd0 …) and System V segments, and QUEUES queues (/crowd0 …). Of each eight processes
 * one waits in one of the queues, one for a System V semaphore, one in a pipe and one for a POSIX semaphore; all have
 * OBJECTS_EACH of the objects open and mapped, a segment attached, a pipe and two connected sockets. The first HOLDERS have
 * the object and the queue /held, too, and the first segment. When all are there it says "ready" and the pid of one of
 * these on stdout, and waits for the end of stdin. All that it has made goes with it and with its name space.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUEUES = 64, OBJECTS_EACH = 4, HOLDERS = 5, PAGE = 4096, NAME_ROOM = 32 };

static size_t objects;
static size_t segments;
static int first_segment;
static int semaphore_set;
static int pipe_of_all[2]; /* nobody writes into it */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- what there is ---- */

static const char *name_of(char name[NAME_ROOM], const char *prefix, size_t number)
{
    snprintf(name, NAME_ROOM, "/%s%zu", prefix, number);
    return name;
}

static void make_object(const char *name)
{
    int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
    if (fd == -1 || ftruncate(fd, PAGE) == -1)
        fail(name);
    close(fd);
}

static void make_queue(const char *name)
{
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    if (queue == -1)
        fail(name);
    mq_close(queue);
}

static void make_all(void)
{
    char name[NAME_ROOM];
    make_object("/held");
    make_queue("/held");
    for (size_t i = 0; i < objects; i++)
        make_object(name_of(name, "crowd", i));
    for (size_t i = 0; i < QUEUES; i++)
        make_queue(name_of(name, "crowd", i));
    for (size_t i = 0; i < segments; i++) {
        int id = shmget(IPC_PRIVATE, PAGE, 0600);
        if (id == -1)
            fail("segment");
        first_segment = i == 0 ? id : first_segment;
    }
    semaphore_set = semget(IPC_PRIVATE, QUEUES, 0600);
    if (semaphore_set == -1 || pipe2(pipe_of_all, O_CLOEXEC) == -1)
        fail("semaphores and pipe");
}

/* ---- a process ---- */

static void *map_object(const char *name)
{
    int fd = shm_open(name, O_RDWR, 0);
    void *map = fd == -1 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fail(name);
    return map;
}

static mqd_t open_queue(const char *name)
{
    mqd_t queue = mq_open(name, O_RDWR);
    if (queue == -1)
        fail(name);
    return queue;
}

/* Returns the last object, which is zero. */
static void *hold(size_t number)
{
    char name[NAME_ROOM];
    int fds[2];
    void *map = NULL;
    for (size_t i = 0; i < OBJECTS_EACH; i++)
        map = map_object(name_of(name, "crowd", (number * OBJECTS_EACH + i) % objects));
    if (pipe(fds) == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1)
        fail("pipe and sockets");
    struct shmid_ds any;
    int id =
        shmctl((int)(number % segments), SHM_STAT, &any); /* by index, which here is that of its making */
    if (id == -1 || shmat(id, NULL, 0) == (void *)-1)
        fail("segment");
    if (number >= HOLDERS)
        return map;
    map_object("/held");
    open_queue("/held");
    if (shmat(first_segment, NULL, 0) == (void *)-1)
        fail("first segment");
    return map;
}

static _Noreturn void stay(size_t number, void *object)
{
    char name[NAME_ROOM];
    char text[64];
    struct sembuf take = {.sem_num = (unsigned short)(number / 8 % QUEUES), .sem_op = -1};
    for (;;) {
        switch (number % 8) {
        case 0:
            (void)mq_receive(open_queue(name_of(name, "crowd", number / 8 % QUEUES)), text, sizeof text,
                             NULL);
            break;
        case 1:
            (void)semop(semaphore_set, &take, 1);
            break;
        case 2:
            (void)!read(pipe_of_all[0], text, sizeof text);
            break;
        case 3:
            (void)sem_wait(object);
            break;
        default:
            pause();
        }
    }
}

/* Closing `told` says that it is there. */
static _Noreturn void be_one(size_t number, int told)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(pipe_of_all[1]);
    void *object = hold(number);
    if (number % 8 == 3 && sem_init(object, 1, 0) == -1)
        fail("semaphore");
    close(told);
    stay(number, object);
}

/* ---- all of them ---- */

static size_t number_of(const char *text)
{
    char *end = NULL;
    size_t number = strtoul(text, &end, 10);
    if (!number || *end) {
        fprintf(stderr, "usage: crowd PROCESSES OBJECTS SEGMENTS\n");
        exit(2);
    }
    return number;
}

static void start(pid_t *pids, size_t count)
{
    int told[2];
    char byte = 0;
    if (pipe2(told, O_CLOEXEC) == -1)
        fail("pipe");
    for (size_t i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            be_one(i, told[1]);
        if (pids[i] == -1)
            fail("fork");
    }
    close(told[1]);
    (void)!read(told[0], &byte, 1); /* the end */
    close(told[0]);
    if (waitpid(-1, NULL, WNOHANG) != 0) {
        fprintf(stderr, "crowd: not all are there\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    char byte = 0;
    size_t count = number_of(argc == 4 ? argv[1] : "");
    objects = number_of(argv[2]);
    segments = number_of(argv[3]);
    pid_t *pids = calloc(count, sizeof *pids);
    if (!pids)
        fail("memory");
    make_all();
    start(pids, count);
    printf("ready %d\n", pids[0]);
    (void)fflush(stdout);
    (void)!read(STDIN_FILENO, &byte, 1);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    for (size_t i = 0; i < count; i++)
        waitpid(pids[i], NULL, 0);
    free(pids);
    return 0;
}
