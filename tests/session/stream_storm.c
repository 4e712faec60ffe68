/* SPDX-License-Identifier: MIT */
#include "streams.h"
static const struct CMUnitTest tests[1];
const struct suite stream_storm_suite = {"storm of streams", tests, 0};
