/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_peer(struct way *way, peer_job *job, int go_fd, int done_fd)
{
    uint64_t n;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(go_fd, &n, sizeof n) == sizeof n) {
        if (job(way, n) == -1) {
            fprintf(stderr, "bench: %s: the peer: %s\n", way->name, way->why);
            _exit(1);
        }
        if (write(done_fd, "", 1) != 1)
            break;
    }
    _exit(0);
}

static int stay_on(struct way *way, pid_t pid, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    return sched_setaffinity(pid, sizeof set, &set) == 0 ? 0 : way_failed(way, "CPU");
}

int peer_start(struct way *way, struct peer *peer, peer_job *job)
{
    int go[2];
    int done[2];
    if (pipe2(go, O_CLOEXEC) == -1)
        return way_failed(way, "pipe");
    peer->go_fd = go[1];
    if (pipe2(done, O_CLOEXEC) == -1) {
        close(go[0]);
        return way_failed(way, "pipe");
    }
    peer->done_fd = done[0];
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(done[0]);
        be_peer(way, job, go[0], done[1]);
    }
    close(go[0]);
    close(done[1]);
    peer->pid = pid == -1 ? 0 : pid;
    if (pid == -1)
        return way_failed(way, "fork");
    return way->peer_cpu == -1 ? 0 : stay_on(way, pid, way->peer_cpu);
}

int peer_begin(struct way *way, const struct peer *peer, uint64_t n)
{
    return write(peer->go_fd, &n, sizeof n) == sizeof n ? 0 : way_failed(way, "the peer is gone");
}

int peer_wait(struct way *way, const struct peer *peer)
{
    char done;
    return read(peer->done_fd, &done, 1) == 1 ? 0 : way_wrong(way, "the peer has ended");
}

void peer_end(struct peer *peer)
{
    if (peer->go_fd != -1)
        close(peer->go_fd);
    if (peer->done_fd != -1)
        close(peer->done_fd);
    if (peer->pid) {
        kill(peer->pid, SIGKILL);
        waitpid(peer->pid, NULL, 0);
    }
    *peer = PEER_NONE;
}
