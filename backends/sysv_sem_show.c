/* SPDX-License-Identifier: MIT */
#include "sysv_sem_show.h"

#include "sysv_sem.h"
#include "sysv_sem_values.h"
#include "sysv_show.h"

#include <errno.h>

/* ---- state ---- */

enum {
    FIELD_NSEMS = SYSV_FIELDS,
    FIELD_OTIME,
    FIELD_CTIME,
    FIELD_SEMAPHORE,
};

const struct ipcfs_field sysv_sem_fields[] = {
    [SYSV_FIELD_ID] = {"id", IPCFS_UNSIGNED, "", "identifier, its name in by-id/"},
    [SYSV_FIELD_KEY] = {"key", IPCFS_KEY, "", "key, its name in by-key/; 0x00000000: IPC_PRIVATE, none"},
    [SYSV_FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [SYSV_FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [SYSV_FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [SYSV_FIELD_CUID] = {"cuid", IPCFS_UNSIGNED, "", "creator"},
    [SYSV_FIELD_CGID] = {"cgid", IPCFS_UNSIGNED, "", "creator's group"},
    [FIELD_NSEMS] = {"nsems", IPCFS_UNSIGNED, "", "semaphores in the set"},
    [FIELD_OTIME] = {"otime", IPCFS_TIME, "", "last semop"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "creation, or last change of owner, mode or by SETVAL, SETALL"},
    [FIELD_SEMAPHORE] = {"semaphore", IPCFS_TABLE, "",
                         "a row per semaphore: value, ncount, zcount, pid; for those who may read the set"},
    {0},
};

enum { COLUMN_VALUE, COLUMN_NCOUNT, COLUMN_ZCOUNT, COLUMN_PID, COLUMNS };

static const struct ipcfs_field columns[] = {
    [COLUMN_VALUE] = {"value", IPCFS_UNSIGNED, "", "units that may be taken"},
    [COLUMN_NCOUNT] = {"ncount", IPCFS_UNSIGNED, "", "threads that wait for a higher value"},
    [COLUMN_ZCOUNT] = {"zcount", IPCFS_UNSIGNED, "", "threads that wait for the value 0"},
    [COLUMN_PID] = {"pid", IPCFS_UNSIGNED, "", "process that last changed it; 0: none that is visible"},
    {0},
};

void sysv_sem_show_state(int id, const struct semid_ds *state, struct ipcfs_value *values)
{
    sysv_show_object(id, &state->sem_perm, values);
    values[FIELD_NSEMS] = ipcfs_number(state->sem_nsems);
    values[FIELD_OTIME] = sysv_time_value(state->sem_otime);
    values[FIELD_CTIME] = sysv_time_value(state->sem_ctime);
    values[FIELD_SEMAPHORE] = (struct ipcfs_value){.known = false};
}

/* ---- semaphores ---- */

static struct ipcfs_value told(int id, size_t semnum, int command)
{
    int number = semctl(id, (int)semnum, command);
    struct ipcfs_value value = {.known = false};
    if (number >= 0)
        value = ipcfs_number((unsigned)number);
    return value;
}

/* The values are all of one moment, the rest is of one after another. */
static void fill_table(int id, const struct sysv_sem_values *all, struct ipcfs_table *table)
{
    for (size_t i = 0; i < all->count; i++) {
        struct ipcfs_value *row = ipcfs_table_row(table, i);
        row[COLUMN_VALUE] = ipcfs_number(all->values[i]);
        row[COLUMN_NCOUNT] = told(id, i, GETNCNT);
        row[COLUMN_ZCOUNT] = told(id, i, GETZCNT);
        row[COLUMN_PID] = told(id, i, GETPID);
    }
}

int sysv_sem_show_semaphores(int id, const struct semid_ds *state, struct ipcfs_value *values)
{
    AUTO_SEM_VALUES all = {0};
    int error = sysv_sem_values_make(state->sem_nsems, &all);
    if (error)
        return error;
    error = sysv_sem_get_all(id, &all);
    if (error && error != -EACCES)
        return error;
    struct ipcfs_table *table = ipcfs_table_new(columns, state->sem_nsems);
    if (!table)
        return -ENOMEM;
    if (!error)
        fill_table(id, &all, table);
    values[FIELD_SEMAPHORE] = (struct ipcfs_value){.known = true, .table = table};
    return 0;
}

/* ---- traces ---- */

/* So many semaphores of a set are asked one by one. */
enum { TRACED_MAX = 256 };

/* −errno. Nothing tells a semaphore that nobody has used yet from one whose last user is out of sight. */
static int trace_semaphore(int id, int semnum, struct ipcfs_traces *traces)
{
    int pid = semctl(id, semnum, GETPID);
    int waiting = pid < 0 ? pid : semctl(id, semnum, GETNCNT);
    int for_zero = waiting < 0 ? waiting : semctl(id, semnum, GETZCNT);
    if (for_zero < 0)
        return -errno;
    sysv_traces_user(pid, true, traces);
    traces->holds += (unsigned)waiting + (unsigned)for_zero;
    return 0;
}

int sysv_sem_show_traces(int id, const struct semid_ds *state, struct ipcfs_traces *out)
{
    int error = 0;
    sysv_traces(state->sem_ctime, state->sem_otime, state->sem_ctime, out); /* SETVAL sets only ctime */
    out->content_known = true;
    out->holds_counted = state->sem_nsems <= TRACED_MAX;
    for (int i = 0; !error && out->holds_counted && i < (int)state->sem_nsems; i++)
        error = trace_semaphore(id, i, out);
    if (error && error != -EACCES)
        return sysv_sem_error(id, -error, -ESTALE);
    out->holds_counted = out->holds_counted && !error;
    out->users_told = out->users_told && out->holds_counted;
    return 0;
}

/* ---- limits ---- */

enum {
    LIMIT_SEMMNI,
    LIMIT_SETS,
    LIMIT_SETS_LEFT,
    LIMIT_CREATE,
    LIMIT_SEMMSL,
    LIMIT_SEMMNS,
    LIMIT_SEMAPHORES,
    LIMIT_SEMOPM,
    LIMIT_SEMVMX,
};

const struct ipcfs_field sysv_sem_limit_fields[] = {
    [LIMIT_SEMMNI] = {"semmni", IPCFS_UNSIGNED, "", "so many sets may exist (kernel.sem)"},
    [LIMIT_SETS] = {"sets", IPCFS_UNSIGNED, "", "that exist"},
    [LIMIT_SETS_LEFT] = {"sets_left", IPCFS_UNSIGNED, "", "sets of one semaphore that may still be made"},
    [LIMIT_CREATE] = {"create_limit", IPCFS_STRING, "", "the limit that a create fails by (ENOSPC)"},
    [LIMIT_SEMMSL] = {"semmsl", IPCFS_UNSIGNED, "", "most semaphores of a new set (kernel.sem)"},
    [LIMIT_SEMMNS] = {"semmns", IPCFS_UNSIGNED, "", "so many semaphores may exist, in all sets (kernel.sem)"},
    [LIMIT_SEMAPHORES] = {"semaphores", IPCFS_UNSIGNED, "", "that exist"},
    [LIMIT_SEMOPM] = {"semopm", IPCFS_UNSIGNED, "", "most operations of one semop (kernel.sem)"},
    [LIMIT_SEMVMX] = {"semvmx", IPCFS_UNSIGNED, "", "highest value of a semaphore"},
    {0},
};

const struct ipcfs_limit sysv_sem_limit_rows[] = {
    {"sysctl kernel.sem, 4th number", LIMIT_SEMMNI, LIMIT_SETS, .scope = IPCFS_LIMITS_NAMESPACE},
    {"sysctl kernel.sem, 2nd number", LIMIT_SEMMNS, LIMIT_SEMAPHORES, .scope = IPCFS_LIMITS_NAMESPACE},
    {"sysctl kernel.sem, 1st number", LIMIT_SEMMSL, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl kernel.sem, 3rd number", LIMIT_SEMOPM, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"compiled in (SEMVMX)", LIMIT_SEMVMX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total sysv_sem_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_SETS},
    {IPCFS_TOTAL_SEMAPHORES, LIMIT_SEMAPHORES},
    {0},
};

/* A limit may have been lowered below what exists. */
static unsigned left_of(int limit, int used)
{
    return limit > used ? (unsigned)limit - (unsigned)used : 0;
}

void sysv_sem_show_limits(const struct seminfo *info, struct ipcfs_value *values)
{
    /* SEM_INFO has these two in members of other names (semctl(2)). */
    int sets = info->semusz;
    int semaphores = info->semaem;
    unsigned sets_left = left_of(info->semmni, sets);
    unsigned semaphores_left = left_of(info->semmns, semaphores);
    bool by_sets = sets_left <= semaphores_left;
    values[LIMIT_SEMMNI] = ipcfs_number((unsigned)info->semmni);
    values[LIMIT_SETS] = ipcfs_number((unsigned)sets);
    values[LIMIT_SETS_LEFT] = ipcfs_number(by_sets ? sets_left : semaphores_left);
    values[LIMIT_CREATE] = ipcfs_string(by_sets ? "kernel.sem semmni" : "kernel.sem semmns");
    values[LIMIT_SEMMSL] = ipcfs_number((unsigned)info->semmsl);
    values[LIMIT_SEMMNS] = ipcfs_number((unsigned)info->semmns);
    values[LIMIT_SEMAPHORES] = ipcfs_number((unsigned)semaphores);
    values[LIMIT_SEMOPM] = ipcfs_number((unsigned)info->semopm);
    values[LIMIT_SEMVMX] = ipcfs_number((unsigned)info->semvmx);
}

const struct ipcfs_field sysv_sem_options[] = {
    [SYSV_SEM_OPTION_NSEMS] = {"nsems", IPCFS_UNSIGNED, "", "semaphores in the set; 1 where it is not said"},
    {0},
};
