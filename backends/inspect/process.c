/* SPDX-License-Identifier: MIT */
#include "process_reader.h"

#include "proc_numbers.h"
#include "small_file.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the reader ---- */

/* The text of a name space's link. 0 or −errno. */
static int read_space(int directory, const char *path, char *text, size_t room)
{
    ssize_t length = readlinkat(directory, path, text, room - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    return 0;
}

int process_reader_init(struct process_reader *reader, unsigned what, struct patient *patient)
{
    *reader = (struct process_reader){
        .what = what,
        .patient = patient,
        .directory = -1,
        .living = -1,
        .descriptors.size = sizeof(struct process_descriptor),
        .mappings.size = sizeof(struct process_mapping),
        .calls.size = sizeof(struct process_call),
        .polled.size = sizeof(struct process_polled),
    };
    int error = read_space(AT_FDCWD, "/proc/self/ns/ipc", reader->own_ipc, sizeof reader->own_ipc);
    if (error)
        return error;
    reader->buffer = what & PROCESS_MAPPINGS ? malloc(READER_ROOM) : NULL;
    bool calls = what & PROCESS_CALLS;
    bool timed = calls && !(what & PROCESS_UNTIMED);
    reader->clocks = timed ? malloc(sizeof *reader->clocks) : NULL;
    reader->lists = calls ? malloc(PROCESS_POLLED_MAX * sizeof *reader->lists) : NULL;
    if (reader->clocks)
        task_clocks_begin(reader->clocks);
    bool failed = (what & PROCESS_MAPPINGS && !reader->buffer) || (timed && !reader->clocks) ||
                  (calls && !reader->lists);
    return failed ? -ENOMEM : 0;
}

/* What is found so far, and is nobody else's yet. */
static void forget(struct process_reader *reader)
{
    arena_free(reader->arena.pieces);
    reader->arena = (struct arena){0};
    reader->descriptors.count = reader->mappings.count = reader->calls.count = reader->polled.count = 0;
}

static void close_process(struct process_reader *reader)
{
    AUTO_FD directory = TAKE_FD(reader->directory);
    AUTO_FD living = TAKE_FD(reader->living);
    (void)directory;
    (void)living;
}

void process_reader_free(struct process_reader *reader)
{
    forget(reader);
    close_process(reader);
    free(reader->descriptors.data);
    free(reader->mappings.data);
    free(reader->calls.data);
    free(reader->polled.data);
    free(reader->lists);
    free(reader->buffer);
    free(reader->clocks);
}

int reader_move(const struct process_reader *reader)
{
    return !reader->patient || patience_move(reader->patient) ? 0 : -ECANCELED;
}

bool reader_wants(const struct process_reader *reader, dev_t device, ino_t ino)
{
    const struct process_subject *subject = &reader->subject;
    uint64_t number = ino & ((UINT64_C(1) << 48) - 1);
    return !subject->known || number == subject->number || (device && device == place_device());
}

/* ---- what everybody is told ---- */

enum { FLAG_KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD, Linux include/linux/sched.h */

/* proc_pid_stat(5): the numbers of the fields are those there. */
enum { FIELD_PARENT = 4, FIELD_FLAGS = 9, FIELD_THREADS = 20, FIELD_START = 22 };

/* The command in it may contain anything, parentheses and newlines too; behind it come but numbers. 0; −ESRCH: a kernel
 * thread, or one that is gone all but for its name. */
static int parse_stat(const char *text, struct process *out, char *state)
{
    unsigned long long fields[FIELD_START + 1] = {0};
    const char *rest = strrchr(text, ')');
    if (!rest || rest[1] != ' ' || !rest[2])
        return -ESRCH;
    *state = rest[2];
    rest += 3;
    for (int i = FIELD_PARENT; i <= FIELD_START; i++) {
        char *end = NULL;
        fields[i] = strtoull(rest, &end, 10);
        rest = end;
    }
    out->parent = (pid_t)fields[FIELD_PARENT];
    out->threads = fields[FIELD_THREADS];
    out->start = fields[FIELD_START];
    return fields[FIELD_FLAGS] & FLAG_KERNEL_THREAD || *state == 'X' ? -ESRCH : 0;
}

/* Any thread but the first. */
static int open_living_thread(int process, pid_t pid)
{
    struct proc_numbers tids;
    AUTO_FD task = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task < 0)
        return -errno;
    proc_numbers_begin(&tids, task);
    int more = 0;
    while ((more = proc_numbers_next(&tids)) == 1) {
        int fd = tids.number == pid ? -1 : openat(task, tids.name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    return more < 0 ? more : -ESRCH;
}

/* The one of these files that tells without waiting, whatever the process does. */
static int tell_command(struct process_reader *reader, struct process *out)
{
    if (reader->what & PROCESS_UNNAMED)
        return 0;
    int error = small_file_read(reader->directory, "comm", out->command, sizeof out->command);
    size_t length = error ? 0 : strlen(out->command);
    if (length && out->command[length - 1] == '\n')
        out->command[length - 1] = '\0';
    return error;
}

static int tell_state(struct process_reader *reader, struct process *out)
{
    char text[2048];
    char state = 0;
    if (reader->what & PROCESS_UNNAMED)
        return 0;
    int error = small_file_read(reader->directory, "stat", text, sizeof text);
    if (!error)
        error = parse_stat(text, out, &state);
    reader->zombie = state == 'Z';
    if (!error && reader->zombie && out->threads > 1) {
        reader->living = open_living_thread(reader->directory, out->pid);
        reader->zombie = reader->living < 0;
    }
    return error;
}

/* The owner of the directory, and only of the directory, is the effective one whether or not the process may be traced
 * (task_dump_owner(), Linux fs/proc/base.c). */
int process_reader_open(struct process_reader *reader, pid_t pid, struct process *out)
{
    struct stat stat;
    char path[sizeof "/proc/" + 3 * sizeof pid];
    (void)snprintf(path, sizeof path, "/proc/%d", pid);
    close_process(reader);
    reader->memory = 0;
    *out = (struct process){.pid = pid};
    reader->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (reader->directory < 0 || fstat(reader->directory, &stat) < 0)
        return -errno;
    out->uid = stat.st_uid;
    return 0;
}

/* ---- the rest ---- */

static int read_same_ipc(struct process_reader *reader, struct process *out)
{
    char ipc[sizeof reader->own_ipc];
    int error = read_space(reader_source(reader), "ns/ipc", ipc, sizeof ipc);
    out->same_ipc = !error && strcmp(ipc, reader->own_ipc) == 0;
    return error;
}

/* False where there is nothing to be told of it. */
static bool may_use_subject(const struct process_reader *reader)
{
    return !reader->subject.known || reader->subject.calls || reader->descriptors.count ||
           reader->mappings.count;
}

/* Some kernels do not tell them. */
static int read_calls_if_told(struct process_reader *reader, struct process *out)
{
    int error = may_use_subject(reader) ? read_calls(reader, out) : 0;
    out->calls_known = !error;
    if (error)
        reader->calls.count = reader->polled.count = 0;
    return unless_out_of_reach(error);
}

/* The name space comes last, for the right to see it, too: who had that all the time was told all. */
static int gather(struct process_reader *reader, struct process *out)
{
    int error = 0;
    if (reader->what & (PROCESS_DESCRIPTORS | PROCESS_LINKS))
        error = read_descriptors(reader);
    if (!error && reader->what & PROCESS_MAPPINGS)
        error = read_mappings(reader);
    if (!error && reader->what & PROCESS_CALLS)
        error = read_calls_if_told(reader, out);
    if (!error && !(reader->what & PROCESS_UNNAMED) && may_use_subject(reader))
        error = read_same_ipc(reader, out);
    return error;
}

static int hand_over(struct process_reader *reader, struct process *out)
{
    struct process_descriptor *descriptors = rows_put(&reader->descriptors, &reader->arena);
    struct process_mapping *mappings = rows_put(&reader->mappings, &reader->arena);
    struct process_call *calls = rows_put(&reader->calls, &reader->arena);
    struct process_polled *polled = rows_put(&reader->polled, &reader->arena);
    if (!descriptors || !mappings || !calls || !polled)
        return -errno;
    out->descriptors = descriptors;
    out->descriptor_count = reader->descriptors.count;
    out->mappings = mappings;
    out->mapping_count = reader->mappings.count;
    out->calls = calls;
    out->call_count = reader->calls.count;
    out->polled = polled;
    out->polled_count = reader->polled.count;
    reader->memory = reader->arena.total;
    out->memory = TAKE_PTR(reader->arena.pieces);
    return 0;
}

static int look(struct process_reader *reader, struct process *out)
{
    int error = reader->zombie ? 0 : gather(reader, out);
    if (!error)
        error = hand_over(reader, out);
    forget(reader);
    out->readable = !error;
    out->calls_known = !error && (out->calls_known || reader->zombie);
    bool is_told_less = error == -EACCES || error == -EPERM || error == -E2BIG;
    return is_told_less ? 0 : error;
}

process_stage *const process_stages[PROCESS_STAGES] = {tell_command, tell_state, look};

/* ---- descriptors ---- */

bool process_descriptor_number(const struct process_descriptor *descriptor, const char *kind, ino_t *number)
{
    const char *target = descriptor->target;
    size_t length = strlen(kind);
    if (strncmp(target, kind, length) != 0 || strncmp(target + length, ":[", 2) != 0)
        return false;
    const char *digits = target + length + 2;
    size_t count = strspn(digits, "0123456789");
    uint64_t parsed = 0;
    if (strcmp(digits + count, "]") != 0 || parse_digits(digits, count, 10, UINT64_MAX, &parsed))
        return false;
    *number = parsed;
    return true;
}

/* ---- one ---- */

int process_read(pid_t pid, unsigned what, struct process *out)
{
    struct process_reader reader;
    int error = process_reader_init(&reader, what, NULL);
    if (!error)
        error = process_reader_open(&reader, pid, out);
    for (size_t i = 0; !error && i < PROCESS_STAGES; i++)
        error = process_stages[i](&reader, out);
    process_reader_free(&reader);
    return error == -ENOENT ? -ESRCH : error;
}

void process_free(struct process *process)
{
    arena_free(process->memory);
    *process = (struct process){0};
}
