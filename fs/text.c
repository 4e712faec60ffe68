/* SPDX-License-Identifier: MIT */
#include "ipcfs/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `more` bytes; false (and the error kept) where there is none. */
static bool reserve(struct text *text, size_t more)
{
    if (text->error)
        return false;
    if (more <= text->room - text->length)
        return true;
    size_t room = text->room ? text->room : 256;
    while (room - text->length < more)
        room *= 2;
    char *data = realloc(text->data, room);
    if (!data) {
        text->error = -ENOMEM;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void text_bytes(struct text *text, const char *bytes, size_t length)
{
    if (length == 0 || !reserve(text, length))
        return;
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
}

void text_string(struct text *text, const char *string)
{
    text_bytes(text, string, strlen(string));
}

void text_number(struct text *text, uint64_t number, unsigned digits)
{
    enum { ROOM = 20 }; /* UINT64_MAX has so many digits */
    char decimal[ROOM];
    unsigned start = ROOM;
    do {
        decimal[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (start && ROOM - start < digits)
        decimal[--start] = '0';
    text_bytes(text, decimal + start, ROOM - start);
}

void text_spaces(struct text *text, size_t count)
{
    static const char spaces[] = "                                                                ";
    for (; count >= sizeof spaces; count -= sizeof spaces - 1)
        text_bytes(text, spaces, sizeof spaces - 1);
    text_bytes(text, spaces, count);
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    /* First try in the room there is; most of the time it fits. */
    size_t room = text->room - text->length;
    int length =
        text->error ? -1 : vsnprintf(room ? text->data + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length >= room && reserve(text, (size_t)length + 1))
        (void)vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    if (length >= 0 && !text->error)
        text->length += (size_t)length;
    va_end(again);
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The value of the sequence whose first byte announces `length` bytes; 0 where it is broken off. */
static unsigned decode(const char *bytes, size_t length)
{
    unsigned value = (unsigned char)bytes[0] & (0xFFU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(bytes[i]))
            return 0;
        value = value << 6 | ((unsigned char)bytes[i] & 0x3F);
    }
    return value;
}

size_t utf8_sequence(const char *bytes)
{
    /* Smallest value that needs so many bytes: a longer form of a smaller value is not valid (RFC 3629). */
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80)
        return first != 0;
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    unsigned value = decode(bytes, length);
    bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value >= smallest[length] && value <= 0x10FFFF && !surrogate ? length : 0;
}

/* U+0080 to U+009F: to a terminal, U+009B is what ESC [ is; to some, U+0085 ends a line. */
static bool is_wide_control(const char *bytes)
{
    return (unsigned char)bytes[0] == 0xC2 && (unsigned char)bytes[1] < 0xA0;
}

static bool stands_for_itself(const char *bytes, size_t sequence, bool keep_space)
{
    if (sequence != 1)
        return sequence > 1 && !is_wide_control(bytes);
    return (*bytes > ' ' && *bytes < 0x7F && *bytes != '\\') || (*bytes == ' ' && keep_space);
}

static void escape(struct text *text, const char *name, bool keep_space)
{
    while (*name) {
        size_t sequence = utf8_sequence(name);
        if (stands_for_itself(name, sequence, keep_space)) {
            text_bytes(text, name, sequence);
            name += sequence;
        } else {
            text_printf(text, "\\%03o", (unsigned char)*name++);
        }
    }
}

void text_escape_word(struct text *text, const char *name)
{
    escape(text, name, false);
}

void text_escape_line(struct text *text, const char *name)
{
    escape(text, name, true);
}

/* The byte of three octal digits, or 0. */
static unsigned char octal_byte(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '7')
            return 0;
        value = value * 8 + (unsigned)(digits[i] - '0');
    }
    return value <= 0xFF ? (unsigned char)value : 0;
}

int text_unescape(struct text *text, const char *escaped, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char byte = escaped[i];
        if (byte == '\\') {
            byte = length - i > 3 ? (char)octal_byte(escaped + i + 1) : '\0';
            if (!byte)
                return -EINVAL;
            i += 3;
        }
        text_bytes(text, &byte, 1);
    }
    return 0;
}

int text_error(const struct text *text)
{
    return text->error;
}

void text_reset(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}
