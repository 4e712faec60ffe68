/* SPDX-License-Identifier: MIT */
#include "openmetrics.h"

void openmetrics_family(struct text *out, const char *name, const char *type, const char *unit,
                        const char *help)
{
    text_printf(out, "# TYPE %s %s\n", name, type);
    if (*unit)
        text_printf(out, "# UNIT %s %s\n", name, unit);
    text_printf(out, "# HELP %s %s\n", name, help);
}

void openmetrics_label(struct text *out, bool first, const char *name, const char *value)
{
    text_printf(out, "%s%s=\"", first ? "{" : ",", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            text_bytes(out, "\\", 1);
        text_bytes(out, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
    }
    text_bytes(out, "\"", 1);
}

void openmetrics_number(struct text *out, uint64_t value)
{
    text_number(out, value, 1);
    text_bytes(out, "\n", 1);
}

void openmetrics_seconds(struct text *out, uint64_t nanoseconds)
{
    text_number(out, nanoseconds / 1000000000, 1);
    text_bytes(out, ".", 1);
    text_number(out, nanoseconds % 1000000000, 9);
    text_bytes(out, "\n", 1);
}

void openmetrics_gauge(struct text *out, const char *name, const char *unit, const char *help, uint64_t value)
{
    openmetrics_family(out, name, "gauge", unit, help);
    text_printf(out, "%s ", name);
    openmetrics_number(out, value);
}
