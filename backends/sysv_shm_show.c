/* SPDX-License-Identifier: MIT */
#include "sysv_shm_show.h"

#include "sysv_shm.h"
#include "sysv_shm_lock.h"
#include "sysv_shm_rss.h"
#include "sysv_show.h"

#include <unistd.h>

/* ---- state ---- */

enum {
    FIELD_SIZE = SYSV_FIELDS,
    FIELD_NATTCH,
    FIELD_CPID,
    FIELD_LPID,
    FIELD_FLAGS,
    FIELD_RSS,
    FIELD_SWAP,
    FIELD_ATIME,
    FIELD_DTIME,
    FIELD_CTIME,
};

const struct ipcfs_field sysv_shm_fields[] = {
    [SYSV_FIELD_ID] = {"id", IPCFS_UNSIGNED, "", "identifier, its name in by-id/"},
    [SYSV_FIELD_KEY] = {"key", IPCFS_KEY, "", "key, its name in by-key/; 0x00000000: IPC_PRIVATE, none"},
    [SYSV_FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [SYSV_FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [SYSV_FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [SYSV_FIELD_CUID] = {"cuid", IPCFS_UNSIGNED, "", "creator"},
    [SYSV_FIELD_CGID] = {"cgid", IPCFS_UNSIGNED, "", "creator's group"},
    [FIELD_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "length, given at its creation"},
    [FIELD_NATTCH] = {"nattch", IPCFS_UNSIGNED, "", "attachments; one of them is ours while it is open here"},
    [FIELD_CPID] = {"cpid", IPCFS_UNSIGNED, "", "process that created it; 0: none that is visible"},
    [FIELD_LPID] = {"lpid", IPCFS_UNSIGNED, "",
                    "process of the last attach or detach; 0: none that is visible"},
    [FIELD_FLAGS] = {"flags", IPCFS_STRING, "",
                     "dest: removed, and gone with the last attachment; locked: in memory; none"},
    [FIELD_RSS] = {"rss", IPCFS_UNSIGNED, "bytes", "memory in use by its pages"},
    [FIELD_SWAP] = {"swap", IPCFS_UNSIGNED, "bytes", "swap in use by its pages"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "last attach"},
    [FIELD_DTIME] = {"dtime", IPCFS_TIME, "", "last detach"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "creation, or last change of owner or mode"},
    {0},
};

static const char *flags_of(unsigned mode)
{
    if (mode & SHM_DEST)
        return mode & SHM_LOCKED ? "dest,locked" : "dest";
    return mode & SHM_LOCKED ? "locked" : "none";
}

void sysv_shm_show_state(int id, const struct shmid_ds *state, const struct sysv_shm_rss *rss,
                         struct ipcfs_value *values)
{
    sysv_show_object(id, &state->shm_perm, values);
    values[FIELD_SIZE] = ipcfs_number(state->shm_segsz);
    values[FIELD_NATTCH] = ipcfs_number(state->shm_nattch);
    values[FIELD_CPID] = ipcfs_number((uint64_t)state->shm_cpid);
    values[FIELD_LPID] = ipcfs_number((uint64_t)state->shm_lpid);
    values[FIELD_FLAGS] = ipcfs_string(flags_of(state->shm_perm.mode));
    values[FIELD_RSS] = (struct ipcfs_value){.known = rss, .number = rss ? rss->rss : 0};
    values[FIELD_SWAP] = (struct ipcfs_value){.known = rss, .number = rss ? rss->swap : 0};
    values[FIELD_ATIME] = sysv_time_value(state->shm_atime);
    values[FIELD_DTIME] = sysv_time_value(state->shm_dtime);
    values[FIELD_CTIME] = sysv_time_value(state->shm_ctime);
}

/* ---- traces ---- */

int sysv_shm_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct shmid_ds state;
    int id = sysv_shm_of_ref(ref, &state);
    if (id < 0)
        return id;
    sysv_traces(state.shm_ctime, state.shm_atime, state.shm_dtime, out);
    sysv_traces_user(state.shm_lpid, out->used.tv_sec, out);
    out->creator_recorded = true;
    out->creator = state.shm_cpid;
    out->memory = true;
    out->bytes_known = true;
    out->bytes = state.shm_segsz;
    out->holds_counted = true;
    out->holds = state.shm_nattch;
    return 0;
}

/* ---- limits ---- */

enum {
    LIMIT_SHMMNI,
    LIMIT_SEGMENTS,
    LIMIT_SEGMENTS_LEFT,
    LIMIT_SHMMAX,
    LIMIT_SHMMIN,
    LIMIT_SHMALL,
    LIMIT_BYTES,
    LIMIT_BYTES_LEFT,
    LIMIT_CREATE,
    LIMIT_RSS,
    LIMIT_SWAP,
    LIMIT_MEMLOCK,
};

const struct ipcfs_field sysv_shm_limit_fields[] = {
    [LIMIT_SHMMNI] = {"shmmni", IPCFS_UNSIGNED, "", "so many segments may exist (kernel.shmmni)"},
    [LIMIT_SEGMENTS] = {"segments", IPCFS_UNSIGNED, "", "that exist"},
    [LIMIT_SEGMENTS_LEFT] = {"segments_left", IPCFS_UNSIGNED, "", "that may still be made"},
    [LIMIT_SHMMAX] = {"shmmax", IPCFS_UNSIGNED, "bytes",
                      "largest segment (kernel.shmmax); a larger is EINVAL"},
    [LIMIT_SHMMIN] = {"shmmin", IPCFS_UNSIGNED, "bytes", "smallest segment"},
    [LIMIT_SHMALL] = {"shmall", IPCFS_UNSIGNED, "bytes",
                      "all segments together, in whole pages (kernel.shmall, which counts pages)"},
    [LIMIT_BYTES] = {"bytes", IPCFS_UNSIGNED, "bytes", "of all segments, in whole pages"},
    [LIMIT_BYTES_LEFT] = {"bytes_left", IPCFS_UNSIGNED, "bytes", "that may still be made"},
    [LIMIT_CREATE] = {"create_limit", IPCFS_STRING, "",
                      "the limit that creating small segments hits first (ENOSPC)"},
    [LIMIT_RSS] = {"rss", IPCFS_UNSIGNED, "bytes", "memory in use by all segments"},
    [LIMIT_SWAP] = {"swap", IPCFS_UNSIGNED, "bytes", "swap in use by all segments"},
    [LIMIT_MEMLOCK] =
        {"memlock_limit", IPCFS_UNSIGNED, "bytes",
         "RLIMIT_MEMLOCK of the reading process: so much its user may lock in memory; not there: unlimited"},
    {0},
};

const struct ipcfs_limit sysv_shm_limit_rows[] = {
    {"sysctl kernel.shmmni", LIMIT_SHMMNI, LIMIT_SEGMENTS, .scope = IPCFS_LIMITS_NAMESPACE},
    {"sysctl kernel.shmall", LIMIT_SHMALL, LIMIT_BYTES, .scope = IPCFS_LIMITS_NAMESPACE},
    {"sysctl kernel.shmmax", LIMIT_SHMMAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"ulimit -l (RLIMIT_MEMLOCK)", LIMIT_MEMLOCK, IPCFS_NO_USE, .scope = IPCFS_LIMITS_USER},
    {0},
};

const struct ipcfs_total sysv_shm_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_SEGMENTS},
    {IPCFS_TOTAL_BYTES, LIMIT_BYTES},
    {IPCFS_TOTAL_RESIDENT, LIMIT_RSS},
    {IPCFS_TOTAL_SWAPPED, LIMIT_SWAP},
    {0},
};

