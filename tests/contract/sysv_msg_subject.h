/* SPDX-License-Identifier: MIT */
/* What the tests of System V message queues share: queues made natively and through the kind under test. */
#ifndef IPCFS_TESTS_CONTRACT_SYSV_MSG_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_SYSV_MSG_SUBJECT_H

#include "sysv_common.h"

#include <sys/msg.h>

struct native_message {
    long type;
    char text[256];
};

/* Natively, each failing the test where it fails. */
int native_queue(key_t key, int mode);
void native_send(int id, long type, const char *text);
/* Takes a message that must be there: its type and text. */
struct native_message native_receive(int id, long type);
struct msqid_ds native_state(int id);
struct native_look look_at_queue(int id);
void native_remove(int id);

/* A new queue and a file of it that may do both. */
struct ipcfs_created new_queue(void);

/* The verb's write(); `reason` may be NULL. */
int write_qbytes(const struct ipcfs_ref *ref, const char *line, size_t length, struct text *reason);
/* A file of type/N. */
struct ipcfs_file *open_type(const struct ipcfs_created *object, int64_t type, int flags);

/* try_read into a buffer that is large enough, terminated; and try_write. A count or −errno. */
ssize_t receive(struct ipcfs_file *file, char *buffer, size_t size);
ssize_t send_text(struct ipcfs_file *file, const char *text);
void must_receive(struct ipcfs_file *file, const char *expected);

#endif
