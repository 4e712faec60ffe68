/* SPDX-License-Identifier: MIT */
#include "process_reader.h"

#include "proc_numbers.h"
#include "small_file.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { BILLION = 1000000000 };

/* ---- since when ---- */

/* "se.exec_start : MILLISECONDS.NANOSECONDS", six digits behind the point (proc_sched_show_task(), Linux
 * kernel/sched/debug.c). False where the kernel does not tell. */
static bool read_last_run(int directory, const char *path, int64_t *out)
{
    static const char label[] = "\nse.exec_start";
    char text[512];
    if (small_file_read(directory, path, text, sizeof text))
        return false;
    const char *line = strstr(text, label);
    const char *value = line ? strchr(line + 1, ':') : NULL;
    char *point = NULL;
    if (!value)
        return false;
    int64_t ms = strtoll(value + 1, &point, 10);
    if (*point != '.')
        return false;
    *out = ms * 1000000 + strtoll(point + 1, NULL, 10);
    return true;
}

/* To ask for a thread's processor time brings what the scheduler keeps of it up to date, without a sleep
 * (task_sched_runtime(), Linux kernel/sched/core.c): this thread last ran now. */
void read_clocks(struct process_reader *reader)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    (void)clock_gettime(CLOCK_REALTIME, &reader->clock);
    reader->clock_known = read_last_run(AT_FDCWD, "/proc/thread-self/sched", &reader->clock_task);
}

static void tell_since(const struct process_reader *reader, int directory, const char *path,
                       struct process_call *call)
{
    int64_t last = 0;
    if (!reader->clock_known || !read_last_run(directory, path, &last) || last <= 0)
        return;
    int64_t clock = (int64_t)reader->clock.tv_sec * BILLION + reader->clock.tv_nsec;
    int64_t since = clock - (reader->clock_task - last);
    call->since_known = since >= 0;
    call->since = (struct timespec){.tv_sec = since / BILLION, .tv_nsec = since % BILLION};
}

/* ---- in what ---- */

enum { ARGUMENTS = 6 };

/*
 * "NUMBER ARGUMENTS STACK-POINTER PROGRAM-COUNTER" (proc_pid_syscall(5)). False for a thread that is "running", or waits
 * elsewhere (−1).
 *
 * The numbers of a 32-bit program are of another table, and nothing tells which it is; but its stack and its code both lie
 * below 4 GiB, where those of other programs never do both. The kernel's own threads in a process (io_uring(7)) have
 * neither.
 */
static bool parse_call(const char *text, struct process_call *out)
{
    uint64_t words[ARGUMENTS + 2];
    char *rest = NULL;
    out->number = strtol(text, &rest, 10);
    if (rest == text || out->number < 0)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *end = NULL;
        words[i] = strtoull(rest, &end, 16);
        if (end == rest)
            return false;
        rest = end;
    }
    memcpy(out->arguments, words, sizeof out->arguments);
    return words[ARGUMENTS] > UINT32_MAX || words[ARGUMENTS + 1] > UINT32_MAX;
}

/* `prefix` is "", or "TID/". */
static int read_call(struct process_reader *reader, int directory, const char *prefix, pid_t tid)
{
    char path[sizeof "/syscall" + 3 * sizeof tid];
    char text[256];
    struct process_call call = {.tid = tid};
    (void)snprintf(path, sizeof path, "%ssyscall", prefix);
    int error = small_file_read(directory, path, text, sizeof text);
    if (error)
        return error;
    if (!parse_call(text, &call))
        return 0;
    (void)snprintf(path, sizeof path, "%ssched", prefix);
    tell_since(reader, directory, path, &call);
    struct process_call *row = rows_add(&reader->calls);
    if (!row)
        return -errno;
    *row = call;
    return 0;
}

static int read_call_of_thread(struct process_reader *reader, const struct proc_numbers *tids)
{
    char prefix[sizeof "/" + 3 * sizeof tids->number];
    (void)snprintf(prefix, sizeof prefix, "%d/", tids->number);
    int error = reader_move(reader);
    if (!error)
        error = read_call(reader, tids->directory, prefix, tids->number);
    return error == -ENOENT || error == -ESRCH ? 0 : error; /* it has ended */
}

int read_calls(struct process_reader *reader, const struct process *process)
{
    struct proc_numbers tids;
    if (process->threads == 1)
        return read_call(reader, reader->directory, "", process->pid);
    AUTO_FD task = openat(reader->directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task < 0)
        return -errno;
    proc_numbers_begin(&tids, task);
    int error = 0;
    int more = 0;
    while (!error && (more = proc_numbers_next(&tids)) == 1)
        error = read_call_of_thread(reader, &tids);
    return error ? error : more;
}
