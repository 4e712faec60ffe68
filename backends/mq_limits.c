/* SPDX-License-Identifier: MIT */
#include "mq_limits.h"

#include "caller_limit.h"
#include "mq_directory.h"
#include "mq_make.h"
#include "small_file.h"

#include "ipcfs/capability.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>

/* What binds those whom fs.mqueue.msg_max and msgsize_max do not (include/linux/ipc_namespace.h). */
enum { HARD_MSG_MAX = 65536, HARD_MSGSIZE_MAX = 16 * 1024 * 1024 };

static uint64_t at_most(uint64_t number, uint64_t bound)
{
    return number < bound ? number : bound;
}

/* ---- what the system says ---- */

static int read_setting(const char *name, uint64_t *out)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    return small_file_number(path, "", out);
}

int mq_read_system(struct mq_system *out)
{
    const struct {
        const char *name;
        uint64_t *value;
    } settings[] = {
        {"queues_max", &out->queues_max},           {"msg_max", &out->msg_max},
        {"msg_default", &out->msg_default},         {"msgsize_max", &out->msgsize_max},
        {"msgsize_default", &out->msgsize_default},
    };
    int error = 0;
    for (size_t i = 0; !error && i < sizeof settings / sizeof *settings; i++)
        error = read_setting(settings[i].name, settings[i].value);
    return error;
}

uint64_t mq_default_maxmsg(const struct mq_system *system)
{
    return at_most(system->msg_default, system->msg_max);
}

uint64_t mq_default_msgsize(const struct mq_system *system)
{
    return at_most(system->msgsize_default, system->msgsize_max);
}

/*
 * Of all messages, and of what the kernel keeps for each and for each priority in use (mqueue_get_inode()).
 */
uint64_t mq_cost(uint64_t maxmsg, uint64_t msgsize)
{
    enum { MESSAGE_COST = 6 * sizeof(void *), PRIORITY_COST = 6 * sizeof(void *), PRIORITIES = 32768 };
    return maxmsg * (msgsize + MESSAGE_COST) + at_most(maxmsg, PRIORITIES) * PRIORITY_COST;
}

/* Whether the calling thread, as who it acts, is above the settings of the system. */
static bool is_above_settings(void)
{
    return has_capability(CAP_SYS_RESOURCE);
}

/* ---- what is used ---- */

/*
 * The kernel keeps a sum per user and tells nobody. Most of it is in the queues that are to be seen: that of
 * a queue without a name, or given away by chown(2), is not.
 */
struct usage {
    uint64_t queues;   /* of all users */
    uint64_t messages; /* in those queues that the thread may look at */
    uint64_t bytes;    /* charged to the one asked for */
    bool known;        /* every queue of his could be looked at */
};

/* As who the thread acts. A user who may neither read nor write his own queue can not look at it. */
static int add_queue(const char *name, uid_t uid, struct usage *usage)
{
    struct statx stat;
    struct mq_attr attributes;
    if (mq_name_stat(name, &stat))
        return 0;
    bool own = stat.stx_uid == uid;
    AUTO_FD fd = mq_name_open(name, O_RDONLY);
    if (fd == -EACCES)
        fd = mq_name_open(name, O_WRONLY);
    if (fd == -ENOENT)
        return 0;
    if (fd == -EACCES && own)
        usage->known = false;
    if (fd < 0)
        return fd == -EACCES ? 0 : fd;
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    usage->messages += (uint64_t)attributes.mq_curmsgs;
    if (own)
        usage->bytes += mq_cost((uint64_t)attributes.mq_maxmsg, (uint64_t)attributes.mq_msgsize);
    return 0;
}

static int measure_usage(uid_t uid, struct usage *out)
{
    *out = (struct usage){.known = true};
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int error = mq_list_open(0, &lister);
    if (error)
        return error;
    while (!error && mq_list_next(lister, &entry) == 1) {
        out->queues++;
        error = add_queue(entry.name, uid, out);
    }
    mq_list_close(lister);
    return error;
}

static uint64_t left_of(uint64_t limit, uint64_t used)
{
    return used < limit ? limit - used : 0;
}

/* ---- why a queue was refused ---- */

static bool explain_attribute(const char *name, long value, const char *setting, uint64_t bound,
                              struct text *reason)
{
    if (value < 1)
        text_printf(reason, "%s=%ld: must be at least 1", name, value);
    else if ((uint64_t)value > bound && is_above_settings())
        text_printf(reason, "%s=%ld: over %llu, the most that can be", name, value,
                    (unsigned long long)bound);
    else if ((uint64_t)value > bound)
        text_printf(reason, "%s=%ld: over fs.mqueue.%s (%llu)", name, value, setting,
                    (unsigned long long)bound);
    else
        return false;
    return true;
}

