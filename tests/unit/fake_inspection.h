/* SPDX-License-Identifier: MIT */
/* An inspection made by hand: of processes that there are not. */
#ifndef IPCFS_TESTS_UNIT_FAKE_INSPECTION_H
#define IPCFS_TESTS_UNIT_FAKE_INSPECTION_H

#include "inspect/inspection.h"

enum { FAKE_PROCESSES = 64, FAKE_OBJECTS = 64, FAKE_USES = 512, FAKE_LOCKS = 64 };

struct fake_inspection {
    struct inspection seen;
    struct process processes[FAKE_PROCESSES];
    struct inspected_object objects[FAKE_OBJECTS];
    struct inspected_use uses[FAKE_USES];
    struct inspected_lock locks[FAKE_LOCKS];
    size_t users[FAKE_USES];
};

void fake_begin(struct fake_inspection *fake);
/* Each is 0 or an index. Processes are made in the order of their pids, which are 100, 101 …; a command is borrowed. */
size_t fake_process(struct fake_inspection *fake, const char *command, size_t threads);
size_t fake_object(struct fake_inspection *fake, const struct ipcfs_backend *kind, const char *name);
size_t fake_thing(struct fake_inspection *fake, enum inspected_type type, const char *name);
/* Uses; what they tell more is set in what is returned, before fake_end(). */
struct inspected_use *fake_descriptor(struct fake_inspection *fake, size_t process, size_t object, bool reads,
                                      bool writes);
struct inspected_use *fake_mapping(struct fake_inspection *fake, size_t process, size_t object);
/* The first thread has the number of the process. */
struct inspected_use *fake_wait(struct fake_inspection *fake, size_t process, unsigned thread, size_t object,
                                const char *call);
void fake_lock(struct fake_inspection *fake, size_t object, pid_t holder, size_t waiter);
pid_t fake_pid(size_t process);
/* Puts all in order. */
const struct inspection *fake_end(struct fake_inspection *fake);

#endif
