/* SPDX-License-Identifier: MIT */
/*
 * Going into the background without hiding a failed start: the process forks at once, before there are threads; the
 * parent waits until the child says that it serves, or has ended, and exits accordingly. Until then the child has the
 * caller's stderr.
 */
#ifndef IPCFS_FS_BACKGROUND_H
#define IPCFS_FS_BACKGROUND_H

/* Forks. Returns in the child only, with the descriptor for background_ready(); or −errno where it could not fork. */
int background_start(void);
/* The child serves: the parent exits with 0, the log goes to syslog, and stdin, stdout and stderr to /dev/null. */
void background_ready(int fd);

#endif
