/* SPDX-License-Identifier: MIT */
/* Lines of ctl/<kind>/create, for a kind that only looks at what it is asked for: what is refused makes nothing and says why
 * in one line; and what is asked for, written down as a line, asks for the same again. */
#include "fuzz.h"

#include "control.h"
#include "events.h"
#include "ipcfs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAXMSG, TYPE, OPTIONS };
static const struct ipcfs_field options[] = {
    [MAXMSG] = {"maxmsg", IPCFS_UNSIGNED, "", ""}, [TYPE] = {"type", IPCFS_STRING, "", ""}, [OPTIONS] = {0}};
static const char *const directories[] = {"q", NULL};

/* What create() was asked for last, as a line. */
static struct text asked;
static unsigned made;

static int create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    const struct ipcfs_value *values = wish->options;
    MUST(*wish->name && strlen(wish->name) <= NAME_MAX && !strchr(wish->name, '/'));
    MUST((wish->mode & ~(mode_t)0777) == 0 && wish->flags == (O_CREAT | O_EXCL | O_RDWR));
    text_reset(&asked);
    text_escape_word(&asked, wish->name);
    text_printf(&asked, " mode=%04o", wish->mode);
    if (values[MAXMSG].known)
        text_printf(&asked, " maxmsg=%" PRIu64, values[MAXMSG].number);
    if (values[TYPE].known)
        text_printf(&asked, " type=%s", values[TYPE].string);
    made++;
    *out = (struct ipcfs_created){.made = true};
    return *wish->name == '!' ? -EEXIST : 0;
}

static void release(struct ipcfs_hold *hold)
{
    MUST(!hold);
}

static const struct ipcfs_backend kind = {
    .directories = directories, .options = options, .create = create, .release = release};

static int give(const char *line, size_t length)
{
    static struct ipcfs fs;
    const struct caller caller = {.uid = 1, .gid = 1, .pid = 1};
    AUTO_TEXT answer = {0};
    if (!fs.events)
        MUST(events_new(&fs, &fs.events) == 0);
    int error = control_create(&fs, &kind, &caller, line, length, &answer);
    MUST(error <= 0 && !error == !answer.length);
    MUST(!answer.length || !memchr(answer.data, '\n', answer.length));
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct input first = input_until(&input, '\n');
    char *line = input_string(&first);
    AUTO_TEXT again = {0};
    made = 0;
    int error = give(line, strlen(line));
    MUST(made == (error == 0 || error == -EEXIST));
    if (made) {
        again = asked;
        asked = (struct text){0};
        text_bytes(&again, "", 1);
        MUST(give(again.data, again.length - 1) == error);
        MUST(asked.length == again.length - 1 && memcmp(asked.data, again.data, asked.length) == 0);
    }
    free(line);
    text_reset(&asked);
    return 0;
}
