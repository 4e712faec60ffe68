/* SPDX-License-Identifier: MIT */
/*
 * A growable text: what control files are written into.
 *
 * Appending never fails visibly: the first failure (out of memory) is kept in `error` and later appends do
 * nothing, so a renderer writes straight on and its caller checks once, with text_error().
 */
#ifndef IPCFS_TEXT_H
#define IPCFS_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;    /* owned; not terminated; NULL while empty */
    size_t length; /* bytes in use */
    size_t room;   /* bytes allocated */
    int error;     /* 0, or the −errno of the first append that failed */
};

/* Appends `length` bytes. */
void text_bytes(struct text *text, const char *bytes, size_t length);
/* Appends a terminated string. */
void text_string(struct text *text, const char *string);
/* Appends a number in decimal, with zeros before it up to `digits` digits: what printf(3) makes of "%0*ju", in a tenth of
 * its time. Lists have many. */
void text_number(struct text *text, uint64_t number, unsigned digits);
/* Appends so many spaces. */
void text_spaces(struct text *text, size_t count);
/* Appends as printf(3). */
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Appends a name in one word of one line: space, control characters, backslash and bytes that are not part of valid
 * UTF-8 become \ooo, as the kernel writes names in /proc/mounts. text_escape_line() leaves the space as it is.
 */
void text_escape_word(struct text *text, const char *name);
void text_escape_line(struct text *text, const char *name);

/* The inverse of both: appends the name that `length` bytes of text stand for. −EINVAL where a backslash is not followed
 * by three octal digits of a byte other than NUL. */
int text_unescape(struct text *text, const char *escaped, size_t length);

/* Bytes of the valid UTF-8 sequence at `bytes` (1 to 4), or 0 where there is none. Stops at a NUL byte. */
size_t utf8_sequence(const char *bytes);

/* 0, or −ENOMEM when an append failed. */
int text_error(const struct text *text);
/* Gives the memory back; the text is empty and usable again. */
void text_reset(struct text *text);

#define AUTO_TEXT __attribute__((cleanup(text_reset))) struct text

#endif
