/* SPDX-License-Identifier: MIT */
/* What ctl/sock/ shows. */
#ifndef IPCFS_BACKENDS_SOCK_SHOW_H
#define IPCFS_BACKENDS_SOCK_SHOW_H

#include "ipcfs/backend.h"

extern const struct ipcfs_field sock_fields[];
extern const struct ipcfs_field sock_survey_fields[];
extern const struct ipcfs_field sock_limit_fields[];
extern const struct ipcfs_verb sock_verbs[];

int sock_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values);
int sock_survey(ipcfs_survey_row *row, void *data);
int sock_show_limits(struct ipcfs_value *values);

#endif
