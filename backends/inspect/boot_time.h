/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_INSPECT_BOOT_TIME_H
#define IPCFS_BACKENDS_INSPECT_BOOT_TIME_H

#include <time.h>

/*
 * When the machine was started, seconds of CLOCK_REALTIME: what turns the start of a process, which is told by CLOCK_BOOTTIME, into
 * the time of day. Where that has been set since this was first called, the earliest of what it was taken for at each call: so
 * nobody is thought younger than he is, in whichever time of day an object has its times. First called at start.
 */
time_t boot_time_earliest(void);

#endif