static void explain_attributes(const struct mq_order *order, const struct mq_system *system,
                               struct text *reason)
{
    bool above = is_above_settings();
    long maxmsg = order->attributes.mq_maxmsg;
    long msgsize = order->attributes.mq_msgsize;
    if (!order->has_attributes)
        return;
    if (!explain_attribute("maxmsg", maxmsg, "msg_max", above ? HARD_MSG_MAX : system->msg_max, reason) &&
        !explain_attribute("msgsize", msgsize, "msgsize_max", above ? HARD_MSGSIZE_MAX : system->msgsize_max,
                           reason))
        text_printf(reason, "maxmsg=%ld msgsize=%ld: too much together", maxmsg, msgsize);
}

static void explain_charge(const struct mq_order *order, const struct mq_system *system, struct text *reason)
{
    struct usage usage;
    uid_t uid = geteuid();
    unsigned long long limit = order->limit.rlim_cur;
    uint64_t wanted = order->has_attributes ? mq_cost((uint64_t)order->attributes.mq_maxmsg,
                                                      (uint64_t)order->attributes.mq_msgsize)
                                            : mq_cost(mq_default_maxmsg(system), mq_default_msgsize(system));
    text_printf(reason, "RLIMIT_MSGQUEUE of user %u: %llu bytes wanted, ", uid, (unsigned long long)wanted);
    uint64_t left = limit;
    if (measure_usage(uid, &usage) == 0 && usage.known)
        left = left_of(limit, usage.bytes);
    if (left < wanted)
        text_printf(reason, "%llu of %llu left", (unsigned long long)left, limit);
    else
        text_printf(reason, "fewer of %llu left", limit); /* others of his have no name, or another owner */
}

void mq_explain(const struct mq_order *order, int error, struct text *reason)
{
    struct mq_system system;
    if (!reason || mq_read_system(&system))
        return;
    if (error == -EINVAL || error == -EOVERFLOW)
        explain_attributes(order, &system, reason);
    else if (error == -EMFILE)
        explain_charge(order, &system, reason);
    else if (error == -ENOSPC)
        text_printf(reason, "fs.mqueue.queues_max (%llu) queues exist",
                    (unsigned long long)system.queues_max);
}

/* ---- ctl/mq/limits ---- */

enum {
    LIMIT_QUEUES_MAX,
    LIMIT_QUEUES,
    LIMIT_MSG_MAX,
    LIMIT_MSG_DEFAULT,
    LIMIT_MSGSIZE_MAX,
    LIMIT_MSGSIZE_DEFAULT,
    LIMIT_MSGQUEUE_LIMIT,
    LIMIT_MSGQUEUE_USED,
    LIMIT_MSGQUEUE_LEFT,
    LIMIT_QUEUE_BYTES_DEFAULT,
    LIMIT_QUEUES_LEFT,
    LIMIT_NEXT_FAILURE,
    LIMIT_MESSAGES,
};

const struct ipcfs_field mq_limit_fields[] = {
    [LIMIT_QUEUES_MAX] = {"queues_max", IPCFS_UNSIGNED, "",
                          "fs.mqueue.queues_max: so many queues may exist; one more is ENOSPC"},
    [LIMIT_QUEUES] = {"queues", IPCFS_UNSIGNED, "",
                      "so many have a name; others, removed but open, count too"},
    [LIMIT_MSG_MAX] = {"msg_max", IPCFS_UNSIGNED, "messages", "fs.mqueue.msg_max: the largest maxmsg"},
    [LIMIT_MSG_DEFAULT] = {"msg_default", IPCFS_UNSIGNED, "messages",
                           "fs.mqueue.msg_default: maxmsg where none is given"},
    [LIMIT_MSGSIZE_MAX] = {"msgsize_max", IPCFS_UNSIGNED, "bytes",
                           "fs.mqueue.msgsize_max: the largest msgsize"},
    [LIMIT_MSGSIZE_DEFAULT] = {"msgsize_default", IPCFS_UNSIGNED, "bytes",
                               "fs.mqueue.msgsize_default: msgsize where none is given"},
    [LIMIT_MSGQUEUE_LIMIT] =
        {"msgqueue_limit", IPCFS_UNSIGNED, "bytes",
         "RLIMIT_MSGQUEUE of the reading process: all queues its user made may be charged so "
         "much, one more is EMFILE; not there: unlimited"},
    [LIMIT_MSGQUEUE_USED] = {"msgqueue_used", IPCFS_UNSIGNED, "bytes",
                             "charged for the queues its user owns, as far as they have a name"},
    [LIMIT_MSGQUEUE_LEFT] = {"msgqueue_left", IPCFS_UNSIGNED, "bytes", "left of the limit"},
    [LIMIT_QUEUE_BYTES_DEFAULT] = {"queue_bytes_default", IPCFS_UNSIGNED, "bytes",
                                   "charged for one more queue with default attributes"},
    [LIMIT_QUEUES_LEFT] = {"queues_left", IPCFS_UNSIGNED, "", "so many more of those can be made"},
    [LIMIT_NEXT_FAILURE] = {"next_failure", IPCFS_STRING, "", "the limit that the first one too many hits"},
    [LIMIT_MESSAGES] = {"messages", IPCFS_UNSIGNED, "", "in all queues that you may look at"},
    {0},
};

