/* SPDX-License-Identifier: MIT */
/* Who may do what with a System V shared memory segment: as the kernel decides for the same user. */
#include "sysv_shm_subject.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the permission check beside the kernel's ---- */

/* 0 or −errno of shmat(2). */
static int native_error(int id, int flags)
{
    void *address = shmat(id, NULL, flags == O_RDONLY ? SHM_RDONLY : 0);
    if (address == (void *)-1)
        return -errno;
    return shmdt(address);
}

/* `kept`: there is an attachment already, which the files share. */
static int compare_with_kernel(int id, mode_t mode, const struct identity *identity, bool kept)
{
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE};
    char name[16];
    struct ipcfs_found found;
    struct ipcfs_ref ref = {.name = name};
    int wrong = 0;
    (void)snprintf(name, sizeof name, "%d", id);
    if (kind->find(BY_ID, name, &found, &ref.hold))
        return 1;
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct ipcfs_file *file = NULL;
        int expected = native_error(id, flags[i]);
        int error = kind->open(&ref, flags[i], &file);
        if (!error)
            kind->close(file);
        if (error == expected)
            continue;
        (void)fprintf(stderr, "%s, mode %03o, flags %d, kept %d: %d, the kernel %d\n", identity->what,
                      (unsigned)mode, flags[i], kept, error, expected);
        wrong = 1;
    }
    kind->release(ref.hold);
    return wrong;
}

static struct ipcfs_file *keep_open(int id)
{
    struct ipcfs_created object = hold_segment(id);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *file = open_object(&ref, O_RDONLY);
    kind->release(object.hold);
    return file;
}

static int compare_all_modes(const int *ids, const struct identity *identity, bool kept)
{
    struct ipcfs_file *files[MODES] = {0};
    int wrong = 0;
    for (unsigned mode = 0; kept && mode < MODES; mode++)
        files[mode] = keep_open(ids[mode]);
    if (become(identity))
        return 2;
    for (unsigned mode = 0; mode < MODES; mode++)
        wrong |= compare_with_kernel(ids[mode], mode, identity, kept);
    for (unsigned mode = 0; kept && mode < MODES; mode++)
        kind->close(files[mode]);
    return wrong;
}

static int make_segment_of_mode(unsigned mode)
{
    assert_true(setegid(CREATING_GROUP) == 0 && seteuid(CREATOR) == 0);
    int id = native_segment((key_t)mode + 1, SIZE, 0600);
    struct shmid_ds state = segment_state(id);
    state.shm_perm.uid = OWNER;
    state.shm_perm.gid = OWNING_GROUP;
    state.shm_perm.mode = (unsigned short)mode;
    assert_int_equal(shmctl(id, IPC_SET, &state), 0);
    assert_true(seteuid(0) == 0 && setegid(0) == 0);
    return id;
}

static int compare_closed(const int *ids, const struct identity *identity)
{
    return compare_all_modes(ids, identity, false);
}

static int compare_kept(const int *ids, const struct identity *identity)
{
    return compare_all_modes(ids, identity, true);
}

static void test_every_mode_and_identity(void **state)
{
    (void)state;
    int ids[MODES];
    for (unsigned mode = 0; mode < MODES; mode++)
        ids[mode] = make_segment_of_mode(mode);
    compare_for_every_identity(ids, compare_closed);
    compare_for_every_identity(ids, compare_kept);
}

/* ---- permission is the file's, once it is open ---- */

static void test_permission_goes_with_the_file(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0606));
    struct ipcfs_ref ref = key_ref(&object, true);
    act_as_user(USER);
    int error = kind->open(&ref, O_RDWR, &object.file);
    act_as_user(0);
    assert_int_equal(error, 0);
    assert_int_equal(set_mode(&object, 0600), 0);
    act_as_user(USER);
    ssize_t written = write_at(object.file, "x", 1, 0);
    int again = open_error(&object, O_RDONLY);
    act_as_user(0);
    assert_true(written == 1 && again == -EACCES);
    let_go(&object);
}

/* ---- change and remove ---- */

static void test_change_attributes(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    check_change_attributes(&object, S_IFREG | 06755, 0755, look_at_segment);
    let_go(&object);
}

static void test_change_times(void **state)
{
    (void)state;
    struct ipcfs_created object = open_segment(O_RDWR);
    check_change_times(&object, look_at_segment);
    let_go(&object);
}

static int write_lock(const struct ipcfs_ref *ref, const char *line, const struct caller *caller,
                      struct text *reason)
{
    const struct ipcfs_written written = {
        .data = line, .size = strlen(line), .caller = caller, .reason = reason};
    return find_verb("lock")->write(ref, 0, &written);
}

