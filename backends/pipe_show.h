/* SPDX-License-Identifier: MIT */
/* What ctl/pipe/ shows. */
#ifndef IPCFS_BACKENDS_PIPE_SHOW_H
#define IPCFS_BACKENDS_PIPE_SHOW_H

#include "ipcfs/backend.h"

extern const struct ipcfs_field pipe_fields[];
extern const struct ipcfs_field pipe_survey_fields[];
extern const struct ipcfs_field pipe_limit_fields[];
extern const struct ipcfs_verb pipe_verbs[];

int pipe_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values);
int pipe_survey(ipcfs_survey_row *row, void *data);
int pipe_show_limits(struct ipcfs_value *values);

#endif
