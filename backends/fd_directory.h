/* SPDX-License-Identifier: MIT */
/* The directory of a file system in which every file is an object, by a descriptor of it. Each 0 or −errno. */
#ifndef IPCFS_BACKENDS_FD_DIRECTORY_H
#define IPCFS_BACKENDS_FD_DIRECTORY_H

#include "ipcfs/backend.h"

#include <dirent.h>

/* What the slots stat_directory() and stat_system() are to tell. The file system is one with access control lists. */
int fd_directory_stat(int fd, struct ipcfs_directory *out);
int fd_directory_stat_system(int fd, struct statvfs *out);

/* Whether the calling thread may search it: an object reached by a descriptor is still reached through it. −EACCES. */
int fd_directory_check_search(int fd);

/* Opens it once more, for a walk and as the calling thread. closedir(3) is for it. */
int fd_directory_open(int fd, DIR **out);

#endif
