/* SPDX-License-Identifier: MIT */
/* What threads wait for, by their system calls; and requests that wait in the daemon. */
#include "inspect_join_subject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, WORD = 24 };

static void must(bool done)
{
    if (!done)
        _exit(97);
}

/* ---- descriptors ---- */

static int ends[2]; /* of a pipe */
static int pair[2]; /* of sockets */
static int queue;
static char bytes[1 << 17];
static void *shared; /* a page of shm/words */
static int set, messages;

static void read_pipe(void)
{
    ready();
    (void)!read(ends[0], bytes, 1);
}

static void write_pipe(void)
{
    ready();
    (void)!write(ends[1], bytes, sizeof bytes);
}

static void vmsplice_pipe(void)
{
    struct iovec piece = {bytes, sizeof bytes};
    ready();
    for (;;)
        (void)vmsplice(ends[1], &piece, 1, 0);
}

static void readv_pipe(void)
{
    struct iovec piece = {bytes, 1};
    ready();
    (void)readv(ends[0], &piece, 1);
}

static void sendfile_pipe(void)
{
    int memory = memfd_create("source", 0);
    must(ftruncate(memory, sizeof bytes) == 0);
    ready();
    for (;;)
        (void)sendfile(ends[1], memory, &(off_t){0}, sizeof bytes);
}

static void recv_socket(void)
{
    ready();
    (void)recv(pair[0], bytes, 1, 0);
}

static void recvmsg_socket(void)
{
    struct iovec piece = {bytes, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ready();
    (void)recvmsg(pair[0], &message, 0);
}

static void send_socket(void)
{
    ready();
    for (;;)
        (void)send(pair[0], bytes, sizeof bytes, 0);
}

static void accept_socket(void)
{
    ready();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un {
        sa_family_t family;
        char path[16];
    } address = {AF_UNIX, "\0listener"};
    must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 0) == 0);
    (void)accept(fd, NULL, NULL);
}

static void receive_queue(void)
{
    ready();
    (void)mq_receive(queue, bytes, sizeof bytes, NULL);
}

static void send_queue(void)
{
    ready();
    for (;;)
        (void)mq_send(queue, bytes, 1, 0);
}

static void check_wait(pid_t pid, const struct inspected_object *object, const char *call, bool writes)
{
    const struct inspected_use *use = wait_of(pid);
    assert_ptr_equal(use, use_of(object, pid, USE_WAITING));
    assert_string_equal(use->call, call);
    assert_int_equal(use->tid, pid);
    assert_true(use->writes == writes && use->reads == !writes);
    assert_false(use->parked || use->futex || use->exclusive);
}

