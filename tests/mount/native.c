/* SPDX-License-Identifier: MIT */
/*
 * A native user of POSIX shared memory, for the tests: only shm_open and what its descriptor gives, never the mount.
 *
 *   native create NAME SIZE MODE    shm_open(O_CREAT | O_EXCL), ftruncate
 *   native resize NAME SIZE         ftruncate
 *   native stat NAME                prints size, mode, uid, gid, nlink from fstat
 *   native read NAME                prints the whole object through a mapping
 *   native store NAME OFFSET TEXT   stores through a mapping
 *   native unlink NAME              shm_unlink
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_object(const char *name, int flags, mode_t mode)
{
    char path[300];

    snprintf(path, sizeof(path), "/%s", name);
    int fd = shm_open(path, flags, mode);
    if (fd < 0)
        err(1, "shm_open %s", path);
    return fd;
}

static struct stat status(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        err(1, "fstat");
    return st;
}

static char *map(int fd, size_t size, int prot)
{
    char *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        err(1, "mmap");
    return p;
}

static void create(const char *name, const char *size, const char *mode)
{
    int fd = open_object(name, O_CREAT | O_EXCL | O_RDWR, strtoul(mode, NULL, 8));

    if (ftruncate(fd, strtoll(size, NULL, 10)) < 0)
        err(1, "ftruncate");
}

static void resize(const char *name, const char *size)
{
    if (ftruncate(open_object(name, O_RDWR, 0), strtoll(size, NULL, 10)) < 0)
        err(1, "ftruncate");
}

static void print_status(const char *name)
{
    struct stat st = status(open_object(name, O_RDONLY, 0));

    printf("%lld %04o %u %u %lu\n", (long long)st.st_size, st.st_mode & 07777, st.st_uid, st.st_gid,
           (unsigned long)st.st_nlink);
}

static void print_content(const char *name)
{
    int fd = open_object(name, O_RDONLY, 0);
    size_t size = status(fd).st_size;

    if (size > 0 && fwrite(map(fd, size, PROT_READ), 1, size, stdout) != size)
        err(1, "stdout");
}

static void store(const char *name, const char *offset, const char *text)
{
    int fd = open_object(name, O_RDWR, 0);
    size_t size = status(fd).st_size, at = strtoul(offset, NULL, 10);

    if (at + strlen(text) > size)
        errx(1, "%s has only %zu bytes", name, size);
    memcpy(map(fd, size, PROT_READ | PROT_WRITE) + at, text, strlen(text));
}

static void unlink_object(const char *name)
{
    char path[300];

    snprintf(path, sizeof(path), "/%s", name);
    if (shm_unlink(path) < 0)
        err(1, "shm_unlink %s", path);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "create"))
        create(argv[2], argv[3], argv[4]);
    else if (argc == 4 && !strcmp(argv[1], "resize"))
        resize(argv[2], argv[3]);
    else if (argc == 3 && !strcmp(argv[1], "stat"))
        print_status(argv[2]);
    else if (argc == 3 && !strcmp(argv[1], "read"))
        print_content(argv[2]);
    else if (argc == 5 && !strcmp(argv[1], "store"))
        store(argv[2], argv[3], argv[4]);
    else if (argc == 3 && !strcmp(argv[1], "unlink"))
        unlink_object(argv[2]);
    else
        errx(2, "usage: see native.c");
    return fflush(stdout) ? 1 : 0;
}
