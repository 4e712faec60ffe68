/* SPDX-License-Identifier: MIT */
/*
 * What is read in /proc, with files of the fuzzer's in their place: a tmpfs is mounted on /proc, in a name space of its own.
 * The input is one file after another, each a letter (files[]), its text, and a byte 0xFF.
 */
#include "fuzz.h"

#include "caller_limit.h"
#include "creds.h"
#include "mq_show.h"
#include "private_shm.h"
#include "sysv_shm_rss.h"
#include "inspect/inspection_build.h"
#include "inspect/lock_word.h"
#include "inspect/process.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PID = 4000000, TID = 7, PAGES = 8, FILE_END = 0xFF, LINK_MAX_SIZE = 4000 };
#define OF_PROCESS "/proc/4000000/"
#define OF_THREAD OF_PROCESS "task/7/"

static const struct {
    char letter;
    bool link;
    const char *path;
} files[] = {
    {'s', false, OF_PROCESS "stat"},   {'c', false, OF_PROCESS "comm"},
    {'m', false, OF_PROCESS "maps"},   {'y', false, OF_PROCESS "syscall"},
    {'w', false, OF_PROCESS "wchan"},  {'p', false, OF_PROCESS "fdinfo/5"},
    {'e', false, OF_PROCESS "mem"},    {'x', false, OF_PROCESS "sched"},
    {'u', false, OF_PROCESS "status"}, {'i', false, OF_PROCESS "limits"},
    {'S', false, OF_THREAD "stat"},    {'Y', false, OF_THREAD "syscall"},
    {'W', false, OF_THREAD "wchan"},   {'P', false, OF_THREAD "fdinfo/5"},
    {'X', false, OF_THREAD "sched"},   {'L', false, "/proc/locks"},
    {'V', false, "/proc/sysvipc/shm"}, {'q', false, "/proc/queue"},
    {'d', true, OF_PROCESS "cwd"},     {'r', true, OF_PROCESS "root"},
    {'f', true, OF_PROCESS "fd/5"},    {'g', true, OF_PROCESS "fd/1000000000"},
    {'n', true, OF_PROCESS "ns/ipc"},  {'D', true, OF_THREAD "cwd"},
};
enum { FILES = sizeof files / sizeof *files };

/* ---- /proc ---- */

static void must(int result, const char *what)
{
    if (result == 0)
        return;
    perror(what);
    exit(EXIT_FAILURE); // NOLINT(concurrency-mt-unsafe): there is one thread
}

static void write_file(const char *path, const void *data, size_t size)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

/* Sanitizers, and the program, look at themselves there. */
static void link_own(void)
{
    char own[32];
    char path[48];
    must(symlink("/run/proc/self", "/proc/self"), "self");
    must(symlink("/run/proc/thread-self", "/proc/thread-self"), "thread-self");
    must(symlink("/run/proc/sys", "/proc/sys"), "sys");
    (void)snprintf(own, sizeof own, "/proc/%d", getpid());
    (void)snprintf(path, sizeof path, "/run/proc/%d", getpid());
    must(symlink(path, own), own);
}

