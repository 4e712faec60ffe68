/* SPDX-License-Identifier: MIT */
/* The command line, in the manner of mount.fuse programs. */
#ifndef IPCFS_FS_OPTIONS_H
#define IPCFS_FS_OPTIONS_H

#include "fuse_api.h"
#include "ipcfs/log.h"
#include "passthrough.h"

#include <stdbool.h>

struct options {
    bool help;
    bool version;
    bool foreground;
    bool debug;
    enum passthrough_mode passthrough;
    enum log_level log_level;
    unsigned threads;
    unsigned poll_percent;
    char *runtime;         /* directory; owned; NULL: the default */
    char *mountpoint;      /* absolute; owned; NULL with help and version */
    struct fuse_args fuse; /* what is left, for libfuse; owned */
};

/* 0, or −EINVAL after a line on stderr. */
int options_parse(int argc, char **argv, struct options *options);
void options_free(struct options *options);
void options_help(void);

#endif
