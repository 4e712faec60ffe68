/* SPDX-License-Identifier: MIT */
/* What the tests of objects that are directories share. */
#ifndef IPCFS_TESTS_SESSION_PARTS_H
#define IPCFS_TESTS_SESSION_PARTS_H

#include "later.h"
#include "parts_kind.h"

/* Set-up and tear-down: beside what all sessions give back, every hold, file and lock of the kinds is given back. */
int begin_parts(void **state);
int end_parts(void **state);
#define PARTS(function) cmocka_unit_test_setup_teardown(function, begin_parts, end_parts)

extern const struct suite part_names_suite;
extern const struct suite part_waits_suite;
extern const struct suite part_commands_suite;
extern const struct suite fixed_suite;
extern const struct suite part_storm_suite;

#endif
