/* SPDX-License-Identifier: MIT */
/* The lines of proc_pid_maps(5): START-END PERMISSIONS OFFSET MAJOR:MINOR INODE blanks PATH. */
#include "process_reader.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

/* A newline is the only byte of a path that is escaped (show_map_vma(), Linux fs/proc/task_mmu.c); every other backslash is
 * the path's own. In place. */
static void unescape(char *path)
{
    static const char newline[] = "\\012";
    char *from = strstr(path, newline);
    if (!from)
        return;
    char *to = from;
    while (*from) {
        bool escaped = strncmp(from, newline, sizeof newline - 1) == 0;
        *to++ = escaped ? '\n' : *from;
        from += escaped ? sizeof newline - 1 : 1;
    }
    *to = '\0';
}

/* A number that `end` follows, which is skipped. */
static bool parse_number(char **line, int base, char end, uint64_t *out)
{
    char *rest = NULL;
    *out = strtoull(*line, &rest, base);
    if (rest == *line || *rest != end)
        return false;
    *line = rest + 1;
    return true;
}

static bool parse_permissions(char **line, struct process_mapping *out)
{
    const char *bits = *line;
    if (strnlen(bits, 5) < 5 || bits[4] != ' ')
        return false;
    out->reads = bits[0] == 'r';
    out->writes = bits[1] == 'w';
    out->shared = bits[3] == 's';
    *line += 5;
    return true;
}

/* False for what is no line as above. */
static bool parse_mapping(char *line, struct process_mapping *out, char **path)
{
    uint64_t major = 0;
    uint64_t minor = 0;
    uint64_t ino = 0;
    if (!parse_number(&line, 16, '-', &out->start) || !parse_number(&line, 16, ' ', &out->end) ||
        !parse_permissions(&line, out) || !parse_number(&line, 16, ' ', &out->offset) ||
        !parse_number(&line, 16, ':', &major) || !parse_number(&line, 16, ' ', &minor) ||
        !parse_number(&line, 10, ' ', &ino))
        return false;
    out->device = makedev((unsigned)major, (unsigned)minor);
    out->ino = ino;
    *path = line + strspn(line, " ");
    return true;
}

static int add(struct process_reader *reader, char *line, const char **before)
{
    char *path = NULL;
    struct process_mapping mapping = {0};
    if (!parse_mapping(line, &mapping, &path) || (!mapping.shared && !mapping.ino))
        return 0;
    if (!reader_wants(reader, mapping.device, mapping.ino))
        return 0;
    unescape(path);
    mapping.path = arena_string(&reader->arena, path, *before);
    struct process_mapping *row = mapping.path ? rows_add(&reader->mappings) : NULL;
    if (!row)
        return -errno;
    *before = mapping.path;
    *row = mapping;
    return 0;
}

/* The lines that are complete; how many bytes these are, or −errno. */
static ssize_t add_lines(struct process_reader *reader, size_t length, const char **before)
{
    char *line = reader->buffer;
    char *end = NULL;
    while ((end = memchr(line, '\n', length - (size_t)(line - reader->buffer)))) {
        *end = '\0';
        int error = add(reader, line, before);
        if (error)
            return error;
        line = end + 1;
    }
    return line - reader->buffer;
}

/* `length` bytes are in the buffer; 1 when there are more now, 0 at the end, or −errno. */
static int read_more(struct process_reader *reader, int fd, size_t *length)
{
    ssize_t count = read(fd, reader->buffer + *length, READER_ROOM - *length);
    if (count <= 0)
        return count < 0 ? -errno : 0;
    *length += (size_t)count;
    return 1;
}

int read_mappings(struct process_reader *reader)
{
    size_t length = 0;
    const char *before = NULL;
    AUTO_FD fd = openat(reader_source(reader), "maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (;;) {
        int error = reader_move(reader);
        int more = error ? error : read_more(reader, fd, &length);
        if (more != 1)
            return more;
        ssize_t used = add_lines(reader, length, &before);
        if (used < 0)
            return (int)used;
        length -= (size_t)used;
        memmove(reader->buffer, reader->buffer + used, length);
    }
}
