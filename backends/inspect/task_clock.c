/* SPDX-License-Identifier: MIT */
#include "task_clock.h"

#include "small_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BILLION = 1000000000 };

/* "se.exec_start : MILLISECONDS.NANOSECONDS", six digits behind the point (proc_sched_show_task(), Linux
 * kernel/sched/debug.c). In ns; 0 where it is not told, or the thread never ran. */
static int64_t read_exec_start(int directory, const char *path)
{
    static const char label[] = "\nse.exec_start";
    char text[512];
    if (small_file_read(directory, path, text, sizeof text))
        return 0;
    const char *line = strstr(text, label);
    const char *value = line ? strchr(line + 1, ':') : NULL;
    char *point = NULL;
    if (!value)
        return 0;
    int64_t milliseconds = strtoll(value + 1, &point, 10);
    return *point == '.' ? milliseconds * 1000000 + strtoll(point + 1, NULL, 10) : 0;
}

/* The 39th of proc_pid_stat(5), `processor`; −1. */
static int read_processor(int directory, const char *path)
{
    enum { FIELD_STATE = 3, FIELD_PROCESSOR = 39 };
    char text[2048];
    if (small_file_read(directory, path, text, sizeof text))
        return -1;
    const char *at = strrchr(text, ')');
    for (int field = FIELD_STATE - 1; at && field < FIELD_PROCESSOR; field++)
        at = strchr(at + 1, ' ');
    long processor = at ? strtol(at, NULL, 10) : -1;
    return processor >= 0 && processor < CPU_SETSIZE ? (int)processor : -1;
}

/* To ask for a thread's processor time brings what the scheduler keeps of it up to date (task_sched_runtime(), Linux
 * kernel/sched/core.c): it last ran now. */
static int64_t compare_here(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    (void)clock_gettime(CLOCK_REALTIME, &time);
    int64_t last_run = read_exec_start(AT_FDCWD, "/proc/thread-self/sched");
    return last_run ? (int64_t)time.tv_sec * BILLION + time.tv_nsec - last_run : 0;
}

static int64_t offset_of(struct task_clocks *clocks, int processor)
{
    cpu_set_t there;
    if (!CPU_ISSET(processor, &clocks->allowed) || CPU_ISSET(processor, &clocks->compared))
        return clocks->offsets[processor];
    CPU_ZERO(&there);
    CPU_SET(processor, &there);
    CPU_SET(processor, &clocks->compared);
    if (sched_setaffinity(0, sizeof there, &there) < 0)
        return 0; /* it has gone offline */
    clocks->offsets[processor] = compare_here();
    (void)sched_setaffinity(0, sizeof clocks->allowed, &clocks->allowed);
    return clocks->offsets[processor];
}

void task_clocks_begin(struct task_clocks *clocks)
{
    memset(clocks, 0, sizeof *clocks);
    if (sched_getaffinity(0, sizeof clocks->allowed, &clocks->allowed) < 0)
        CPU_ZERO(&clocks->allowed); /* more processors than CPU_SETSIZE */
}

bool task_clocks_last_run(struct task_clocks *clocks, int directory, const char *prefix, struct timespec *out)
{
    char path[32];
    (void)snprintf(path, sizeof path, "%sstat", prefix);
    int processor = read_processor(directory, path);
    int64_t offset = processor < 0 ? 0 : offset_of(clocks, processor);
    (void)snprintf(path, sizeof path, "%ssched", prefix);
    int64_t last_run = offset ? read_exec_start(directory, path) : 0;
    if (!last_run)
        return false;
    int64_t time = offset + last_run;
    *out = (struct timespec){.tv_sec = time / BILLION, .tv_nsec = time % BILLION};
    return true;
}
