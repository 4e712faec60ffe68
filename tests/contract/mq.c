/* SPDX-License-Identifier: MIT */
#include "subject.h"
static const struct CMUnitTest tests[] = {{0}};
const struct suite mq_suite = {.name = "native", .tests = tests, .count = 0, .only_kind = "mq"};
