/* SPDX-License-Identifier: MIT */
/*
 * What the daemon logs, kept for the test to look at. The program is linked with `logged_link_args`; nothing is written
 * to stderr then. A word about the order of locks ends the program at once.
 */
#ifndef IPCFS_TESTS_LOGGED_H
#define IPCFS_TESTS_LOGGED_H

#include <stdbool.h>

/* Whether a line with these words was logged since the last logged_forget(). The last 4 KiB are remembered. */
bool logged(const char *words);
void logged_forget(void);

#endif
