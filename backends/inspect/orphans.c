/* SPDX-License-Identifier: MIT */
#include "orphans.h"

#include "boot_time.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- who is dead ---- */

/* Times of objects are cut to whole seconds, clocks are read at ticks and set by a little: who began within so long after
 * may have been there. */
enum { SLACK_S = 3 };

/* Those of a larger `start` (struct process) are younger than that time. Processes are started by CLOCK_BOOTTIME. No object is
 * older than that, so where one seems to be the clock has been set, and tells nothing. */
static uint64_t younger_than(const struct timespec *time)
{
    int64_t seconds = time->tv_sec - boot_time_earliest() + SLACK_S;
    return seconds > SLACK_S ? (uint64_t)seconds * (uint64_t)sysconf(_SC_CLK_TCK) : UINT64_MAX;
}

/* It has ended, all of its threads have, and its parent has not noticed yet. A descriptor tells at once; /proc/PID/stat may wait for
 * as long as the process likes (do_task_stat() and execve(2), Linux 6.9). */
static bool is_zombie(pid_t pid)
{
    AUTO_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = process, .events = POLLIN};
    return process >= 0 && poll(&end, 1, 0) > 0;
}

/* What is known of processes. */
struct known {
    const struct inspection *inspection;
    struct place_daemons daemons;
};

/* kill(2) knows also those that /proc hides (hidepid). `latest`: when he can have used it at the latest. */
static enum orphan_past past_of_pid(const struct inspection *inspection, pid_t pid,
                                    const struct timespec *latest)
{
    if (pid == getpid())
        return PAST_UNKNOWN;
    if ((kill(pid, 0) < 0 && errno == ESRCH) || is_zombie(pid))
        return PAST_DEAD;
    const struct process *process = inspection_process(inspection, pid);
    return process && process->start > younger_than(latest) ? PAST_REUSED : PAST_ALIVE;
}

/* A daemon that has ended did it for somebody, too, who may live. Others that had its pid are not told apart. */
static enum orphan_past past_of(const struct known *known, pid_t pid, const struct timespec *latest)
{
    enum orphan_past past = past_of_pid(known->inspection, pid, latest);
    bool ended = past == PAST_DEAD || past == PAST_REUSED;
    return ended && place_was_daemon(&known->daemons, pid) ? PAST_UNKNOWN : past;
}

static enum orphan_past past_of_users(const struct known *known, const struct ipcfs_traces *traces)
{
    enum orphan_past worst = traces->users_told ? PAST_NOBODY : PAST_UNKNOWN;
    for (size_t i = 0; i < traces->user_count; i++) {
        enum orphan_past past = past_of(known, traces->users[i], &traces->used);
        worst = past > worst ? past : worst;
    }
    return worst;
}

static enum orphan_past past_of_creator(const struct known *known, const struct ipcfs_traces *traces)
{
    if (!traces->creator_recorded || !traces->creator)
        return PAST_UNKNOWN;
    return past_of(known, traces->creator, &traces->created);
}

static bool is_owner_gone(const struct inspection *inspection, const struct orphan *orphan)
{
    uint64_t younger = younger_than(&orphan->traces.created);
    for (size_t i = 0; i < inspection->process_count; i++) {
        const struct process *process = &inspection->processes[i];
        if (process->uid == orphan->uid && process->start <= younger)
            return false;
    }
    return true;
}

static bool is_unseen(const struct process *process)
{
    return !process->readable || (!process->calls_known && !is_zombie(process->pid));
}

/* Where even the first process is hidden (hidepid), nobody can tell how many are. */
static size_t count_unseen(const struct inspection *inspection)
{
    size_t count = inspection_process(inspection, 1) || getpid() == 1 ? 0 : 1;
    for (size_t i = 0; i < inspection->process_count; i++)
        count += is_unseen(&inspection->processes[i]);
    return count;
}

/* ---- verdicts ---- */

/* What would go with it is of use to nobody. */
static bool is_empty(const struct ipcfs_traces *traces)
{
    return traces->memory || (traces->content_known && traces->content == 0);
}

static bool is_nobody_there(const struct orphan *orphan)
{
    return orphan->traces.holds_counted || (orphan->unseen == 0 && !orphan->made_meanwhile);
}

/* Of a kind whose creators are not recorded, who used it last has to be. No clock is believed here. */
static bool is_proven(const struct orphan *orphan)
{
    bool users_dead = orphan->users == PAST_DEAD;
    if (orphan->traces.creator_recorded)
        return orphan->creator == PAST_DEAD && (users_dead || orphan->users == PAST_NOBODY);
    return users_dead;
}

static bool is_creator_gone(const struct orphan *orphan)
{
    if (orphan->creator == PAST_DEAD || orphan->creator == PAST_REUSED)
        return true;
    return orphan->creator == PAST_UNKNOWN && orphan->gone && orphan->unseen == 0 && !orphan->made_meanwhile;
}

enum orphan_verdict orphan_judge(const struct orphan *orphan)
{
    if (orphan->traces.out_of_reach)
        return ORPHAN_SAFE;
    if (orphan->traces.persistent || !is_empty(&orphan->traces) || !is_nobody_there(orphan))
        return ORPHAN_UNKNOWN;
    if (is_proven(orphan))
        return ORPHAN_SAFE;
    return is_creator_gone(orphan) && orphan->users != PAST_ALIVE ? ORPHAN_LIKELY : ORPHAN_UNKNOWN;
}

