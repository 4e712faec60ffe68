/* SPDX-License-Identifier: MIT */
/* What the tests of System V shared memory share, beside what is of all System V objects. */
#ifndef IPCFS_TESTS_CONTRACT_SYSV_SHM_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_SYSV_SHM_SUBJECT_H

#include "sysv_common.h"

#include <sys/shm.h>

enum { SIZE = 5000, USER = 1234, OTHER_USER = 1235 };

/* Natively, each failing the test where it fails. */
int native_segment(key_t key, size_t size, int mode);
struct shmid_ds segment_state(int id);
struct native_look look_at_segment(int id);
unsigned long nattch_of(int id);
bool is_gone(int id);
char *native_attach(int id);
void native_detach(const char *address);
void remove_segment(int id);
/* Removes the segment of that id and has the kernel give the id to a new one. */
void give_id_to_another_segment(int id, key_t key, size_t size, int mode);

/* A segment with the key 0x2a and SIZE bytes, made natively, and a hold and a file of it. */
struct ipcfs_created open_segment(int flags);
/* As find() gives it, without a file. */
struct ipcfs_created hold_segment(int id);
int open_error(const struct ipcfs_created *object, int flags);
/* A new descriptor of backing(). */
int back(const struct ipcfs_created *object);

/* try_read and try_write, with flags of open(2) where they are asked for. */
ssize_t read_at(struct ipcfs_file *file, char *buffer, size_t size, off_t offset);
ssize_t write_at(struct ipcfs_file *file, const char *data, size_t size, off_t offset);
ssize_t append(struct ipcfs_file *file, const char *data, size_t size);
int set_size(const struct ipcfs_created *object, struct ipcfs_file *file, off_t size);
int set_mode(const struct ipcfs_created *object, mode_t mode);

/*
 * From here on without the right to open map_files; and with it again. The thread only, as the FUSE side does for a
 * caller who is not root.
 */
void give_up_descriptors(void);
void take_descriptors_back(void);
/* Acts as that user by effective ids, as the FUSE side does; 0 is the way back. */
void act_as_user(uid_t uid);

/* The value of that name, which is known. */
uint64_t number_of(const struct ipcfs_field *fields, const struct ipcfs_value *values, const char *name);

#endif
