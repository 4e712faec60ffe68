/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers share.
 *
 * Each is one function, LLVMFuzzerTestOneInput(): it gives an input to a part of the program, and looks whether what must
 * hold of any input holds. Built with -Dfuzz=true (by clang) it is linked with libFuzzer, which looks for inputs that lead to
 * code not yet reached (https://llvm.org/docs/LibFuzzer.html); otherwise with replay.c, which gives it the inputs that are
 * kept in corpus/NAME, so that what was found once is tried by every test run.
 */
#ifndef IPCFS_TESTS_FUZZ_H
#define IPCFS_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0; −1: the input is not worth keeping. Nothing is left behind, so that the order of inputs means nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); // NOLINT(readability-identifier-naming)
/* Before the first input; a fuzzer that has nothing to get ready has none. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Ends the program with a word about where, unless it holds. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
__attribute__((noreturn)) void fuzz_fail(const char *file, int line, const char *condition);

/* An input that is being taken apart. At its end there is nothing but zeros. */
struct input {
    const uint8_t *data;
    size_t size;
};

uint8_t input_byte(struct input *input);
uint64_t input_number(struct input *input, size_t bytes);
/* What stands before the next byte of that value, which is skipped, or all the rest. */
struct input input_until(struct input *input, uint8_t end);
/* So many bytes, or what is left. */
struct input input_part(struct input *input, size_t size);
/* A copy, terminated; what is behind a NUL byte does not count. The caller's, to free. */
char *input_string(const struct input *input);
/* The same of the last piece, so that a read past its end is seen: memory of just that size, not terminated. */
char *input_copy(const struct input *input);

#endif
