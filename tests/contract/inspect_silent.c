/* SPDX-License-Identifier: MIT */
#include "inspect_silent.h"

#include "inspect_peers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char silent_path[] = "/run/silent";
static pid_t left; /* the server that was not ended yet */

/* ---- the server: of one regular file, as the kernel wants it told (linux/fuse.h) ---- */

static void answer(int fd, uint64_t unique, int error, const void *content, size_t size)
{
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + size), .error = error, .unique = unique};
    const struct iovec pieces[] = {{.iov_base = &header, .iov_len = sizeof header},
                                   {.iov_base = (void *)content, .iov_len = size}};
    (void)!writev(fd, pieces, size ? 2 : 1);
}

static void serve_one(int fd, const struct fuse_in_header *request, _Atomic int *flushes)
{
    const struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 4096};
    const struct fuse_open_out opened = {.fh = 1};
    const struct fuse_attr_out attributes = {
        .attr_valid = 1000,
        .attr = {.ino = 1, .mode = S_IFREG | 0666, .nlink = 1, .size = 4096, .blksize = 4096}};
    switch (request->opcode) {
    case FUSE_INIT:
        answer(fd, request->unique, 0, &init, sizeof init);
        break;
    case FUSE_GETATTR:
        answer(fd, request->unique, 0, &attributes, sizeof attributes);
        break;
    case FUSE_OPEN:
        answer(fd, request->unique, 0, &opened, sizeof opened);
        break;
    case FUSE_FLUSH:
        ++*flushes;
        break;
    case FUSE_READ:
    case FUSE_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(fd, request->unique, -ENOSYS, NULL, 0);
    }
}

static _Noreturn void serve(int fd, _Atomic int *flushes)
{
    static _Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER + 4096];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        ssize_t size = read(fd, request, sizeof request);
        if (size >= (ssize_t)sizeof(struct fuse_in_header))
            serve_one(fd, (const void *)request, flushes);
        else if (size >= 0 || (errno != EINTR && errno != ENOENT && errno != EAGAIN))
            _exit(1);
    }
}

struct silent start_silent(void)
{
    char options[128];
    int point = open(silent_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    assert_true(point >= 0 && fd >= 0);
    close(point);
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=100666,user_id=0,group_id=0,allow_other", fd);
    assert_int_equal(mount("silent", silent_path, "fuse", 0, options), 0);
    _Atomic int *flushes =
        mmap(NULL, sizeof *flushes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)flushes != MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        serve(fd, flushes);
    close(fd);
    left = pid;
    return (struct silent){.path = silent_path, .server = pid, .flushes = flushes};
}

void end_silent(const struct silent *silent)
{
    left = 0;
    kill_and_wait(silent->server);
    assert_int_equal(umount2(silent->path, MNT_DETACH), 0);
    assert_int_equal(unlink(silent->path), 0);
    (void)munmap((void *)silent->flushes, sizeof *silent->flushes);
}

int end_silent_test(void **state)
{
    if (left) { /* the test has failed: whoever else opens the file would wait, too */
        (void)kill(left, SIGKILL);
        (void)umount2(silent_path, MNT_DETACH);
        left = 0;
    }
    return end_inspect_test(state);
}

/* ---- who waits for it ---- */

struct order {
    const struct silent *silent;
    const char *name;
};

static void begin_to_execute(const void *data)
{
    const struct order *order = data;
    (void)close_range(3, ~0U, 0);
    if (prctl(PR_SET_NAME, order->name) || open(order->silent->path, O_RDONLY | O_CLOEXEC) < 0)
        _exit(97);
    peer_ready();
    (void)execl("/bin/sleep", "sleep", "1000", NULL);
}

pid_t start_stuck(const struct silent *silent, uid_t uid, const char *name)
{
    struct order order = {.silent = silent, .name = name};
    pid_t pid = start_peer(uid, begin_to_execute, &order);
    int before = *silent->flushes;
    let_peer_run(pid);
    for (int i = 0; i < 5000 && *silent->flushes == before; i++)
        (void)usleep(1000);
    assert_int_equal(*silent->flushes, before + 1);
    return pid;
}