static int do_as_stranger(void *data)
{
    const struct ipcfs_ref *ref = data;
    const struct caller stranger = {.uid = USER, .gid = USER};
    struct ipcfs_created object = {0};
    const struct ipcfs_change changes[] = {
        {.mask = IPCFS_CHANGE_MODE, .mode = 0777},
        {.mask = IPCFS_CHANGE_UID, .uid = USER},
        {.mask = IPCFS_CHANGE_TIMES, .times = {{0, UTIME_NOW}, {0, UTIME_NOW}}},
    };
    static const char reason_of_lock[] = "lock: only owner and creator may, or CAP_IPC_LOCK";
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
        if (kind->change(ref, NULL, &changes[i]) != -EPERM)
            return 1;
    if (kind->remove(BY_KEY, "0x2a") != -EPERM)
        return 2;
    if (try_create_key("0x2a", O_RDONLY, 0666, &object) != -EACCES || object.hold || object.file)
        return 3;
    for (int lock = 0; lock < 2; lock++) {
        AUTO_TEXT reason = {0};
        if (write_lock(ref, lock ? "1" : "0", &stranger, &reason) != -EPERM ||
            reason.length != strlen(reason_of_lock) ||
            memcmp(reason.data, reason_of_lock, reason.length) != 0)
            return 4;
    }
    return 0;
}

static void test_stranger(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, false);
    as_user(USER, USER, do_as_stranger, &ref);
    struct shmid_ds native = segment_state(id_of(&object));
    assert_true((native.shm_perm.mode & 07777) == 0600 && native.shm_perm.uid == 0 && native.shm_lpid == 0);
    kind->release(object.hold);
}

static int do_as_owner(void *data)
{
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};
    if (kind->change(data, NULL, &change))
        return 1;
    return kind->remove(BY_KEY, "0x2a") ? 2 : 0;
}

static void test_owner(void **state)
{
    (void)state;
    struct ipcfs_created object = hold_segment(native_segment(0x2a, SIZE, 0600));
    struct ipcfs_ref ref = key_ref(&object, false);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID, .uid = USER};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    as_user(USER, USER, do_as_owner, &ref);
    assert_true(is_gone(id_of(&object)));
    kind->release(object.hold);
}

/* ---- lock ---- */

static void must_read_lock(const struct ipcfs_ref *ref, const char *expected)
{
    AUTO_TEXT text = {0};
    assert_int_equal(find_verb("lock")->read(ref, 0, &text), 0);
    text_bytes(&text, "", 1);
    assert_string_equal(text.data, expected);
}

static bool is_locked(int id)
{
    return segment_state(id).shm_perm.mode & SHM_LOCKED;
}

static void test_lock(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "2", "-1", "x", "1 ", " 1", "1\n", "yes"};
    struct ipcfs_created object = open_segment(O_RDWR);
    struct ipcfs_ref ref = key_ref(&object, false);
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        AUTO_TEXT reason = {0};
        assert_int_equal(write_lock(&ref, wrong[i], &self, &reason), -EINVAL);
        assert_true(reason.length > 0);
    }
    AUTO_TEXT reason = {0};
    must_read_lock(&ref, "0\n");
    assert_int_equal(write_lock(&ref, "1", &self, &reason), 0);
    assert_int_equal(write_lock(&ref, "1", &self, &reason), 0);
    assert_true(is_locked(id_of(&object)));
    must_read_lock(&ref, "1\n");
    assert_int_equal(kind->render(&ref, values), 0);
    assert_string_equal(find_value(kind->fields, values, "flags")->string, "locked");
    assert_int_equal(set_mode(&object, 0640), 0); /* leaves it locked */
    assert_true(is_locked(id_of(&object)));
    struct ipcfs_ref held = key_ref(&object, true);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    assert_int_equal(kind->render(&held, values), 0);
    assert_string_equal(find_value(kind->fields, values, "flags")->string, "dest,locked");
    assert_int_equal(write_lock(&held, "0", &self, &reason), 0);
    assert_false(is_locked(id_of(&object)));
    kind->close(object.file);
    assert_int_equal(write_lock(&held, "1", &self, &reason), -ESTALE);
    kind->release(object.hold);
}

