/* SPDX-License-Identifier: MIT */
/*
 * The parts of OpenMetrics text, version 1.0 (Internet draft draft-richih-opsawg-openmetrics). A sample is its name, its
 * labels, "} " and its number; "# EOF" ends the text.
 */
#ifndef IPCFS_FS_OPENMETRICS_H
#define IPCFS_FS_OPENMETRICS_H

#include "ipcfs/text.h"

#include <stdbool.h>

/* The beginning of a family, whose samples follow, all of them. A unit ("" is none) is the end of its name, too; the samples
 * of a counter end in _total besides. `help` needs no escapes. */
void openmetrics_family(struct text *out, const char *name, const char *type, const char *unit,
                        const char *help);
/* A label; `first` of its sample. The value may be any text; it is escaped. */
void openmetrics_label(struct text *out, bool first, const char *name, const char *value);
/* What ends a sample: a number, or seconds. */
void openmetrics_number(struct text *out, uint64_t value);
void openmetrics_seconds(struct text *out, uint64_t nanoseconds);
/* A family of one sample without labels. */
void openmetrics_gauge(struct text *out, const char *name, const char *unit, const char *help,
                       uint64_t value);

#endif