const char *orphan_verdict_word(enum orphan_verdict verdict)
{
    static const char *const words[] = {
        [ORPHAN_UNKNOWN] = "unknown", [ORPHAN_LIKELY] = "likely", [ORPHAN_SAFE] = "safe"};
    return words[verdict];
}

const char *orphan_past_word(enum orphan_past past)
{
    static const char *const words[] = {[PAST_NOBODY] = "none",
                                        [PAST_DEAD] = "dead",
                                        [PAST_REUSED] = "reused",
                                        [PAST_UNKNOWN] = "unknown",
                                        [PAST_ALIVE] = "alive"};
    return words[past];
}

static const char *content_word(const struct ipcfs_traces *traces)
{
    if (traces->memory)
        return ",memory";
    if (!traces->content_known)
        return ",content-unknown";
    return traces->content ? ",content-waits" : ",empty";
}

void orphan_evidence(const struct orphan *orphan, struct text *out)
{
    const struct ipcfs_traces *traces = &orphan->traces;
    if (traces->out_of_reach) {
        text_string(out, "out-of-reach");
        return;
    }
    text_string(out, traces->holds_counted ? "nobody-counted" : "nobody-seen");
    text_string(out, content_word(traces));
    text_printf(out, ",creator-%s,users-%s", orphan_past_word(orphan->creator),
                orphan_past_word(orphan->users));
    text_string(out, orphan->gone ? ",owner-gone" : "");
    text_string(out, traces->persistent ? ",meant-to-stay" : "");
    text_string(out, orphan->made_meanwhile ? ",just-made" : "");
    text_string(out, orphan->unseen ? ",not-all-seen" : "");
}

/* ---- the walk ---- */

struct search {
    const struct ipcfs_backend *kind;
    struct known known;
    size_t unseen;
    void **kept; /* of the kind, for this walk */
    orphan_visit *visit;
    void *data;
};

static bool is_held(const struct search *search, uint64_t number)
{
    const struct inspected_object *object = inspection_object(search->known.inspection, search->kind, number);
    return object && object->user_count;
}

static void fill(const struct search *search, struct orphan *orphan)
{
    const struct ipcfs_traces *traces = &orphan->traces;
    orphan->creator = past_of_creator(&search->known, traces);
    orphan->users = past_of_users(&search->known, traces);
    orphan->gone = is_owner_gone(search->known.inspection, orphan);
    orphan->made_meanwhile = traces->created.tv_sec >= search->known.inspection->time.tv_sec;
    orphan->unseen = search->unseen;
    orphan->verdict = orphan_judge(orphan);
}

/* A FIFO that nobody has open is what it is meant to be, while anybody is there who may have made it. */
static bool is_left_out(const struct orphan *orphan)
{
    return (orphan->traces.holds_counted && orphan->traces.holds) ||
           (orphan->traces.persistent && !orphan->gone);
}

static int look_at(const struct search *search, const char *name)
{
    struct ipcfs_found found;
    int error = search->kind->find(0, name, &found, NULL);
    if (error || is_held(search, found.id.number))
        return error;
    struct orphan orphan = {.kind = search->kind, .id = found.id, .name = name, .uid = found.stat.stx_uid};
    struct ipcfs_ref ref = {.id = found.id, .name = name};
    error = search->kind->traces(&ref, search->kept, &orphan.traces);
    if (error)
        return error;
    fill(search, &orphan);
    return is_left_out(&orphan) ? 0 : search->visit(search->data, &orphan);
}

/* What vanishes meanwhile, or is no object to be left behind, or not the caller's to see, is passed over. */
static bool is_passed_over(int error)
{
    return error == -ENOENT || error == -ESTALE || error == -EACCES || error == -EOPNOTSUPP ||
           error == -ENAMETOOLONG;
}

static int search_kind(const struct search *search)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int error = search->kind->list_open(0, &lister);
    if (error)
        return is_passed_over(error) ? 0 : error;
    while (!error && (error = search->kind->list_next(lister, &entry)) == 1) {
        error = look_at(search, entry.name);
        if (is_passed_over(error))
            error = 0;
    }
    search->kind->list_close(lister);
    return error;
}

static int read_daemons(struct place_daemons *out)
{
    AUTO_IDENTITY as_daemon = {0};
    int error = identity_put_on(&as_daemon, NULL);
    if (!error)
        place_daemons(out);
    return error;
}

int orphans_find(const struct ipcfs_backend *const *kinds, const struct inspection *inspection,
                 orphan_visit *visit, void *data)
{
    struct search search = {
        .known.inspection = inspection, .unseen = count_unseen(inspection), .visit = visit, .data = data};
    int error = read_daemons(&search.known.daemons);
    for (size_t i = 0; !error && kinds[i]; i++) {
        AUTO_FREE void *kept = NULL;
        search.kind = kinds[i];
        search.kept = &kept;
        error = search_kind(&search);
    }
    place_daemons_free(&search.known.daemons);
    return error;
}

/* ---- quoting ---- */

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

void orphan_quote(struct text *out, const char *text)
{
    bool printable = is_printable(text);
    text_string(out, printable ? "'" : "$'");
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            text_printf(out, "\\%03o", (unsigned char)*text);
        else if (printable && *text == '\'')
            text_string(out, "'\\''");
        else if (!printable && (*text == '\'' || *text == '\\'))
            text_printf(out, "\\%c", *text);
        else
            text_bytes(out, text, 1);
    }
    text_string(out, "'");
}
