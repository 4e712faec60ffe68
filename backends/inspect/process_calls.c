/* SPDX-License-Identifier: MIT */
#include "process_reader.h"

#include "proc_numbers.h"
#include "small_file.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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
    error = read_fifo(reader, directory, prefix, &call);
    if (!error)
        error = read_polled(reader, directory, prefix, &call);
    if (error)
        return error;
    if (reader->clocks)
        call.since_known = task_clocks_last_run(reader->clocks, directory, prefix, &call.since);
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
