/* SPDX-License-Identifier: MIT */
#include "ipcfs/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static const struct {
    const char *word;
    enum log_level level;
} level_words[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
};

static atomic_int chosen_level = LOG_LEVEL_WARNING;
static atomic_bool use_syslog;

void log_set_level(enum log_level level)
{
    atomic_store(&chosen_level, (int)level);
}

int log_parse_level(const char *word, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_words / sizeof *level_words; i++) {
        if (strcmp(word, level_words[i].word) == 0) {
            *level = level_words[i].level;
            return 0;
        }
    }
    return -EINVAL;
}

void log_to_syslog(void)
{
    openlog("ipcfs", LOG_PID, LOG_DAEMON);
    atomic_store(&use_syslog, true);
}

void log_vline(enum log_level level, const char *format, va_list arguments)
{
    if ((int)level > atomic_load(&chosen_level))
        return;
    int saved = errno;
    if (atomic_load(&use_syslog)) {
        vsyslog((int)level, format, arguments);
    } else {
        /* One write per line, so that lines of several threads do not mix. */
        char line[1024];
        (void)vsnprintf(line, sizeof line, format, arguments);
        (void)fprintf(stderr, "ipcfs: %s\n", line);
    }
    errno = saved;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_vline(level, format, arguments);
    va_end(arguments);
}
