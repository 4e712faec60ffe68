/* SPDX-License-Identifier: MIT */
/*
 * One increment of a counter file that is only right under mutual exclusion, and that a process may be killed in.
 *
 * DIRECTORY/counter is read, the next number is written to DIRECTORY/next.TOKEN.N, DIRECTORY/try.TOKEN.N is made, and then
 * next is renamed to counter. So a killed one has incremented exactly where there is a try and no next of it; sections.sh
 * does the same in shell, and counts.
 */
#ifndef SECTION_H
#define SECTION_H

#include <stdbool.h>

struct section {
    const char *directory;
    const char *token; /* of this process alone */
    /* Nobody kills this process: it also takes a lock inside that nobody alive may have. (Who is killed gives back the
     * semaphore before his other locks.) */
    bool alive;
};

/* Ends the program where something is wrong. */
void section_increment(const struct section *section, long number);

#endif