const struct ipcfs_limit mq_limit_rows[] = {
    {"sysctl fs.mqueue.queues_max", LIMIT_QUEUES_MAX, LIMIT_QUEUES, .scope = IPCFS_LIMITS_NAMESPACE},
    {"ulimit -q (RLIMIT_MSGQUEUE)", LIMIT_MSGQUEUE_LIMIT, LIMIT_MSGQUEUE_USED, .scope = IPCFS_LIMITS_USER},
    {"sysctl fs.mqueue.msg_max", LIMIT_MSG_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl fs.mqueue.msgsize_max", LIMIT_MSGSIZE_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total mq_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_QUEUES},
    {IPCFS_TOTAL_MESSAGES, LIMIT_MESSAGES},
    {0},
};

static void show_system(const struct mq_system *system, const struct usage *usage, struct ipcfs_value *values)
{
    values[LIMIT_QUEUES_MAX] = ipcfs_number(system->queues_max);
    values[LIMIT_QUEUES] = ipcfs_number(usage->queues);
    values[LIMIT_MESSAGES] = ipcfs_number(usage->messages);
    values[LIMIT_MSG_MAX] = ipcfs_number(system->msg_max);
    values[LIMIT_MSG_DEFAULT] = ipcfs_number(system->msg_default);
    values[LIMIT_MSGSIZE_MAX] = ipcfs_number(system->msgsize_max);
    values[LIMIT_MSGSIZE_DEFAULT] = ipcfs_number(system->msgsize_default);
    values[LIMIT_QUEUE_BYTES_DEFAULT] =
        ipcfs_number(mq_cost(mq_default_maxmsg(system), mq_default_msgsize(system)));
}

/* Where the kernel finds both limits reached it complains of queues_max (mqueue_create_attr()). */
static void show_what_is_left(const struct mq_system *system, const struct usage *usage, rlim_t limit,
                              struct ipcfs_value *values)
{
    bool limited = limit != RLIM_INFINITY;
    uint64_t by_count = is_above_settings() ? UINT64_MAX : left_of(system->queues_max, usage->queues);
    uint64_t by_bytes = UINT64_MAX;
    values[LIMIT_MSGQUEUE_LIMIT] = (struct ipcfs_value){.known = limited, .number = limit};
    values[LIMIT_MSGQUEUE_USED] = (struct ipcfs_value){.known = usage->known, .number = usage->bytes};
    values[LIMIT_MSGQUEUE_LEFT] =
        (struct ipcfs_value){.known = limited && usage->known, .number = left_of(limit, usage->bytes)};
    if (limited)
        by_bytes =
            left_of(limit, usage->bytes) / mq_cost(mq_default_maxmsg(system), mq_default_msgsize(system));
    bool count_is_next = by_count <= by_bytes;
    bool told = count_is_next ? by_count != UINT64_MAX : usage->known;
    values[LIMIT_QUEUES_LEFT] =
        (struct ipcfs_value){.known = told, .number = count_is_next ? by_count : by_bytes};
    values[LIMIT_NEXT_FAILURE] = (struct ipcfs_value){
        .known = told, .string = count_is_next ? "fs.mqueue.queues_max" : "RLIMIT_MSGQUEUE"};
}

int mq_limits(const struct caller *caller, struct ipcfs_value *values)
{
    struct mq_system system;
    struct usage usage;
    struct rlimit limit = {0};
    int error = mq_read_system(&system);
    if (!error)
        error = caller_limit(caller, RLIMIT_MSGQUEUE, &limit);
    if (!error)
        error = measure_usage(caller->uid, &usage);
    if (error)
        return error;
    show_system(&system, &usage, values);
    show_what_is_left(&system, &usage, limit.rlim_cur, values);
    return 0;
}
