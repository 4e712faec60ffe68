/* SPDX-License-Identifier: MIT */
/*
 * What ctl/sock/ shows: of the objects of sock/, of all sockets of the machine, and of what limits them; and what may be
 * written there. Sockets are shown to everybody, as the kernel does (sock_diag.h), and who has them open as far as the calling
 * thread may see it.
 */
#ifndef IPCFS_BACKENDS_SOCK_SHOW_H
#define IPCFS_BACKENDS_SOCK_SHOW_H

#include "ipcfs/backend.h"

extern const struct ipcfs_field sock_fields[];
extern const struct ipcfs_field sock_survey_fields[];
extern const struct ipcfs_field sock_limit_fields[];
extern const struct ipcfs_limit sock_limit_rows[];
extern const struct ipcfs_total sock_totals[];
extern const struct ipcfs_verb sock_verbs[];

/* Slots render(), survey() and limits() of the backend. `stat`: of the object's node in the runtime directory. Tables among
 * the values are the caller's, also on error. A survey's `row` may be called with the daemon's own identity. */
int sock_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values);
int sock_survey(ipcfs_survey_row *row, void *data);
int sock_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out);
int sock_show_limits(struct ipcfs_value *values);

#endif
