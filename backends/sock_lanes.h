/* SPDX-License-Identifier: MIT */
/* The lanes in which those wait who want something of one socket (`lane` of include/ipcfs/backend.h). */
#ifndef IPCFS_BACKENDS_SOCK_LANES_H
#define IPCFS_BACKENDS_SOCK_LANES_H

enum { SOCK_LANE_ACCEPT, SOCK_LANE_CONNECT, SOCK_LANE_RECEIVE, SOCK_LANE_SEND };

#endif