/* A process of that user with that RLIMIT_MEMLOCK, which does nothing. */
static pid_t start_user(uid_t uid, rlim_t limit)
{
    const struct rlimit limits = {limit, limit};
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setrlimit(RLIMIT_MEMLOCK, &limits) || setgroups(0, NULL) || setresgid(uid, uid, uid) ||
            setresuid(uid, uid, uid))
            _exit(99);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the uid, whose change takes it off */
        for (;;)
            (void)raise(SIGSTOP);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

static void end_user(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A segment of USER's of so many pages, which the caller asks to lock: the errno, and why. */
static int lock_for(int id, pid_t pid, const char *line, const char *expected)
{
    struct ipcfs_created object = hold_segment(id);
    struct ipcfs_ref ref = key_ref(&object, true);
    const struct caller caller = {.uid = USER, .gid = USER, .pid = pid};
    AUTO_TEXT reason = {0};
    act_as_user(USER);
    int error = write_lock(&ref, line, &caller, &reason);
    act_as_user(0);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, expected);
    kind->release(object.hold);
    return error;
}

static int segment_of_user(size_t pages)
{
    act_as_user(USER);
    int id = shmget(IPC_PRIVATE, pages * 4096, IPC_CREAT | 0600);
    act_as_user(0);
    assert_true(id >= 0);
    return id;
}

static int lock_natively(void *data)
{
    const struct rlimit limits = {2 * 4096, 2 * 4096};
    if (setrlimit(RLIMIT_MEMLOCK, &limits))
        return 99;
    return shmctl(*(int *)data, SHM_LOCK, NULL) < 0 ? errno : 0;
}

/* The kernel charges what is locked here to the caller, within his limit, as if he did it himself. */
static void test_lock_within_the_limit(void **state)
{
    (void)state;
    static const char too_much[] = "lock: RLIMIT_MEMLOCK of user 1234: 4096 bytes wanted, fewer of 8192 left";
    int first = segment_of_user(2);
    int second = segment_of_user(1);
    pid_t pid = start_user(USER, 2 * 4096);
    assert_int_equal(lock_for(first, pid, "1", ""), 0);
    assert_true(is_locked(first));
    assert_int_equal(lock_for(second, pid, "1", too_much), -ENOMEM);
    assert_false(is_locked(second));
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ? 98 : lock_natively(&second));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), ENOMEM);
    assert_int_equal(lock_for(first, pid, "0", ""), 0);
    assert_false(is_locked(first));
    assert_int_equal(lock_for(second, pid, "1", ""), 0);
    assert_true(is_locked(second));
    end_user(pid);
}

static void test_lock_with_a_limit_of_zero(void **state)
{
    (void)state;
    int id = segment_of_user(1);
    pid_t pid = start_user(USER, 0);
    assert_int_equal(lock_for(id, pid, "1", "lock: RLIMIT_MEMLOCK of user 1234 is 0"), -EPERM);
    assert_int_equal(lock_for(id, pid, "0", ""), 0);
    end_user(pid);
}

/* Nor is it the daemon's own that counts, where his is higher. */
static void test_lock_over_the_limit_of_the_daemon(void **state)
{
    (void)state;
    struct rlimit own;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &own), 0);
    assert_true(own.rlim_max >= (rlim_t)16 * 4096);
    int id = segment_of_user(16);
    pid_t pid = start_user(USER, (rlim_t)16 * 4096);
    const struct rlimit little = {4096, own.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &little), 0);
    int error = lock_for(id, pid, "1", "");
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &own), 0);
    assert_int_equal(error, 0);
    assert_true(is_locked(id));
    end_user(pid);
}

/* A pid authorises nothing: the daemon's own limit counts where it is somebody else's by now. */
static void test_limit_of_another_does_not_count(void **state)
{
    (void)state;
    int id = segment_of_user(1);
    pid_t other = start_user(OTHER_USER, 0);
    assert_int_equal(lock_for(id, other, "1", ""), 0);
    assert_int_equal(lock_for(id, other, "0", ""), 0);
    assert_int_equal(lock_for(id, 0, "1", ""), 0);
    end_user(other);
}

static const struct CMUnitTest tests[] = {
    TEST(test_every_mode_and_identity),
    TEST(test_permission_goes_with_the_file),
    TEST(test_change_attributes),
    TEST(test_change_times),
    TEST(test_stranger),
    TEST(test_owner),
    TEST(test_lock),
    TEST(test_lock_within_the_limit),
    TEST(test_lock_with_a_limit_of_zero),
    TEST(test_lock_over_the_limit_of_the_daemon),
    TEST(test_limit_of_another_does_not_count),
};

const struct suite sysv_shm_access_suite = {
    .name = "access", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/shm"};
