/* SPDX-License-Identifier: MIT */
/*
 * Room in the runtime directory (ipcfs/place.h). Its file system is not made to be written by everybody, as /dev/shm and
 * /tmp are: what the system itself needs lies there too. So it is kept for root when half of it is in use, blocks or
 * inodes: users other than root then make and write nothing more.
 */
#ifndef IPCFS_BACKENDS_PLACE_ROOM_H
#define IPCFS_BACKENDS_PLACE_ROOM_H

#include <sys/types.h>

/* Whether the calling thread may make a node, or write so many bytes, on the file system of `fd`. 0, or −ENOSPC. */
int place_room(int fd, off_t size);

#endif
