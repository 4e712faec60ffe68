/* SPDX-License-Identifier: MIT */
/*
 * The session: a few workers (fs/crew.h), each of which receives a request from /dev/fuse, answers it, and receives the
 * next. No handler waits for another process, so few are enough however many requests are waiting.
 *
 * The first request, FUSE_INIT, is answered by the main thread alone; what depends on its outcome is found out before
 * any other request is read. The main thread then waits for SIGTERM, SIGINT, SIGHUP, or for the end of the mount, and
 * does what is due meanwhile: it takes back pins (fs/pins.h) and starts workers.
 */
#ifndef IPCFS_FS_SESSION_H
#define IPCFS_FS_SESSION_H

#include "ipcfs.h"

/* Before any thread is started: the signals that end the daemon are from here on only waited for. 0 or −errno. */
int session_block_signals(void);

/* Answers FUSE_INIT on the mounted session and settles the mode. 0 or −errno. */
int session_first_request(struct ipcfs *fs);

/*
 * Serves until a signal or the end of the mount; `ready` is called once the workers run. 0 or −errno. −ETIMEDOUT: a
 * worker, or a job, is stuck in a native call and still uses `fs`, so all that is left is to unmount and to end the process.
 */
int session_serve(struct ipcfs *fs, void (*ready)(void *data), void *data);

#endif
