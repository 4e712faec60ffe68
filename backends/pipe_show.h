/* SPDX-License-Identifier: MIT */
/*
 * What ctl/ shows of pipes.
 *
 * The daemon never hears of open(2), read(2) and write(2) on a FIFO of the mount: the kernel makes a pipe of the inode by
 * itself. So who has it open is looked for in /proc (pipe_ends.h), and the pipe is asked by a duplicate of a descriptor
 * that somebody has (pipe_ask.h). A pipe exists while somebody has it open; before and after, nothing waits and there is
 * no capacity.
 */
#ifndef IPCFS_BACKENDS_PIPE_SHOW_H
#define IPCFS_BACKENDS_PIPE_SHOW_H

#include "ipcfs/backend.h"

/* Of pipe/NAME. Who may neither read nor write it is told its attributes only. */
extern const struct ipcfs_field pipe_fields[];
/* `stat` is of the node in the runtime directory. 0, −ESTALE where the name means another by now, or −errno. */
int pipe_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values);
/* `capacity` and `peek`. */
extern const struct ipcfs_verb pipe_verbs[];

/*
 * All objects of pipe/, and all pipes, FIFOs anywhere and anonymous ones, that a process has open whose descriptors the
 * calling thread may see. Of an object that none of them has open neither capacity nor what is queued is known.
 */
extern const struct ipcfs_field pipe_survey_fields[];
int pipe_survey(ipcfs_survey_row *row, void *data);

extern const struct ipcfs_field pipe_limit_fields[];
extern const struct ipcfs_limit pipe_limit_rows[];
extern const struct ipcfs_total pipe_totals[];
int pipe_show_limits(struct ipcfs_value *values);

#endif
