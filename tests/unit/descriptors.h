/* SPDX-License-Identifier: MIT */
/* What a test may leave behind. */
#ifndef IPCFS_TESTS_DESCRIPTORS_H
#define IPCFS_TESTS_DESCRIPTORS_H

/* A number that grows by one with each descriptor that the process has open: to be compared with an earlier one. */
int count_descriptors(void);

#endif
