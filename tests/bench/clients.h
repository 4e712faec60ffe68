/* SPDX-License-Identifier: MIT */
/* The same operation by several processes at once. */
#ifndef BENCH_CLIENTS_H
#define BENCH_CLIENTS_H

#include "ops.h"

#define CLIENTS_MAX 64

/*
 * The operation as done by so many (at most CLIENTS_MAX): of n operations each does its part, and the time is that of all of
 * them together. Each opens the way for itself, in a process of its own, with its number, of two digits, in place of each % in
 * the path. There is one such operation in a program. It must do all of its work in prepare and run: what it does there to
 * take time off is of no effect.
 */
struct op clients_op(const struct op *op, unsigned wanted);

#endif
