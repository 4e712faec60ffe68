/* SPDX-License-Identifier: MIT */
/*
 * ctl/<kind>/create: a line "NAME [option=value]…" makes an object whose attributes are fixed at its creation. Which
 * options there are the kind's table says; mode= is everybody's.
 */
#include "control.h"

#include "fields.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* The umask of the writer is not told with a write: what has no mode= is his alone. */
enum { DEFAULT_MODE = 0600 };

static const char blanks[] = " \t";

/* A line as it is taken apart. What is borrowed lives as long as the line. */
struct order {
    const struct ipcfs_backend *kind;
    struct text name; /* terminated */
    mode_t mode;
    bool mode_given;
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    struct text *reason;
};

/* Cuts the next word off; "" at the end. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, blanks);
    size_t length = strcspn(word, blanks);
    *rest = word + length + (word[length] != '\0');
    word[length] = '\0';
    return word;
}

/* "WORD: why". */
static int refuse_word(const struct order *order, const char *word, const char *why)
{
    text_escape_word(order->reason, word);
    text_printf(order->reason, ": %s", why);
    return -EINVAL;
}

static int refuse_option(const struct order *order, const char *word)
{
    (void)refuse_word(order, word, "no such option (");
    for (const struct ipcfs_field *option = order->kind->options; option->name; option++)
        text_printf(order->reason, "%s ", option->name);
    text_string(order->reason, "mode)");
    return -EINVAL;
}

/* ---- numbers ---- */

/* How far a suffix K, M or G shifts; 0 for anything else. */
static unsigned suffix_shift(char suffix)
{
    static const char suffixes[] = "KMG";
    const char *found = suffix ? strchr(suffixes, suffix) : NULL;
    return found ? 10 * (unsigned)(found - suffixes + 1) : 0;
}

static int parse_number(const char *word, uint64_t *out)
{
    size_t length = strlen(word);
    unsigned shift = length ? suffix_shift(word[length - 1]) : 0;
    int error = parse_digits(word, length - (shift != 0), 10, UINT64_MAX >> shift, out);
    *out <<= shift;
    return error;
}

/* ---- words ---- */

static int take_mode(struct order *order, const char *word, const char *digits)
{
    uint64_t mode = 0;
    if (order->mode_given)
        return refuse_word(order, word, "given twice");
    if (parse_digits(digits, strlen(digits), 8, 0777, &mode))
        return refuse_word(order, word, "not an octal number up to 0777");
    order->mode = (mode_t)mode;
    order->mode_given = true;
    return 0;
}

static int take_number(const struct order *order, const char *word, const char *digits,
                       struct ipcfs_value *value)
{
    int error = parse_number(digits, &value->number);
    if (error)
        return refuse_word(order, word, error == -ERANGE ? "too large a number" : "not a number");
    value->known = true;
    return 0;
}

/* Of a field of IPCFS_STRING: a word, which the kind knows. */
static int take_value(const struct order *order, const char *word, const char *given,
                      enum ipcfs_field_type type, struct ipcfs_value *value)
{
    if (value->known)
        return refuse_word(order, word, "given twice");
    if (type != IPCFS_STRING)
        return take_number(order, word, given, value);
    *value = ipcfs_string(given);
    return 0;
}

static bool is_named(const char *word, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

static int take_option(struct order *order, const char *word)
{
    size_t length = strcspn(word, "=");
    if (word[length] != '=')
        return refuse_word(order, word, "not of the form option=value");
    const char *value = word + length + 1;
    if (is_named(word, length, "mode"))
        return take_mode(order, word, value);
    const struct ipcfs_field *options = order->kind->options;
    for (unsigned i = 0; options[i].name; i++) {
        if (is_named(word, length, options[i].name))
            return take_value(order, word, value, options[i].type, &order->values[i]);
    }
    return refuse_option(order, word);
}

static int take_name(struct order *order, const char *word)
{
    if (!*word) {
        text_string(order->reason, "a name is missing");
        return -EINVAL;
    }
    if (text_unescape(&order->name, word, strlen(word)))
        return refuse_word(order, word, "a backslash in a name is \\134");
    if (order->name.length > NAME_MAX) {
        (void)refuse_word(order, word, "too long a name");
        return -ENAMETOOLONG;
    }
    text_bytes(&order->name, "", 1);
    if (text_error(&order->name))
        return -ENOMEM;
    return strchr(order->name.data, '/') ? refuse_word(order, word, "a name has no '/'") : 0;
}

static int take_words(struct order *order, char *line)
{
    char *rest = line;
    int error = take_name(order, next_word(&rest));
    for (char *word = next_word(&rest); !error && *word; word = next_word(&rest))
        error = take_option(order, word);
    return error;
}

/* ---- the object ---- */

static int make(struct ipcfs *fs, const struct order *order, const struct caller *caller)
{
    const struct ipcfs_backend *kind = order->kind;
    struct ipcfs_wish wish = {
        .name = order->name.data,
        .type = ipcfs_makes(kind, S_IFDIR) ? S_IFDIR
                                           : S_IFREG, /* what else there is comes by mknod(2) or bind(2) */
        .flags = O_CREAT | O_EXCL | O_RDWR,
        .mode = order->mode,
        .caller = caller,
        .options = order->values,
        .reason = order->reason,
    };
    /* The last directory is the one in which names are chosen: by-key, not by-id. */
    while (kind->directories[wish.directory + 1])
        wish.directory++;
    struct ipcfs_created created = {0}; /* a kind may have no file to give */
    events_note(fs->events, kind, wish.directory, wish.name, caller);
    int error = kind->create(&wish, &created);
    if (error) {
        if (!order->reason->length && !text_error(order->reason))
            (void)refuse_word(order, order->name.data, strerror(-error));
        return error;
    }
    if (created.file)
        kind->close(created.file);
    kind->release(created.hold);
    return 0;
}

int control_create(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   const char *line, size_t length, struct text *answer)
{
    AUTO_TEXT reason = {0};
    struct order order = {.kind = kind, .mode = DEFAULT_MODE, .reason = &reason};
    AUTO_FREE char *words = strndup(line, length);
    if (!words)
        return -ENOMEM;
    int error = take_words(&order, words);
    if (!error)
        error = make(fs, &order, caller);
    if (error)
        text_bytes(answer, reason.data, reason.length);
    if (text_error(&reason))
        text_reset(answer);
    text_reset(&order.name);
    return error;
}
