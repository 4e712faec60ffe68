/* SPDX-License-Identifier: MIT */
#include "sysv_shm_subject.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int native_segment(key_t key, size_t size, int mode)
{
    int id = shmget(key, size, IPC_CREAT | IPC_EXCL | mode);
    if (id < 0)
        fail_msg("shmget(%d, %zu): %s", (int)key, size, strerror(errno));
    return id;
}

struct shmid_ds segment_state(int id)
{
    struct shmid_ds state;
    if (shmctl(id, IPC_STAT, &state) < 0)
        fail_msg("shmctl(%d): %s", id, strerror(errno));
    return state;
}

struct native_look look_at_segment(int id)
{
    struct shmid_ds state = segment_state(id);
    return (struct native_look){.perm = state.shm_perm, .ctime = state.shm_ctime};
}

unsigned long nattch_of(int id)
{
    return segment_state(id).shm_nattch;
}

bool is_gone(int id)
{
    struct shmid_ds state;
    return shmctl(id, IPC_STAT, &state) < 0 && (errno == EINVAL || errno == EIDRM);
}

char *native_attach(int id)
{
    void *address = shmat(id, NULL, 0);
    if (address == (void *)-1)
        fail_msg("shmat(%d): %s", id, strerror(errno));
    return address;
}

void native_detach(const char *address)
{
    assert_int_equal(shmdt(address), 0);
}

void remove_segment(int id)
{
    assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

void give_id_to_another_segment(int id, key_t key, size_t size, int mode)
{
    remove_segment(id);
    (void)set_kernel("shm_next_id", id);
    assert_int_equal(native_segment(key, size, mode), id);
}

struct ipcfs_created hold_segment(int id)
{
    struct ipcfs_created object = {0};
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    assert_int_equal(kind->find(BY_ID, name, &object.found, &object.hold), 0);
    return object;
}

struct ipcfs_created open_segment(int flags)
{
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, true);
    object.file = open_object(&ref, flags);
    return object;
}

int open_error(const struct ipcfs_created *object, int flags)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_ref ref = key_ref(object, true);
    int error = kind->open(&ref, flags, &file);
    if (!error)
        kind->close(file);
    return error;
}

int back(const struct ipcfs_created *object)
{
    struct ipcfs_ref ref = key_ref(object, true);
    return kind->backing(&ref);
}

ssize_t read_at(struct ipcfs_file *file, char *buffer, size_t size, off_t offset)
{
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_POLL};
    ssize_t count = kind->try_read(file, buffer, size, offset, 0, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    return count;
}

ssize_t write_at(struct ipcfs_file *file, const char *data, size_t size, off_t offset)
{
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_POLL};
    ssize_t count = kind->try_write(file, data, size, offset, 0, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    return count;
}

ssize_t append(struct ipcfs_file *file, const char *data, size_t size)
{
    struct ipcfs_wait wait = {0};
    return kind->try_write(file, data, size, 0, O_APPEND, &wait);
}

int set_size(const struct ipcfs_created *object, struct ipcfs_file *file, off_t size)
{
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = size};
    struct ipcfs_ref ref = key_ref(object, true);
    return kind->change(&ref, file, &change);
}

int set_mode(const struct ipcfs_created *object, mode_t mode)
{
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = mode};
    struct ipcfs_ref ref = key_ref(object, true);
    return kind->change(&ref, NULL, &change);
}

static void set_effective(unsigned capability, bool on)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    unsigned mask = CAP_TO_MASK(capability);
    unsigned *set = &data[CAP_TO_INDEX(capability)].effective;
    *set = on ? *set | (mask & data[CAP_TO_INDEX(capability)].permitted) : *set & ~mask;
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

void give_up_descriptors(void)
{
    set_effective(CAP_SYS_ADMIN, false);
    set_effective(CAP_CHECKPOINT_RESTORE, false);
}

void take_descriptors_back(void)
{
    set_effective(CAP_SYS_ADMIN, true);
    set_effective(CAP_CHECKPOINT_RESTORE, true);
}

void act_as_user(uid_t uid)
{
    if (uid == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(uid), 0);
    if (uid != 0)
        assert_int_equal(seteuid(uid), 0);
}

uint64_t number_of(const struct ipcfs_field *fields, const struct ipcfs_value *values, const char *name)
{
    const struct ipcfs_value *value = find_value(fields, values, name);
    if (!value->known)
        fail_msg("%s is not known", name);
    return value->number;
}
