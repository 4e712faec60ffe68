/* SPDX-License-Identifier: MIT */
/* What is kept in the runtime directory, as it is found there at the next start: records of listening sockets, their names,
 * and the record of daemons. The first byte says which; the rest is the file's text, or names, a line each. */
#include "fuzz.h"

#include "private_shm.h"
#include "sock_kept.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"
#include "ipcfs/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOOT_LENGTH = 37, NUMBER = 5 };
static const char record[] = "/run/ipcfs/other/daemons";
static char boot[BOOT_LENGTH];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    private_shm_enter("size=16m");
    AUTO_FD fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    MUST(read(fd, boot, sizeof boot) == (ssize_t)sizeof boot);
    place_init(NULL, "/mnt/a-b c");
    MUST(strcmp(place_path(), "/run/ipcfs/mnt-a\\x2db\\x20c") == 0);
    MUST(mkdir("/run/ipcfs/other", 0711) == 0);
    MUST(sock_kept_start() == 0);
    return 0;
}

static void write_file(const char *path, const char *first, size_t first_size, const struct input *rest)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, first, first_size) == (ssize_t)first_size);
    MUST(write(fd, rest->data, rest->size) == (ssize_t)rest->size);
}

static void path_in_listen(const char *name, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/listen/%s", place_path(), name);
}

/* What makes sense is written back as it was understood, and then read again as the same. */
static void check_record(const struct input *content)
{
    char path[PATH_MAX];
    struct listener_wish wish = {0};
    struct listener_wish again = {0};
    path_in_listen("5.conf", path);
    write_file(path, NULL, 0, content);
    int error = sock_kept_read(NUMBER, &wish);
    MUST(error == 0 || error == -EINVAL);
    if (!error) {
        MUST(wish.type == SOCK_STREAM || wish.type == SOCK_DGRAM || wish.type == SOCK_SEQPACKET);
        MUST(sock_kept_write(NUMBER, &wish) == 0 && sock_kept_read(NUMBER, &again) == 0);
        MUST(again.type == wish.type && again.backlog == wish.backlog);
    }
    sock_kept_remove(NUMBER);
}

static bool is_even(uint64_t number)
{
    return number % 2 == 0;
}

/* NUMBER or NUMBER.conf, of a number that is known. */
static bool may_stay(const char *name)
{
    uint64_t number = 0;
    size_t digits = strspn(name, "0123456789");
    bool suffix = !name[digits] || strcmp(name + digits, ".conf") == 0;
    return suffix && parse_digits(name, digits, 10, UINT64_MAX, &number) == 0 && is_even(number);
}

static void make_names(struct input names)
{
    char path[PATH_MAX];
    const struct input nothing = {0};
    while (names.size) {
        struct input part = input_until(&names, '\n');
        char *name = input_string(&part);
        path_in_listen(name, path);
        if (*name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            strlen(name) <= NAME_MAX)
            write_file(path, "", 0, &nothing);
        free(name);
    }
}

static void check_sweep(const struct input *names)
{
    char path[PATH_MAX];
    make_names(*names);
    sock_kept_sweep(is_even);
    path_in_listen("", path);
    DIR *left = opendir(path);
    MUST(left);
    const struct dirent *entry = NULL;
    while ((entry = readdir(left))) { // NOLINT(concurrency-mt-unsafe): a stream of its own
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        MUST(may_stay(entry->d_name));
        MUST(unlinkat(dirfd(left), entry->d_name, 0) == 0);
    }
    (void)closedir(left);
}

static void check_daemons(const struct input *content, bool of_this_boot)
{
    struct place_daemons daemons;
    write_file(record, boot, of_this_boot ? sizeof boot : 0, content);
    place_daemons(&daemons);
    MUST(place_was_daemon(&daemons, getpid()));
    for (size_t i = 0; i < daemons.count; i++)
        MUST(daemons.pids[i] >= 0 && place_was_daemon(&daemons, daemons.pids[i]));
    place_daemons_free(&daemons);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    switch (input_byte(&input)) {
    case 'r':
        check_record(&input);
        break;
    case 'n':
        check_sweep(&input);
        break;
    case 'd':
    case 'o':
        check_daemons(&input, *data == 'd');
        break;
    default:
        return -1;
    }
    return 0;
}
