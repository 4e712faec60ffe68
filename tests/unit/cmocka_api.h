/* SPDX-License-Identifier: MIT */
/* cmocka.h, with what it wants before it. */
#ifndef IPCFS_TESTS_CMOCKA_API_H
#define IPCFS_TESTS_CMOCKA_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof *(array))

#endif