uint64_t sysv_shm_bytes(uint64_t pages)
{
    uint64_t bytes = 0;
    return __builtin_mul_overflow(pages, (uint64_t)sysconf(_SC_PAGESIZE), &bytes) ? UINT64_MAX : bytes;
}

/* Limits may have been lowered below what exists. */
static uint64_t left_of(uint64_t limit, uint64_t used)
{
    return used < limit ? limit - used : 0;
}

void sysv_shm_show_limits(const struct shminfo *limits, const struct shm_info *usage, rlim_t memlock,
                          struct ipcfs_value *values)
{
    uint64_t segments_left = left_of(limits->shmmni, (unsigned)usage->used_ids);
    uint64_t pages_left = left_of(limits->shmall, usage->shm_tot);
    values[LIMIT_SHMMNI] = ipcfs_number(limits->shmmni);
    values[LIMIT_SEGMENTS] = ipcfs_number((unsigned)usage->used_ids);
    values[LIMIT_SEGMENTS_LEFT] = ipcfs_number(segments_left);
    values[LIMIT_SHMMAX] = ipcfs_number(limits->shmmax);
    values[LIMIT_SHMMIN] = ipcfs_number(limits->shmmin);
    values[LIMIT_SHMALL] = ipcfs_number(sysv_shm_bytes(limits->shmall));
    values[LIMIT_BYTES] = ipcfs_number(sysv_shm_bytes(usage->shm_tot));
    values[LIMIT_BYTES_LEFT] = ipcfs_number(sysv_shm_bytes(pages_left));
    /* A segment takes at least a page. Where both are reached the kernel looks at the pages first (newseg()). */
    values[LIMIT_CREATE] = ipcfs_string(pages_left <= segments_left ? "kernel.shmall" : "kernel.shmmni");
    values[LIMIT_RSS] = ipcfs_number(sysv_shm_bytes(usage->shm_rss));
    values[LIMIT_SWAP] = ipcfs_number(sysv_shm_bytes(usage->shm_swp));
    values[LIMIT_MEMLOCK] = (struct ipcfs_value){.known = memlock != RLIM_INFINITY, .number = memlock};
}

/* ---- verbs ---- */

const struct ipcfs_verb sysv_shm_verbs[] = {
    {.name = "lock",
     .type = IPCFS_VERB_TEXT,
     .mode = 0644,
     .help = "1: its pages stay in memory (SHM_LOCK), 0: they may be swapped out; written by its owner",
     .read = sysv_shm_lock_read,
     .write = sysv_shm_lock_write},
    {0},
};