static void make_directories(void)
{
    static const char *const paths[] = {"/proc/sysvipc", OF_PROCESS,          OF_PROCESS "fd",
                                        OF_PROCESS "ns", OF_PROCESS "fdinfo", OF_PROCESS "task",
                                        OF_THREAD "",    OF_THREAD "fdinfo",  OF_PROCESS "task/8"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        must(mkdir(paths[i], 0755), paths[i]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    uint64_t pages[PAGES];
    (void)argc;
    (void)argv;
    private_shm_enter("size=16m");
    must(mkdir("/run/proc", 0755), "/run/proc");
    must(mount("/proc", "/run/proc", NULL, MS_BIND | MS_REC, NULL), "/proc elsewhere");
    must(mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m"), "tmpfs on /proc");
    link_own();
    make_directories();
    for (size_t i = 0; i < PAGES; i++)
        pages[i] = i % 4 == 3 ? 0 : UINT64_C(1) << 63; /* one in four is not there */
    write_file(OF_PROCESS "pagemap", pages, sizeof pages);
    must(symlink("../../pagemap", OF_THREAD "pagemap"), "pagemap");
    must(symlink("../../mem", OF_THREAD "mem"), "mem");
    return creds_init();
}

static void put_file(size_t which, const struct input *content)
{
    if (!files[which].link) {
        write_file(files[which].path, content->data, content->size);
        return;
    }
    char *target = input_string(content);
    if (*target && strlen(target) < LINK_MAX_SIZE) {
        (void)unlink(files[which].path);
        must(symlink(target, files[which].path), files[which].path);
    }
    free(target);
}

static void put_files(struct input *input)
{
    while (input->size) {
        char letter = (char)input_byte(input);
        struct input content = input_until(input, FILE_END);
        for (size_t i = 0; i < FILES; i++)
            if (files[i].letter == letter)
                put_file(i, &content);
    }
}

static void remove_files(void)
{
    for (size_t i = 0; i < FILES; i++)
        if (unlink(files[i].path) < 0)
            MUST(errno == ENOENT);
}

/* ---- processes ---- */

/* From the root, without "." and "..". */
static void check_path(const char *path)
{
    while (*path) {
        MUST(*path == '/');
        path++;
        size_t length = strcspn(path, "/");
        MUST(length && !(length == 1 && *path == '.') && !(length == 2 && strncmp(path, "..", 2) == 0));
        path += length;
    }
}

static void check_calls(const struct process *process)
{
    for (size_t i = 0; i < process->call_count; i++) {
        const struct process_call *call = &process->calls[i];
        MUST(call->tid == PID || call->tid == TID);
        MUST(call->number >= 0);
        MUST(call->polled_first <= process->polled_count &&
             call->polled_count <= process->polled_count - call->polled_first);
        MUST(!call->since_known || (call->since.tv_nsec >= 0 && call->since.tv_nsec < 1000000000));
        if (call->fifo)
            check_path(call->fifo);
    }
}

static void check_process(unsigned what)
{
    AUTO_PROCESS process = {0};
    ino_t number = 0;
    if (process_read(PID, what, &process))
        return;
    MUST(process.pid == PID && strlen(process.command) < sizeof process.command);
    MUST(process.polled_count <= PROCESS_POLLED_MAX);
    MUST(process.readable || (!process.descriptor_count && !process.mapping_count && !process.call_count));
    for (size_t i = 0; i < process.descriptor_count; i++) {
        MUST(strlen(process.descriptors[i].target) <= LINK_MAX_SIZE);
        (void)process_descriptor_number(&process.descriptors[i], "pipe", &number);
    }
    for (size_t i = 0; i < process.mapping_count; i++)
        MUST(!strchr(process.mappings[i].path, '\n') || strlen(process.mappings[i].path));
    check_calls(&process);
}

/* ---- other files ---- */

static int compare(const struct locked_file *a, const struct locked_file *b)
{
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->ino > b->ino) - (a->ino < b->ino);
}

static void check_locks(void)
{
    struct build build = {0};
    MUST(build_read_locks(&build) == 0);
    for (size_t i = 0; i < build.line_count; i++)
        MUST(build.lines[i].file < build.file_count);
    for (size_t i = 0; i < build.file_count; i++) {
        MUST(i == 0 || compare(&build.files[i - 1], &build.files[i]) < 0);
        MUST(build_locked_file(&build, build.files[i].device, build.files[i].ino) == &build.files[i]);
    }
    free(build.lines);
    free(build.files);
}

static void check_segments(void)
{
    struct sysv_shm_rss_table table;
    struct sysv_shm_rss one;
    MUST(sysv_shm_rss_read(&table) == 0);
    for (size_t i = 0; i < table.count; i++) {
        MUST(sysv_shm_rss_find(&table, table.rows[i].id));
        if (i < 4)
            MUST(sysv_shm_rss_of(table.rows[i].id, &one) && one.id == table.rows[i].id);
    }
    sysv_shm_rss_free(&table);
}

static void check_caller(void)
{
    const struct caller caller = {.uid = 0, .gid = 0, .pid = PID};
    struct rlimit limit;
    gid_t groups[4];
    gid_t more[4096];
    int count = creds_supplementary_groups(&caller, groups, 4);
    int again = creds_supplementary_groups(&caller, more, 4096);
    MUST(count == again);
    MUST(count <= 0 || groups[0] == more[0]);
    MUST(caller_limit(&caller, RLIMIT_MSGQUEUE, &limit) == 0);
    MUST(caller_limit(&caller, RLIMIT_NOFILE, &limit) == 0);
    (void)caller_descriptors(&caller);
}

static void check_words(void)
{
    struct mq_status status;
    unsigned char bytes[LOCK_WORD_BYTES];
    AUTO_FD queue = open("/proc/queue", O_RDONLY | O_CLOEXEC);
    if (queue < 0)
        return;
    MUST(mq_read_status(queue, &status) == 0);
    if (read(queue, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        MUST(lock_word_owner(bytes) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    put_files(&input);
    check_process(PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS);
    check_process(PROCESS_LINKS | PROCESS_CALLS | PROCESS_UNNAMED | PROCESS_UNTIMED);
    check_locks();
    check_segments();
    check_caller();
    check_words();
    remove_files();
    return 0;
}
