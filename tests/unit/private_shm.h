/* SPDX-License-Identifier: MIT */
/* A /dev/shm, and a /run, of the test program's own. */
#ifndef IPCFS_TESTS_PRIVATE_SHM_H
#define IPCFS_TESTS_PRIVATE_SHM_H

/*
 * Puts the process into mount and IPC name spaces of its own, with an empty tmpfs (of those mount options) on /dev/shm and on /run.
 * Where that is not permitted, says so and ends the process with status 1: such a test must not seem to pass.
 */
void private_shm_enter(const char *options);

/* Writes a setting below /proc/sys that is the IPC name space's own; ends the process where it can not. */
void private_set(const char *setting, const char *value);

#endif
