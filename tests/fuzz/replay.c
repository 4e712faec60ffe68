/* SPDX-License-Identifier: MIT */
/* In place of libFuzzer: gives the fuzzer the inputs in the files and directories that are named, each once, in the order of
 * their names. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

static void give_up(const char *path)
{
    (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE); // NOLINT(concurrency-mt-unsafe): there is one thread
}

static size_t read_input(const char *path, uint8_t *data)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : read(fd, data, INPUT_MAX);
    if (count < 0)
        give_up(path);
    (void)close(fd);
    return (size_t)count;
}

static unsigned replay_file(const char *path)
{
    uint8_t *data = malloc(INPUT_MAX);
    if (!data)
        give_up(path);
    size_t size = read_input(path, data);
    uint8_t *exact = malloc(size ? size : 1); /* a read past its end is seen */
    if (!exact)
        give_up(path);
    memcpy(exact, data, size);
    free(data);
    (void)printf("%s\n", path);
    (void)fflush(stdout); /* the last one is the one that fails */
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

static unsigned replay_directory(const char *path)
{
    struct dirent **names = NULL;
    unsigned replayed = 0;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        give_up(path);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            replayed += replay_file(file);
        free(names[i]);
    }
    free(names);
    return replayed;
}

static unsigned replay(const char *path)
{
    struct stat stat_buffer;
    if (stat(path, &stat_buffer) < 0)
        give_up(path);
    return S_ISDIR(stat_buffer.st_mode) ? replay_directory(path) : replay_file(path);
}

int main(int argc, char **argv)
{
    unsigned replayed = 0;
    (void)LLVMFuzzerInitialize(&argc, &argv);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        replayed += replay(argv[i]);
    (void)printf("%u inputs\n", replayed);
    return replayed ? EXIT_SUCCESS : EXIT_FAILURE;
}
