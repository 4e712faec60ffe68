/* SPDX-License-Identifier: MIT */
/* A backend whose holds, files and listers are only counted. */
#ifndef IPCFS_TESTS_FAKE_H
#define IPCFS_TESTS_FAKE_H

#include "ipcfs/backend.h"

/* Only release, close and list_close are filled. */
extern const struct ipcfs_backend fake_backend;
extern const struct ipcfs_backend other_fake_backend;

struct ipcfs_hold *fake_hold(void);
struct ipcfs_file *fake_file(void);
struct ipcfs_lister *fake_lister(void);

/* How many there are that were not given back. One given back twice ends the program. */
long fake_holds(void);
long fake_files(void);
long fake_listers(void);

#endif
