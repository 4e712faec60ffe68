/* SPDX-License-Identifier: MIT */
/* The record that a runtime directory keeps of its daemons: what place_daemons() tells (ipcfs/place.h). */
#ifndef IPCFS_FS_PLACE_DAEMONS_H
#define IPCFS_FS_PLACE_DAEMONS_H

#include "ipcfs/place.h"

/* Adds this process to the record in `directory`, which is its own. 0 or −errno. */
int place_daemons_note(int directory);
/* Reads the records in all directories of `base`: no other file system is entered, so nothing there can make the caller wait.
 * 0 or −errno. */
int place_daemons_read(const char *base, struct place_daemons *out);

#endif