static void test_pipes(void **state)
{
    (void)state;
    static const struct {
        void (*run)(void);
        long number;
        const char *call;
        bool writes;
    } cases[] = {{read_pipe, SYS_read, "read", false},
                 {readv_pipe, SYS_readv, "readv", false},
                 {write_pipe, SYS_write, "write", true},
                 {vmsplice_pipe, SYS_vmsplice, "vmsplice", true},
                 {sendfile_pipe, SYS_sendfile, "sendfile", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = start_child(cases[i].run);
        await_call(pid, cases[i].number);
        (void)snprintf(name, sizeof name, "pipe:[%lu]", (unsigned long)ino_of_fd(ends[0]));
        (void)look(INSPECT_WAITERS);
        check_wait(pid, object_named("pipe", name), cases[i].call, cases[i].writes);
        assert_int_equal(wait_of(pid)->fd, ends[cases[i].writes]);
        (void)look(INSPECT_HOLDERS);
        assert_int_equal(count_waits(pid), 0);
        close(ends[0]);
        close(ends[1]);
    }
}

static void test_sockets(void **state)
{
    (void)state;
    static const struct {
        void (*run)(void);
        long number;
        const char *call;
        bool writes;
    } cases[] = {{recv_socket, SYS_recvfrom, "recvfrom", false},
                 {recvmsg_socket, SYS_recvmsg, "recvmsg", false},
                 {send_socket, SYS_sendto, "sendto", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        pid_t pid = start_child(cases[i].run);
        await_call(pid, cases[i].number);
        (void)usleep(20 * 1000);
        (void)snprintf(name, sizeof name, "socket:[%lu]", (unsigned long)ino_of_fd(pair[0]));
        (void)look(INSPECT_WAITERS);
        const struct inspected_object *object = object_named("socket", name);
        check_wait(pid, object, cases[i].call, cases[i].writes);
        assert_int_equal(object->socket, ino_of_fd(pair[0]));
        assert_int_equal(object->peer, ino_of_fd(pair[1]));
        close(pair[0]);
        close(pair[1]);
    }
    pid_t pid = start_child(accept_socket);
    await_call(pid, SYS_accept);
    (void)look(INSPECT_WAITERS);
    assert_string_equal(wait_of(pid)->call, "accept");
    assert_true(wait_of(pid)->reads);
}

static void test_queue(void **state)
{
    (void)state;
    queue = mq_open("/jobs", O_RDWR | O_CREAT, 0600, NULL);
    assert_true(queue >= 0);
    pid_t receiver = start_child(receive_queue);
    await_call(receiver, SYS_mq_timedreceive);
    (void)look(INSPECT_WAITERS);
    check_wait(receiver, object_named("mq", "jobs"), "mq_timedreceive", false);
    assert_int_equal(kill(receiver, SIGKILL), 0);
    pid_t sender = start_child(send_queue);
    await_call(sender, SYS_mq_timedsend);
    (void)usleep(20 * 1000);
    (void)look(INSPECT_WAITERS);
    check_wait(sender, object_named("mq", "jobs"), "mq_timedsend", true);
    assert_int_equal(wait_of(sender)->fd, queue);
    close(queue);
    assert_int_equal(mq_unlink("/jobs"), 0);
}

/* ---- words ---- */

static int *word(void)
{
    return (int *)(void *)((char *)shared + WORD);
}

static void map_words(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
    assert_true(shared != MAP_FAILED);
    close(fd);
}

static int futex_operation;
/* Not one of futex(2), but a wait for a word of one's own: in memory of one's own, and in a file that is mapped for oneself.
 * It is nobody else's, whatever the operation says. */
enum { OWN_MEMORY = -1, OWN_COPY = -2 };

static int *own_word(void)
{
    int fd = futex_operation == OWN_COPY ? shm_open("/words", O_RDWR, 0) : -1;
    int anonymous = fd < 0 ? MAP_ANONYMOUS : 0;
    return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | anonymous, fd, 0);
}

static void wait_for_word(void)
{
    ready();
    int *there = futex_operation < 0 ? own_word() : word();
    int operation = futex_operation < 0 ? FUTEX_WAIT : futex_operation;
    (void)syscall(SYS_futex, there, operation, *there, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void check_word(const char *kind, const char *name, int operation)
{
    futex_operation = operation;
    pid_t pid = start_child(wait_for_word);
    await_call(pid, SYS_futex);
    (void)look(INSPECT_WAITERS);
    const struct inspected_use *use = wait_of(pid);
    assert_ptr_equal(use, use_of(object_named(kind, name), pid, USE_WAITING));
    assert_true(use->futex && use->reads && !use->parked);
    assert_int_equal(use->offset, PAGE + WORD);
    assert_string_equal(use->call, "futex");
    (void)use_of(object_named(kind, name), pid, USE_MAPPING);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void check_no_word(int operation)
{
    futex_operation = operation;
    pid_t pid = start_child(wait_for_word);
    await_call(pid, SYS_futex);
    (void)look(INSPECT_WAITERS);
    assert_int_equal(count_waits(pid), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_words(void **state)
{
    (void)state;
    map_words("/dev/shm/words");
    check_word("shm", "words", FUTEX_WAIT);
    check_word("shm", "words", FUTEX_WAIT_BITSET);
    check_word("shm", "words", FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME);
    *word() = 1; /* the first thread of the name space has it */
    check_word("shm", "words", FUTEX_LOCK_PI);
    *word() = 0;
    check_no_word(FUTEX_WAIT_PRIVATE);
    check_no_word(OWN_MEMORY);
    check_no_word(OWN_COPY);
    assert_int_equal(munmap(shared, PAGE), 0);
    assert_int_equal(shm_unlink("/words"), 0);
}

/* Of no object of the tree: it is there only while somebody waits in it, and then so is who else maps it. */
static void test_word_in_file(void **state)
{
    (void)state;
    map_words("/mnt/words");
    pid_t other = start_child(ready);
    (void)look(INSPECT_WAITERS);
    assert_null(find_object("file", "/mnt/words"));
    check_word("file", "/mnt/words", FUTEX_WAIT);
    (void)use_of(object_named("file", "/mnt/words"), other, USE_MAPPING);
    assert_int_equal(munmap(shared, PAGE), 0);
    assert_int_equal(unlink("/mnt/words"), 0);
}

static sem_t *semaphore;

static void wait_for_semaphore(void)
{
    ready();
    (void)sem_wait(semaphore);
}

static void test_named_semaphore(void **state)
{
    (void)state;
    semaphore = sem_open("/turn", O_CREAT, 0600, 0);
    assert_true(semaphore != SEM_FAILED);
    pid_t pid = start_child(wait_for_semaphore);
    await_call(pid, SYS_futex);
    (void)look(INSPECT_WAITERS);
    assert_ptr_equal(wait_of(pid), use_of(object_named("sem", "turn"), pid, USE_WAITING));
    assert_true(wait_of(pid)->futex && wait_of(pid)->offset < sizeof(sem_t));
    assert_int_equal(sem_close(semaphore), 0);
    assert_int_equal(sem_unlink("/turn"), 0);
}

/* ---- System V ---- */

static unsigned short wanted;

static void take_semaphore(void)
{
    struct sembuf take = {.sem_num = wanted, .sem_op = -1};
    ready();
    (void)semop(set, &take, 1);
}

static pid_t start_taker(unsigned short member)
{
    wanted = member;
    pid_t pid = start_child(take_semaphore);
    for (int i = 0; i < 5000 && semctl(set, member, GETNCNT) == 0; i++)
        (void)usleep(1000);
    assert_true(semctl(set, member, GETNCNT) > 0);
    return pid;
}

static void test_set(void **state)
{
    (void)state;
    char name[16];
    set = semget(IPC_PRIVATE, 3, 0600);
    (void)snprintf(name, sizeof name, "%d", set);
    pid_t first = start_taker(2);
    (void)look(INSPECT_WAITERS);
    const struct inspected_use *use = wait_of(first);
    assert_ptr_equal(use, use_of(object_named("sysv/sem", name), first, USE_WAITING));
    assert_true(use->reads && !use->writes && use->member == 2);
    assert_int_equal(strncmp(use->call, "sem", 3), 0);
    pid_t second = start_taker(0);
    (void)look(INSPECT_WAITERS);
    assert_true(wait_of(first)->member == -1 && wait_of(second)->member == -1);
    assert_int_equal(semctl(set, 0, IPC_RMID), 0);
}

static void receive_message(void)
{
    ready();
    (void)msgrcv(messages, bytes, 8, 0, 0);
}

static void send_messages(void)
{
    *(long *)(void *)bytes = 1;
    ready();
    for (;;)
        (void)msgsnd(messages, bytes, 4096, 0);
}

/* The same number in another name space is another queue's. */
static void receive_elsewhere(void)
{
    must(unshare(CLONE_NEWIPC) == 0);
    for (;;) {
        int id = msgget(IPC_PRIVATE, 0600);
        must(id >= 0 && id <= messages);
        if (id == messages)
            break;
    }
    receive_message();
}

static void test_messages(void **state)
{
    (void)state;
    char name[16];
    messages = msgget(IPC_PRIVATE, 0600);
    (void)snprintf(name, sizeof name, "%d", messages);
    pid_t receiver = start_child(receive_message);
    pid_t elsewhere = start_child(receive_elsewhere);
    await_call(receiver, SYS_msgrcv);
    await_call(elsewhere, SYS_msgrcv);
    (void)look(INSPECT_WAITERS);
    check_wait(receiver, object_named("sysv/msg", name), "msgrcv", false);
    assert_int_equal(count_waits(elsewhere), 0);
    assert_int_equal(kill(receiver, SIGKILL), 0);
    pid_t sender = start_child(send_messages);
    await_call(sender, SYS_msgsnd);
    (void)usleep(20 * 1000);
    (void)look(INSPECT_WAITERS);
    check_wait(sender, object_named("sysv/msg", name), "msgsnd", true);
    assert_int_equal(msgctl(messages, IPC_RMID, NULL), 0);
}

/* ---- children ---- */

static bool wait_for_any;

static pid_t stranger;

/* Its number there is that of somebody else here. */
static void wait_for_child_of_own(void)
{
    pid_t child = 0;
    while ((child = fork()) > 0 && child != stranger)
        must(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    if (child == 0)
        stay();
    siginfo_t info;
    (void)waitid(P_PID, (id_t)child, &info, WEXITED);
    _exit(0);
}

static void wait_for_child(void)
{
    pid_t child = fork();
    if (child == 0)
        stay();
    ready();
    (void)waitpid(wait_for_any ? -1 : child, NULL, 0);
}

static void wait_by_id(void)
{
    siginfo_t info;
    pid_t child = fork();
    if (child == 0)
        stay();
    ready();
    (void)waitid(P_PID, (id_t)child, &info, WEXITED);
}

/* What waits is the first process of a name space of its own. */
static void wait_in_name_space(void)
{
    must(unshare(CLONE_NEWPID) == 0);
    if (fork() == 0)
        wait_for_child_of_own();
    ready();
}

static void test_child_in_name_space(void **state)
{
    (void)state;
    stranger = start_child(ready);
    pid_t pid = start_child(wait_in_name_space);
    const struct inspection *seen = look(INSPECT_WAITERS);
    pid_t waiter = 0;
    for (size_t i = 0; i < seen->process_count; i++)
        if (seen->processes[i].parent == pid)
            waiter = seen->processes[i].pid;
    await_call(waiter, SYS_waitid);
    seen = look(INSPECT_WAITERS);
    const struct inspected_object *object = &seen->objects[wait_of(waiter)->object];
    assert_int_equal(object->type, INSPECTED_EXIT);
    assert_int_equal(object->number, 0);
}

static void check_child(void (*run)(void), long number, bool any)
{
    wait_for_any = any;
    pid_t pid = start_child(run);
    await_call(pid, number);
    const struct inspection *seen = look(INSPECT_WAITERS);
    const struct inspected_object *object = &seen->objects[wait_of(pid)->object];
    assert_int_equal(object->type, INSPECTED_EXIT);
    assert_int_equal(object->device, 0);
    const struct process *child = any ? NULL : inspection_process(seen, (pid_t)object->number);
    assert_true(any ? object->number == 0 : child && child->parent == pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_children(void **state)
{
    (void)state;
    check_child(wait_for_child, SYS_wait4, false);
    check_child(wait_for_child, SYS_wait4, true);
    check_child(wait_by_id, SYS_waitid, false);
}

/* ---- threads ---- */

static void *read_in_thread(void *unused)
{
    (void)!read(ends[0], bytes, 1);
    return unused;
}

static void wait_in_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, read_in_thread, NULL) == 0);
    ready();
}

static void test_thread(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = start_child(wait_in_thread);
    await_call(pid, SYS_read);
    const struct inspection *seen = look(INSPECT_WAITERS);
    assert_int_equal(wait_of(pid)->tid, thread_in(pid, SYS_read));
    assert_int_not_equal(wait_of(pid)->tid, pid);
    assert_int_equal(inspection_process(seen, pid)->threads, 2);
    close(ends[0]);
    close(ends[1]);
}

/* ---- any of several ---- */

/* Reads one end of the pipe and may write to one of the pair, beside things that are not told. */
static void poll_both(void)
{
    struct pollfd all[] = {{-1, POLLIN, 0}, {ends[0], POLLIN, 0}, {99, 0, 0}, {pair[0], POLLOUT, 0}};
    must(dup2(ends[0], 99) == 99 && close(99) == 0 && dup2(queue, 99) == 99);
    ready();
    (void)poll(all, ARRAY_LENGTH(all), -1);
}

static void ppoll_both(void)
{
    struct pollfd all[] = {{ends[0], POLLIN, 0}, {pair[0], POLLOUT, 0}};
    const struct timespec time = {1000, 0};
    ready();
    (void)ppoll(all, ARRAY_LENGTH(all), &time, NULL);
}

static void fill_sets(fd_set *reading, fd_set *writing)
{
    FD_ZERO(reading);
    FD_ZERO(writing);
    FD_SET(ends[0], reading);
    FD_SET(pair[0], writing);
}

static void select_both(void)
{
    fd_set reading;
    fd_set writing;
    struct timeval time = {1000, 0};
    fill_sets(&reading, &writing);
    ready();
    (void)syscall(SYS_select, FD_SETSIZE, &reading, &writing, NULL, &time);
}

static void pselect_both(void)
{
    fd_set reading;
    fd_set writing;
    fill_sets(&reading, &writing);
    ready();
    (void)syscall(SYS_pselect6, pair[0] + 1, &reading, &writing, NULL, NULL, NULL);
}

/* It watches what it has closed, too, by a descriptor that is of something else now. */
static void epoll_both(void)
{
    int elsewhere[2];
    int epoll = epoll_create1(0);
    struct epoll_event in = {.events = EPOLLIN};
    struct epoll_event out = {.events = EPOLLOUT};
    must(pipe(elsewhere) == 0 && dup2(elsewhere[0], 90) == 90);
    must(!epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &in) && !epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &out) &&
         !epoll_ctl(epoll, EPOLL_CTL_ADD, 90, &in));
    must(dup2(ends[1], 90) == 90);
    ready();
    (void)epoll_wait(epoll, &in, 1, 1000 * 1000);
}

/* The pair is full. */
static void make_both(char name[2][32])
{
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    while (send(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    (void)snprintf(name[0], sizeof name[0], "pipe:[%llu]", (unsigned long long)ino_of_fd(ends[0]));
    (void)snprintf(name[1], sizeof name[1], "socket:[%llu]", (unsigned long long)ino_of_fd(pair[0]));
}

static void must_wait_for_both(void (*run)(void), long number, const char *call, bool timed)
{
    char name[2][32];
    make_both(name);
    pid_t pid = start_child(run);
    await_call(pid, number);
    (void)look(INSPECT_WAITERS);
    assert_int_equal(count_waits(pid), 2);
    const struct inspected_use *reads = use_of(object_named("pipe", name[0]), pid, USE_WAITING);
    const struct inspected_use *writes = use_of(object_named("socket", name[1]), pid, USE_WAITING);
    assert_true(reads->any && reads->reads && !reads->writes && reads->timed == timed &&
                reads->fd == ends[0]);
    assert_true(writes->any && !writes->reads && writes->writes && writes->tid == pid);
    assert_string_equal(reads->call, call);
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (size_t i = 0; i < 2; i++) {
        close(ends[i]);
        close(pair[i]);
    }
}

static void test_any(void **state)
{
    (void)state;
    queue = memfd_create("nothing", 0);
    must_wait_for_both(poll_both, SYS_poll, "poll", false);
    must_wait_for_both(ppoll_both, SYS_ppoll, "ppoll", true);
    must_wait_for_both(select_both, SYS_select, "select", true);
    must_wait_for_both(pselect_both, SYS_pselect6, "pselect6", false);
    must_wait_for_both(epoll_both, SYS_epoll_wait, "epoll_wait", true);
    close(queue);
}

/* Of one process so many are told, whatever it waits for. */
static void poll_many(void)
{
    static struct pollfd all[PROCESS_POLLED_MAX + 100];
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        all[i] = (struct pollfd){ends[0], POLLIN, 0};
    ready();
    (void)poll(all, ARRAY_LENGTH(all), -1);
}

static void test_many(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = start_child(poll_many);
    await_call(pid, SYS_poll);
    (void)look(INSPECT_WAITERS);
    assert_int_equal(count_waits(pid), PROCESS_POLLED_MAX);
    close(ends[0]);
    close(ends[1]);
}

/* ---- FIFOs that are opened ---- */

static const char *opened;

static void open_to_read(void)
{
    ready();
    (void)open(opened, O_RDONLY);
}

static void open_to_write(void)
{
    ready();
    (void)open(opened, O_WRONLY);
}

static pid_t start_opener(const char *path, void (*run)(void))
{
    opened = path;
    pid_t pid = start_child(run);
    await_call(pid, SYS_openat);
    for (int i = 0; i < 1000; i++) { /* in the call it does not sleep at once */
        (void)look(INSPECT_WAITERS);
        if (count_waits(pid))
            break;
        (void)usleep(1000);
    }
    return pid;
}

/* The node in the runtime directory is the object; what lies in the mount only has to have the path. */
static void test_openers(void **state)
{
    (void)state;
    const char *const paths[] = {"/mnt/pipe/p (deleted)", "/mnt/elsewhere", "/mnt/pipe/d/p"};
    assert_int_equal(mkfifo(path_in("pipe", "p (deleted)"), 0600), 0);
    uint64_t number = ino_of(path_in("pipe", "p (deleted)"));
    assert_true(mkdir("/mnt/pipe", 0700) == 0 && mkdir("/mnt/pipe/d", 0700) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        assert_int_equal(mkfifo(paths[i], 0600), 0);
    pid_t reader = start_opener(paths[0], open_to_read);
    pid_t readers[] = {start_opener(paths[1], open_to_read), start_opener(paths[1], open_to_read)};
    pid_t writer = start_opener(paths[2], open_to_write);
    (void)look(INSPECT_WAITERS);
    check_wait(reader, object_named("pipe", "p (deleted)"), "open", false);
    assert_int_equal(object_named("pipe", "p (deleted)")->type, INSPECTED_OBJECT);
    assert_int_equal(object_named("pipe", "p (deleted)")->number, number);
    check_wait(readers[0], object_named("pipe", paths[1]), "open", false);
    check_wait(readers[1], object_named("pipe", paths[1]), "open", false);
    check_wait(writer, object_named("pipe", paths[2]), "open", true);
    assert_int_equal(object_named("pipe", paths[2])->type, INSPECTED_PIPE);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        assert_int_equal(unlink(paths[i]), 0);
    assert_true(rmdir("/mnt/pipe/d") == 0 && rmdir("/mnt/pipe") == 0);
    assert_int_equal(unlink(path_in("pipe", "p (deleted)")), 0);
}

/* ---- requests in the daemon ---- */

static void read_node(void)
{
    int fd = open(path_in("pipe", "p"), O_RDWR);
    ready();
    (void)!read(fd, bytes, 1);
}

/* The daemon knows more of it than the call tells; but once the thread is in another call, that is what counts. */
static void test_parked(void **state)
{
    (void)state;
    const struct timespec since = {1234567890, 5};
    assert_int_equal(mkfifo(path_in("pipe", "p"), 0600), 0);
    add_node(path_in("pipe", "p"), "mq", "lines", 77);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = start_child(read_node);
    pid_t other = start_child(read_pipe);
    await_call(pid, SYS_read);
    await_call(other, SYS_read);
    for (size_t i = 0; i < 2; i++)
        made_up.parked[i] = (struct inspection_parked){.tid = i ? other : pid,
                                                       .kind = kind_of("sysv/sem"),
                                                       .number = 78,
                                                       .part = "wait",
                                                       .member = 3,
                                                       .call = "read",
                                                       .since = since};
    (void)look(INSPECT_WAITERS);
    assert_string_equal(wait_of(pid)->part, "lines");
    assert_false(wait_of(pid)->parked);
    made_up.parked_count = 2;
    const struct inspection *seen = look(INSPECT_WAITERS);
    const struct inspected_use *use = wait_of(pid);
    const struct inspected_object *object = &seen->objects[use->object];
    assert_ptr_equal(object, inspection_object(seen, kind_of("sysv/sem"), 78));
    assert_string_equal(object->name, "78");
    assert_true(object->removed && use->parked && use->since_known && use->member == 3 && use->reads);
    assert_true(use->fd >= 0);
    assert_memory_equal(&use->since, &since, sizeof since);
    assert_string_equal(use->part, "wait");
    assert_false(wait_of(other)->parked);
    assert_int_equal(seen->objects[wait_of(other)->object].type, INSPECTED_PIPE);
    assert_int_equal(unlink(path_in("pipe", "p")), 0);
    close(ends[0]);
    close(ends[1]);
}

const struct CMUnitTest join_wait_tests[] = {
    JOIN_TEST(test_pipes),        JOIN_TEST(test_sockets),
    JOIN_TEST(test_queue),        JOIN_TEST(test_words),
    JOIN_TEST(test_word_in_file), JOIN_TEST(test_named_semaphore),
    JOIN_TEST(test_set),          JOIN_TEST(test_messages),
    JOIN_TEST(test_children),     JOIN_TEST(test_child_in_name_space),
    JOIN_TEST(test_thread),       JOIN_TEST(test_parked),
    JOIN_TEST(test_openers),      JOIN_TEST(test_any),
    JOIN_TEST(test_many)};
const size_t join_wait_count = sizeof join_wait_tests / sizeof *join_wait_tests;
