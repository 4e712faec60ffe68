/* SPDX-License-Identifier: MIT */
/* System V objects: no descriptor tells who has them, but the kernel keeps the pid of who used them last. */
#include "waits_build.h"

#include "sysv_msg.h"
#include "sysv_sem.h"

#include <unistd.h>

/* Whether it may have been that process: it had started by then. Times are in whole seconds. */
static bool was_there(const struct waits_build *build, const struct process *process, time_t when)
{
    return build->boot + (time_t)(process->start / (uint64_t)sysconf(_SC_CLK_TCK)) <= when + 1;
}

static int add_last(struct waits_build *build, struct waited *waited, pid_t pid, time_t when,
                    enum wait_evidence evidence)
{
    const struct inspection *inspection = build->inspection;
    ptrdiff_t process = pid > 0 ? waits_process(inspection, pid) : NO_PROCESS;
    if (process == NO_PROCESS || !was_there(build, &inspection->processes[process], when))
        return 0;
    waited->presumed = true;
    if (waited->evidence == EVIDENCE_NONE)
        waited->evidence = evidence;
    const struct wait_holder *holders = build->out->holders + waited->first;
    for (size_t i = 0; i < waited->count; i++)
        if (holders[i].process == (size_t)process)
            return 0;
    return waits_add_holder(build, waited, (size_t)process, 0);
}

/* Asked as the calling thread: without the right to read the set nothing is known. */
int waits_last_of_sem(struct waits_build *build, struct waited *waited)
{
    struct semid_ds state;
    int id = (int)build->inspection->objects[waited->object].number;
    if (waited->member < 0 || sysv_sem_state(id, &state) || semctl(id, waited->member, GETVAL) != 0)
        return 0;
    return add_last(build, waited, semctl(id, waited->member, GETPID), state.sem_otime,
                    EVIDENCE_CHANGED_LAST);
}

/* Other senders and receivers of a queue leave no trace. */
int waits_last_of_msg(struct waits_build *build, struct waited *waited)
{
    struct msqid_ds state;
    if (sysv_msg_state((int)build->inspection->objects[waited->object].number, &state))
        return 0;
    return waited->purpose == WAITS_FOR_DATA
               ? add_last(build, waited, state.msg_lspid, state.msg_stime, EVIDENCE_SENT_LAST)
               : add_last(build, waited, state.msg_lrpid, state.msg_rtime, EVIDENCE_RECEIVED_LAST);
}
