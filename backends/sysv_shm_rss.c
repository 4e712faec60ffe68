/* SPDX-License-Identifier: MIT */
#include "sysv_shm_rss.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A line is about 200 bytes, and the kernel gives a page of whole lines at a time. */
enum { BUFFER_ROOM = 16 * 1024, FIRST_ROWS = 64 };

/* What to do with a row: true ends the reading. */
typedef bool take_row(const struct sysv_shm_rss *row, void *data);

/* "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap"; `line` ends with a newline. */
static bool parse_line(char *line, char *end, struct sysv_shm_rss *out)
{
    char *next = NULL;
    *end = '\0';
    (void)strtol(line, &next, 10);
    char *id_end = NULL;
    out->id = (int)strtol(next, &id_end, 10);
    if (id_end == next || id_end == NULL)
        return false; /* the line of titles */
    char *swap = strrchr(line, ' ');
    if (!swap)
        return false;
    char *rss = swap;
    while (rss > line && rss[-1] == ' ')
        rss--;
    while (rss > line && rss[-1] != ' ')
        rss--;
    out->rss = strtoull(rss, NULL, 10);
    out->swap = strtoull(swap, NULL, 10);
    return true;
}

/* Takes the whole lines of a buffer; how many bytes they are. `*taken`: `take` has had enough. */
static size_t take_lines(char *buffer, size_t size, take_row *take, void *data, bool *taken)
{
    char *line = buffer;
    char *end = NULL;
    while (!*taken && (end = memchr(line, '\n', size - (size_t)(line - buffer)))) {
        struct sysv_shm_rss row;
        *taken = parse_line(line, end, &row) && take(&row, data);
        line = end + 1;
    }
    return (size_t)(line - buffer);
}

static void read_rows(take_row *take, void *data)
{
    char buffer[BUFFER_ROOM];
    size_t filled = 0;
    bool taken = false;
    AUTO_FD fd = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !taken && filled < sizeof buffer) {
        ssize_t count = read(fd, buffer + filled, sizeof buffer - filled);
        if (count <= 0)
            return;
        filled += (size_t)count;
        size_t used = take_lines(buffer, filled, take, data, &taken);
        filled -= used;
        memmove(buffer, buffer + used, filled);
    }
}

/* ---- one ---- */

struct search {
    int id;
    bool found;
    struct sysv_shm_rss *out;
};

static bool compare(const struct sysv_shm_rss *row, void *data)
{
    struct search *search = data;
    search->found = row->id == search->id;
    if (search->found)
        *search->out = *row;
    return search->found;
}

bool sysv_shm_rss_of(int id, struct sysv_shm_rss *out)
{
    struct search search = {.id = id, .out = out};
    read_rows(compare, &search);
    return search.found;
}

/* ---- all ---- */

struct collection {
    struct sysv_shm_rss_table *table;
    int error;
};

static bool collect(const struct sysv_shm_rss *row, void *data)
{
    struct collection *collection = data;
    struct sysv_shm_rss_table *table = collection->table;
    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : FIRST_ROWS;
        struct sysv_shm_rss *rows = realloc(table->rows, room * sizeof *rows);
        if (!rows) {
            collection->error = -ENOMEM;
            return true;
        }
        table->rows = rows;
        table->room = room;
    }
    table->rows[table->count++] = *row;
    return false;
}

int sysv_shm_rss_read(struct sysv_shm_rss_table *out)
{
    struct collection collection = {.table = out};
    *out = (struct sysv_shm_rss_table){0};
    read_rows(collect, &collection);
    if (collection.error)
        sysv_shm_rss_free(out);
    return collection.error;
}

void sysv_shm_rss_free(struct sysv_shm_rss_table *table)
{
    free(table->rows);
    *table = (struct sysv_shm_rss_table){0};
}

const struct sysv_shm_rss *sysv_shm_rss_find(struct sysv_shm_rss_table *table, int id)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t at = (table->next + i) % table->count;
        if (table->rows[at].id != id)
            continue;
        table->next = at + 1;
        return &table->rows[at];
    }
    return NULL;
}
