/* SPDX-License-Identifier: MIT */
#include "control.h"
#include "control_views.h"
#include "events_log.h"
#include "ipcfs.h"
#include "kind_limits.h"

#include <stdio.h>
#include <string.h>

static void readme_line(struct text *out, const char *path, const char *help, const char *marks)
{
    int pad = 28 - (int)strlen(path);
    text_printf(out, "%s%*s %s%s\n", path, pad > 0 ? pad : 0, "", help, marks);
}

static void readme_files(struct text *out, const char *directory, const struct control_file *files)
{
    for (; files->name; files++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", directory, files->name);
        readme_line(out, path, files->help, files->unlisted ? " (unlisted)" : "");
    }
}

static void readme_fields(struct text *out, const struct ipcfs_field *fields)
{
    for (; fields->name; fields++)
        text_printf(out, "  %-26s %s%s%s\n", fields->name, fields->help, *fields->unit ? ", in " : "",
                    fields->unit);
}

static void readme_options(struct text *out, const struct ipcfs_backend *kind)
{
    if (!kind->options->name)
        return;
    text_string(out, "options of create (in numbers K, M and G are powers of 1024):\n");
    readme_fields(out, kind->options);
    text_printf(out, "  %-26s %s\n", "mode", "permission bits, octal; 0600 where it is not given");
}

/* The files of a place, which is at `place` in the object's directory. */
static void readme_verbs(struct text *out, const struct ipcfs_backend *kind, enum node_type type,
                         const char *place)
{
    const struct ipcfs_verb *verb = NULL;
    for (unsigned i = 0; (verb = control_verb(kind, type, i)); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/NAME/%s%s%s", kind->directories[0], place, verb->name,
                       verb->numbered ? "/N" : "");
        readme_line(out, path, verb->help, verb->unlisted ? " (unlisted)" : "");
    }
}

static void readme_kind(struct text *out, const struct ipcfs_backend *kind)
{
    char directory[64];
    text_printf(out, "\n%s: %s\n", kind->kind, kind->help);
    (void)snprintf(directory, sizeof directory, "%s/", kind->kind);
    readme_files(out, directory, control_kind_files);
    if (kind->options->name)
        readme_files(out, directory, control_create_files);
    readme_verbs(out, kind, NODE_CTL_DIR, "");
    readme_options(out, kind);
    text_string(out, "fields of a state:\n");
    readme_fields(out, kind->fields);
    if (kind->survey_fields->name) {
        text_string(out, "fields of a list:\n");
        readme_fields(out, kind->survey_fields);
    }
    text_string(out, "fields of limits:\n");
    readme_fields(out, kind->limit_fields);
}

int control_readme(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   struct text *out)
{
    (void)caller;
    (void)kind;
    text_string(
        out,
        "Control files. Reading any file that is listed here has no side effect and never blocks.\n"
        "Those marked (unlisted) are found by name only: reading them takes something or waits for it.\n"
        "A file that can be written takes a line at a time. Why a line was refused can be read from the\n"
        "same descriptor, or in last-error. In names, \\ooo stands for a byte, as in the lists.\n"
        "An object whose name is that of a fixed file has its directory under @NAME.\n\n");
    readme_files(out, "", control_files);
    text_string(out, "fields of an event (the first four without their names):\n");
    readme_fields(out, event_fields);
    text_string(out, "columns of limits:\n");
    readme_fields(out, limits_fields);
    text_string(out, "columns of holders, which every object has in its directory:\n");
    readme_fields(out, holders_fields);
    text_string(out, "columns of waiters, likewise:\n");
    readme_fields(out, waiters_fields);
    for (size_t i = 0; fs->tree.kinds[i]; i++)
        readme_kind(out, fs->tree.kinds[i]);
    text_string(out, "\nNot under ctl, but in or beside the directories of objects:\n");
    for (size_t i = 0; fs->tree.kinds[i]; i++) {
        readme_verbs(out, fs->tree.kinds[i], NODE_OBJECT_DIR, "");
        readme_verbs(out, fs->tree.kinds[i], NODE_MEMBER, "N/");
    }
    readme_files(out, "sysv/", control_sysv_files);
    text_string(out, "  PATH is absolute, and as the daemon sees it; a path in this mount is refused.\n"
                     "  PROJ is a number of 1 to 255, or one character.\n");
    readme_line(out, "proc/PID/", "a link to each object that the process uses: KIND:NAME", "");
    readme_line(out, "proc/self", "a link to your own process", "");
    return 0;
}
