/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: stderr while it has one, syslog(3) once it is in the background. Lines below the chosen level
 * cost one comparison. Thread-safe; never fails; preserves errno.
 */
#ifndef IPCFS_LOG_H
#define IPCFS_LOG_H

#include <stdarg.h>
#include <stdbool.h>

/* Values are those of syslog(3). */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_vline(enum log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

void log_set_level(enum log_level level);
/* Parses "error", "warning", "info" or "debug"; −EINVAL for anything else. */
int log_parse_level(const char *word, enum log_level *level);
/* From here on lines go to syslog, under the ident "ipcfs". */
void log_to_syslog(void);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
