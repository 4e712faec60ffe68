/* SPDX-License-Identifier: MIT */
#include "process_memory.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_file(int directory, const char *prefix, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s%s", prefix, name);
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int process_memory_open(int directory, const char *prefix, struct process_memory *out)
{
    AUTO_FD bytes = open_file(directory, prefix, "mem");
    AUTO_FD pages = open_file(directory, prefix, "pagemap");
    if (bytes < 0 || pages < 0)
        return bytes < 0 ? bytes : pages;
    out->bytes = TAKE_FD(bytes);
    out->pages = TAKE_FD(pages);
    return 0;
}

void process_memory_close(const struct process_memory *memory)
{
    (void)close(memory->bytes);
    (void)close(memory->pages);
}

/* One that is swapped out (bit 62) is not: it may be on a device that does not answer. */
static bool is_present(const struct process_memory *memory, uint64_t page)
{
    uint64_t entry = 0;
    return pread(memory->pages, &entry, sizeof entry, (off_t)(page * sizeof entry)) == sizeof entry &&
           entry >> 63;
}

/* At most `size` bytes, and none of the next page; how many. 0: it is not there. */
static size_t read_from_page(const struct process_memory *memory, uint64_t address, void *out, size_t size)
{
    const uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t left = page_size - address % page_size;
    size_t count = size < left ? size : (size_t)left;
    if (address > INT64_MAX || !is_present(memory, address / page_size))
        return 0;
    return pread(memory->bytes, out, count, (off_t)address) == (ssize_t)count ? count : 0;
}

bool process_memory_read(const struct process_memory *memory, uint64_t address, void *out, size_t size)
{
    size_t done = 0;
    size_t count = 1;
    while (done < size && count) {
        count = read_from_page(memory, address + done, (char *)out + done, size - done);
        done += count;
    }
    return done == size;
}

bool process_memory_string(const struct process_memory *memory, uint64_t address, char *out, size_t room)
{
    size_t done = 0;
    while (done < room) {
        size_t count = read_from_page(memory, address + done, out + done, room - done);
        if (!count)
            return false;
        if (memchr(out + done, '\0', count))
            return true;
        done += count;
    }
    return false;
}
