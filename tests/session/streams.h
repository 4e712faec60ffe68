/* SPDX-License-Identifier: MIT */
/* What the tests of connections share. */
#ifndef IPCFS_TESTS_SESSION_STREAMS_H
#define IPCFS_TESTS_SESSION_STREAMS_H

#include "stream_kind.h"

/* Set-up and tear-down: beside what all sessions give back, every hold and file of the kind is given back. */
int begin_streams(void **state);
int end_streams(void **state);
#define STREAMS(function) cmocka_unit_test_setup_teardown(function, begin_streams, end_streams)

extern const struct suite stream_opens_suite;
extern const struct suite stream_data_suite;
extern const struct suite stream_shared_suite;
extern const struct suite stream_polls_suite;
extern const struct suite stream_storm_suite;

/* One more OPEN of the node of an open file, as by /dev/fd/N. */
struct open_file open_again(const struct open_file *file, int flags);
/* Requests that are answered later; each gives its number. */
uint64_t read_later(const struct open_file *file);
uint64_t write_later(const struct open_file *file, const void *data, size_t size);
/* What a READ that does not wait gives: a count, or −errno. And one of this size that may. */
ssize_t read_at_once(const struct open_file *file, char *text);
/* The late reply to a WRITE: the count, or −errno. */
ssize_t written(uint64_t unique);
/* A WRITE that does not wait. */
ssize_t write_at_once(const struct open_file *file, const void *data, size_t size);

/* The test's end of a connection: waits for something and reads it; it must be this, or the end; and sends this. */
ssize_t receive(int end, char *buffer, size_t size);
void must_receive(int end, const char *expected);
void must_end(int end);
void must_send(int end, const char *text);
/* Reads until so many bytes have come; each must be `byte`. */
void receive_all(int end, size_t size, char byte);
/* Fills the connection from the mount's side with `byte`, until it takes no more; gives how much it took. */
size_t fill(const struct open_file *file, char byte);

#endif
