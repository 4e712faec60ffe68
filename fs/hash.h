/* SPDX-License-Identifier: MIT */
/*
 * uthash, told two things:
 * - to report a lack of memory instead of ending the process: after HASH_ADD the element's handle has a NULL `tbl`
 *   where it could not be added;
 * - to hash with a secret key. Names are chosen by users, and with a known function one of them could choose names
 *   that all fall into one bucket.
 */
#ifndef IPCFS_FS_HASH_H
#define IPCFS_FS_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Chooses the key, once, before any table is used. 0 or −errno. */
int hash_init(void);

/* Multilinear hashing of at most HASH_BYTES_MAX bytes, strongly universal (Lemire and Kaser, 2014). */
enum { HASH_BYTES_MAX = 320 };
uint32_t hash_bytes(const void *bytes, size_t length);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(bytes, length, result) ((result) = hash_bytes((bytes), (length)))
#include <uthash.h>

#endif
