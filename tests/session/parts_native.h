/* SPDX-License-Identifier: MIT */
/* What the test's own kinds are made of: objects, what waits for their values, and what both do alike. */
#ifndef IPCFS_TESTS_SESSION_PARTS_NATIVE_H
#define IPCFS_TESTS_SESSION_PARTS_NATIVE_H

#include "parts_kind.h"

#include <pthread.h>

/* Guards the objects of `native`. */
extern pthread_mutex_t native_lock;

struct ipcfs_hold {
    uint64_t number, birth;
};

enum what { WAITS, HOLDS, COMMANDS, SLAB };

struct ipcfs_file {
    enum what what;
    uint64_t number, birth;
    int member;
    int change; /* COMMANDS: what is added to the value */
    int error;  /* COMMANDS: what trying it ends with */
    bool locked;
};

/* ---- the objects; with the lock held, but for the last ---- */

struct set_object *native_by_name(const char *name);
struct set_object *native_by_identity(uint64_t number, uint64_t birth);
struct set_object *native_make(const char *name, mode_t mode, uid_t uid, gid_t gid);
/* What a reference means: by its hold, otherwise by name. */
struct set_object *native_meant(const struct ipcfs_ref *ref);
/* Whoever waits in the native call looks again. */
void native_wake(void);

/* ---- holds and files ---- */

int native_new_hold(const struct set_object *object, struct ipcfs_hold **out);
void native_release(struct ipcfs_hold *hold);
int native_new_file(enum what what, const struct ipcfs_ref *ref, int64_t member, struct ipcfs_file **out);
void native_close_file(struct ipcfs_file *file);
/* The native call: adds `change` to the member's value, unless that would be negative; then, with `block`, it waits until
 * it is not, or a signal comes. The new value, or −errno. */
int native_add_to(const struct ipcfs_file *file, int change, struct ipcfs_wait *wait);
int native_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *wanted, struct ipcfs_wait *wait);
uint64_t native_lane(struct ipcfs_file *file, bool writing);

/* ---- slots that both kinds fill alike ---- */

int native_start(void);
void native_stop(void);
int native_stat_directory(unsigned directory, struct ipcfs_directory *out);
int native_stat_system(struct statvfs *out);
int native_list_open(unsigned directory, struct ipcfs_lister **out);
int native_list_seek(struct ipcfs_lister *lister, uint64_t position);
int native_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);
void native_list_close(struct ipcfs_lister *lister);
int native_refuse_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                         unsigned flags);
off_t native_refuse_seek(struct ipcfs_file *file, off_t offset, int whence);
int native_refuse_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length);
int native_render(const struct ipcfs_ref *ref, struct ipcfs_value *values);
int native_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values);
size_t native_message_room(struct ipcfs_file *file);
int native_poll_file(struct ipcfs_file *file, struct ipcfs_wait *wait);

#endif
