/* SPDX-License-Identifier: MIT */
/*
 * Acting as the caller. What changes an identity runs in a process of its own, forked for the test, and tells by its
 * exit status; the identities are numbers that need no entry in /etc/passwd.
 */
#include "cmocka_api.h"
#include "failing.h"

#include "creds.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER = 54321, GROUP = 54322, EXTRA = 60000, GROUPS_MAX = 3000 };

/* Complains and ends the process, which a test waits for. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            (void)fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);          \
            _exit(EXIT_FAILURE);                                                                             \
        }                                                                                                    \
    } while (0)

/* Runs `body` in a child, which may take half a minute. */
static void in_child(void (*body)(void))
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(30);
        body();
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

static int need_root(void **state)
{
    (void)state;
    if (geteuid() == 0)
        return 0;
    (void)fprintf(stderr, "this test changes identities: it runs as root\n");
    return -1;
}

/* Another process, of that identity and with `count` groups EXTRA, EXTRA + 1 …; ends with this one. */
static pid_t start_caller(uid_t uid, gid_t gid, int count)
{
    int ready[2];
    MUST(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        static gid_t groups[GROUPS_MAX];
        for (int i = 0; i < count; i++)
            groups[i] = (gid_t)(EXTRA + i);
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        MUST(setgroups((size_t)count, groups) == 0);
        MUST(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* a change of identity clears it */
        MUST(write(ready[1], "", 1) == 1);
        for (;;)
            (void)pause();
    }
    char byte = 0;
    MUST(child > 0 && read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void end_caller(pid_t caller)
{
    MUST(kill(caller, SIGKILL) == 0 && waitpid(caller, NULL, 0) == caller);
}

/* By raw system calls, which tell of this thread. */
static uid_t thread_uid(void)
{
    return (uid_t)syscall(SYS_geteuid);
}

static gid_t thread_gid(void)
{
    return (gid_t)syscall(SYS_getegid);
}

static int thread_groups(gid_t *groups)
{
    return (int)syscall(SYS_getgroups, GROUPS_MAX, groups);
}

/* ---- reading groups ---- */

static void test_own_groups(void **state)
{
    (void)state;
    gid_t own[GROUPS_MAX];
    gid_t found[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, own);
    struct caller caller = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};
    assert_int_equal(creds_supplementary_groups(&caller, found, GROUPS_MAX), count);
    assert_memory_equal(found, own, (size_t)count * sizeof *own);
}

static void test_not_that_caller(void **state)
{
    (void)state;
    gid_t groups[8];
    struct caller other_uid = {.uid = geteuid() + 1, .gid = getegid(), .pid = getpid()};
    struct caller other_gid = {.uid = geteuid(), .gid = getegid() + 1, .pid = getpid()};
    struct caller out_of_sight = {.uid = geteuid(), .gid = getegid(), .pid = 0};
    struct caller negative = {.uid = geteuid(), .gid = getegid(), .pid = -1};
    struct caller nobody = {.uid = geteuid(), .gid = getegid(), .pid = 0x7FFFFFFF};
    assert_int_equal(creds_supplementary_groups(&other_uid, groups, 8), -ESRCH);
    assert_int_equal(creds_supplementary_groups(&other_gid, groups, 8), -ESRCH);
    assert_int_equal(creds_supplementary_groups(&out_of_sight, groups, 8), -ESRCH);
    assert_int_equal(creds_supplementary_groups(&negative, groups, 8), -ESRCH);
    assert_int_equal(creds_supplementary_groups(&nobody, groups, 8), -ESRCH);
}

static void read_groups_of_others(void)
{
    static const int counts[] = {0, 1, 2, 63, 64, 65, 200, GROUPS_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        static gid_t groups[GROUPS_MAX + 1];
        pid_t pid = start_caller(USER, GROUP, counts[i]);
        struct caller caller = {.uid = USER, .gid = GROUP, .pid = pid};
        MUST(creds_supplementary_groups(&caller, groups, GROUPS_MAX) == counts[i]);
        for (int j = 0; j < counts[i]; j++)
            MUST(groups[j] == (gid_t)(EXTRA + j));
        /* No more is written than there is room for. */
        groups[1] = 77;
        MUST(creds_supplementary_groups(&caller, groups, 1) == counts[i]);
        MUST(groups[1] == 77);
        MUST(creds_supplementary_groups(&caller, NULL, 0) == counts[i]);
        struct caller liar = {.uid = USER + 1, .gid = GROUP, .pid = pid};
        MUST(creds_supplementary_groups(&liar, groups, GROUPS_MAX) == -ESRCH);
        end_caller(pid);
        MUST(creds_supplementary_groups(&caller, groups, GROUPS_MAX) == -ESRCH);
    }
}

static void test_groups_of_others(void **state)
{
    (void)state;
    in_child(read_groups_of_others);
}

/* The file-system ids count, which are the effective ones, not the real ones. */
static void read_groups_by_effective_ids(void)
{
    const gid_t groups[] = {EXTRA, EXTRA + 1};
    gid_t found[8];
    MUST(setgroups(2, groups) == 0 && setresgid(1, GROUP, 2) == 0 && setresuid(0, USER, 0) == 0);
    struct caller effective = {.uid = USER, .gid = GROUP, .pid = getpid()};
    struct caller real = {.uid = 0, .gid = 1, .pid = getpid()};
    struct caller saved = {.uid = 0, .gid = 2, .pid = getpid()};
    MUST(creds_supplementary_groups(&effective, found, 8) == 2);
    MUST(creds_supplementary_groups(&real, found, 8) == -ESRCH);
    MUST(creds_supplementary_groups(&saved, found, 8) == -ESRCH);
}

static void test_effective_ids_count(void **state)
{
    (void)state;
    in_child(read_groups_by_effective_ids);
}

/* ---- acting ---- */

static void must_be_own_again(const gid_t *own, int own_count)
{
    gid_t groups[GROUPS_MAX];
    MUST(thread_uid() == 0 && thread_gid() == 0);
    MUST(thread_groups(groups) == own_count);
    MUST(memcmp(groups, own, (size_t)own_count * sizeof *own) == 0);
}

static bool can_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A private place to make files in. */
static void enter_scratch_directory(char *path)
{
    MUST(mkdtemp(path) && chmod(path, 0777) == 0 && chdir(path) == 0);
}

static void leave_scratch_directory(const char *path)
{
    MUST(chdir("/") == 0 && rmdir(path) == 0);
}

static void act(int count)
{
    const gid_t own[] = {3, 5, 8};
    static gid_t groups[GROUPS_MAX];
    char path[] = "/tmp/ipcfs-creds-XXXXXX";
    MUST(setgroups(3, own) == 0 && creds_init() == 0);
    enter_scratch_directory(path);
    MUST(mkdir("mine", 0700) == 0 && mkdir("group", 0750) == 0);
    MUST(count == 0 || chown("group", 0, (gid_t)(EXTRA + count - 1)) == 0);
    pid_t pid = start_caller(USER, GROUP, count);
    struct caller caller = {.uid = USER, .gid = GROUP, .pid = pid};
    struct acting acting;
    MUST(acting_begin(&acting, &caller) == 0);
    MUST(acting.active && thread_uid() == USER && thread_gid() == GROUP);
    MUST(thread_groups(groups) == count);
    MUST(count == 0 || (groups[0] == EXTRA && groups[count - 1] == (gid_t)(EXTRA + count - 1)));
    int fd = open("file", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    MUST(fd >= 0);
    MUST(access("mine", F_OK) == 0 && !can_read("mine"));
    MUST(can_read("group") == (count > 0)); /* by the last of its groups */
    MUST(chown("file", 0, 0) < 0 && errno == EPERM);
    errno = EDOM;
    acting_end(&acting);
    MUST(errno == EDOM && !acting.active);
    must_be_own_again(own, 3);
    MUST(can_read("file")); /* the capabilities are back: it is another user's, mode 0600 */
    struct stat stat;
    MUST(fstat(fd, &stat) == 0 && stat.st_uid == USER && stat.st_gid == GROUP);
    acting_end(&acting);
    must_be_own_again(own, 3);
    MUST(unlink("file") == 0 && rmdir("mine") == 0 && rmdir("group") == 0);
    leave_scratch_directory(path);
    end_caller(pid);
}

static void act_without_groups(void)
{
    act(0);
}

static void act_with_few_groups(void)
{
    act(2);
}

static void act_with_64_groups(void)
{
    act(64);
}

static void act_with_65_groups(void)
{
    act(65);
}

static void act_with_many_groups(void)
{
    act(GROUPS_MAX);
}

static void test_acting(void **state)
{
    (void)state;
    in_child(act_without_groups);
    in_child(act_with_few_groups);
    in_child(act_with_64_groups);
    in_child(act_with_65_groups);
    in_child(act_with_many_groups);
}

/* Who asks is told to backends while the thread acts for him, whether or not that changes its identity. */
static void tell_who_asks(void)
{
    MUST(creds_init() == 0);
    const struct caller callers[] = {{.uid = USER, .gid = GROUP, .pid = 77}, {.pid = 78}};
    MUST(identity_caller_pid() == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(callers); i++) {
        struct acting acting;
        MUST(acting_begin(&acting, &callers[i]) == 0);
        MUST(identity_caller_pid() == callers[i].pid);
        acting_end(&acting);
        MUST(identity_caller_pid() == 0);
    }
    struct acting acting;
    const struct caller nobody = {.uid = (uid_t)-1, .pid = 79};
    MUST(acting_begin(&acting, &nobody) == -EPERM && identity_caller_pid() == 0);
}

static void test_who_asks(void **state)
{
    (void)state;
    in_child(tell_who_asks);
}

/* An owner who is not there has no groups. */
static void be_the_owner(void)
{
    static const gid_t own[] = {EXTRA};
    MUST(setgroups(1, own) == 0 && creds_init() == 0);
    struct ipcfs_identity *owner = NULL;
    struct identity_change change;
    MUST(identity_of_owner(USER, GROUP, &owner) == 0);
    MUST(identity_put_on(&change, owner) == 0);
    MUST(thread_uid() == USER && thread_gid() == GROUP && getgroups(0, NULL) == 0);
    identity_put_back(&change);
    MUST(thread_uid() == 0 && thread_gid() == 0 && getgroups(0, NULL) == 1);
    identity_free(owner);
}

static void test_owner(void **state)
{
    (void)state;
    in_child(be_the_owner);
}

/* A pid that now belongs to somebody else, or to nobody, gives no groups. */
static void act_for_a_used_pid(void)
{
    gid_t groups[GROUPS_MAX];
    MUST(creds_init() == 0);
    pid_t pid = start_caller(USER, GROUP, 5);
    const struct caller callers[] = {
        {.uid = USER + 1, .gid = GROUP, .pid = pid},
        {.uid = USER, .gid = GROUP + 1, .pid = pid},
        {.uid = USER, .gid = GROUP, .pid = 0},
        {.uid = USER, .gid = GROUP, .pid = getpid()},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(callers); i++) {
        struct acting acting;
        MUST(acting_begin(&acting, &callers[i]) == 0);
        MUST(thread_uid() == callers[i].uid && thread_gid() == callers[i].gid && thread_groups(groups) == 0);
        acting_end(&acting);
    }
    end_caller(pid);
}

static void test_used_pid(void **state)
{
    (void)state;
    in_child(act_for_a_used_pid);
}

/* Nobody can signal the daemon while it acts for him: the real and the saved uid are its own. */
static void act_and_look_at_ids(void)
{
    MUST(creds_init() == 0);
    struct caller caller = {.uid = USER, .gid = GROUP};
    struct acting acting;
    uid_t uids[3];
    gid_t gids[3];
    MUST(acting_begin(&acting, &caller) == 0);
    MUST(syscall(SYS_getresuid, &uids[0], &uids[1], &uids[2]) == 0);
    MUST(syscall(SYS_getresgid, &gids[0], &gids[1], &gids[2]) == 0);
    MUST(uids[0] == 0 && uids[1] == USER && uids[2] == 0);
    MUST(gids[0] == 0 && gids[1] == GROUP && gids[2] == 0);
    acting_end(&acting);
}

static void test_real_ids_stay(void **state)
{
    (void)state;
    in_child(act_and_look_at_ids);
}

static void act_as_oneself(void)
{
    MUST(creds_init() == 0);
    struct caller same = {.uid = 0, .gid = 0, .pid = getpid()};
    struct caller other_group = {.uid = 0, .gid = GROUP, .pid = 0};
    struct acting acting;
    MUST(acting_begin(&acting, &same) == 0 && !acting.active);
    acting_end(&acting);
    MUST(acting_begin(&acting, &other_group) == 0 && thread_uid() == 0 && thread_gid() == GROUP);
    acting_end(&acting);
    MUST(thread_gid() == 0);
}

static void test_oneself(void **state)
{
    (void)state;
    in_child(act_as_oneself);
}

/* −1 means "leave it" to setresuid(2): taken as an identity it would leave the daemon's own, root. */
static void act_as_no_one(void)
{
    MUST(creds_init() == 0);
    const struct caller callers[] = {{.uid = (uid_t)-1, .gid = GROUP},
                                     {.uid = USER, .gid = (gid_t)-1},
                                     {.uid = (uid_t)-1, .gid = (gid_t)-1}};
    for (size_t i = 0; i < ARRAY_LENGTH(callers); i++) {
        struct acting acting;
        MUST(acting_begin(&acting, &callers[i]) == -EPERM);
        MUST(!acting.active && thread_uid() == 0 && thread_gid() == 0);
    }
}

static void test_no_one(void **state)
{
    (void)state;
    in_child(act_as_no_one);
}

static void act_without_the_right(void)
{
    MUST(setgroups(0, NULL) == 0 && setresgid(GROUP, GROUP, GROUP) == 0 && setresuid(USER, USER, USER) == 0);
    MUST(creds_init() == 0);
    const struct caller self = {.uid = USER, .gid = GROUP};
    const struct caller self_with_group = {.uid = USER, .gid = GROUP + 1};
    const struct caller other = {.uid = USER + 1, .gid = GROUP};
    const struct caller root = {.uid = 0, .gid = 0};
    struct acting acting;
    MUST(acting_begin(&acting, &self) == 0 && !acting.active);
    MUST(acting_begin(&acting, &self_with_group) == 0 && !acting.active);
    MUST(acting_begin(&acting, &other) == -EPERM && !acting.active);
    MUST(acting_begin(&acting, &root) == -EPERM && !acting.active);
    MUST(thread_uid() == USER && thread_gid() == GROUP);
}

static void test_without_the_right(void **state)
{
    (void)state;
    in_child(act_without_the_right);
}

/* ---- identities within a call ---- */

/* Puts the calling thread into a caller's identity with `count` groups, keeps it, and is itself again. */
static struct ipcfs_identity *keep_identity(int count)
{
    pid_t pid = start_caller(USER, GROUP, count);
    struct caller caller = {.uid = USER, .gid = GROUP, .pid = pid};
    struct acting acting;
    struct ipcfs_identity *kept = NULL;
    MUST(acting_begin(&acting, &caller) == 0);
    MUST(identity_of_thread(&kept) == 0);
    acting_end(&acting);
    end_caller(pid);
    return kept;
}

static void must_be_caller(int count)
{
    static gid_t groups[GROUPS_MAX];
    MUST(thread_uid() == USER && thread_gid() == GROUP && thread_groups(groups) == count);
    for (int i = 0; i < count; i++)
        MUST(groups[i] == (gid_t)(EXTRA + i));
}

/* The daemon itself for a while, in the middle of acting for somebody. */
static void be_oneself(int count)
{
    const gid_t own[] = {3, 5, 8};
    char path[] = "/tmp/ipcfs-creds-XXXXXX";
    MUST(setgroups(3, own) == 0 && creds_init() == 0);
    enter_scratch_directory(path);
    MUST(mkdir("mine", 0700) == 0);
    pid_t pid = start_caller(USER, GROUP, count);
    struct caller caller = {.uid = USER, .gid = GROUP, .pid = pid};
    struct acting acting;
    struct identity_change change;
    MUST(acting_begin(&acting, &caller) == 0);
    MUST(!can_read("mine"));
    MUST(identity_put_on(&change, NULL) == 0);
    must_be_own_again(own, 3);
    MUST(can_read("mine")); /* with the capabilities */
    errno = EDOM;
    identity_put_back(&change);
    MUST(errno == EDOM && !change.before);
    must_be_caller(count);
    MUST(!can_read("mine"));
    identity_put_back(&change);
    must_be_caller(count);
    acting_end(&acting);
    must_be_own_again(own, 3);
    end_caller(pid);
    MUST(rmdir("mine") == 0);
    leave_scratch_directory(path);
}

static void be_oneself_between(void)
{
    be_oneself(0);
    be_oneself(2);
    be_oneself(GROUPS_MAX);
}

static void *act_with_kept(void *kept)
{
    struct identity_change change;
    struct identity_change inner;
    MUST(identity_put_on(&change, kept) == 0);
    must_be_caller(2);
    uid_t ids[3];
    MUST(syscall(SYS_getresuid, &ids[0], &ids[1], &ids[2]) == 0 && ids[0] == 0 && ids[2] == 0);
    MUST(chown("/", 0, 0) < 0 && errno == EPERM);
    MUST(identity_put_on(&inner, NULL) == 0);
    MUST(thread_uid() == 0 && thread_gid() == 0);
    identity_put_back(&inner);
    must_be_caller(2);
    identity_put_back(&change);
    MUST(thread_uid() == 0);
    return NULL;
}

/* What was kept is good in another thread, when its owner has ended; and no other thread is touched. */
static void act_later(void)
{
    const gid_t own = 3;
    pthread_t thread;
    MUST(setgroups(1, &own) == 0 && creds_init() == 0);
    struct ipcfs_identity *kept = keep_identity(2);
    for (int i = 0; i < 100; i++) {
        MUST(pthread_create(&thread, NULL, act_with_kept, kept) == 0);
        must_be_own_again(&own, 1);
        MUST(pthread_join(thread, NULL) == 0);
        must_be_own_again(&own, 1);
    }
    identity_free(kept);
    identity_free(NULL);
}

static void keep_many_groups(void)
{
    struct identity_change change;
    MUST(creds_init() == 0);
    struct ipcfs_identity *kept = keep_identity(GROUPS_MAX);
    MUST(identity_put_on(&change, kept) == 0);
    must_be_caller(GROUPS_MAX);
    identity_put_back(&change);
    identity_free(kept);
}

/* Of a daemon that is not root there is one identity only. */
static void have_one_identity(void)
{
    struct identity_change change;
    MUST(setgroups(0, NULL) == 0 && setresgid(GROUP, GROUP, GROUP) == 0 && setresuid(USER, USER, USER) == 0);
    MUST(creds_init() == 0);
    struct ipcfs_identity *kept = NULL;
    MUST(identity_of_thread(&kept) == 0);
    MUST(identity_put_on(&change, kept) == 0 && !change.before);
    MUST(identity_put_on(&change, NULL) == 0 && !change.before);
    identity_put_back(&change);
    MUST(thread_uid() == USER && thread_gid() == GROUP);
    identity_free(kept);
}

static void run_out_of_memory(void)
{
    struct identity_change change;
    struct ipcfs_identity *kept = NULL;
    struct caller caller = {.uid = USER, .gid = GROUP};
    struct acting acting;
    MUST(creds_init() == 0);
    long before = failing_live();
    MUST(acting_begin(&acting, &caller) == 0);
    failing_arm(1);
    MUST(identity_of_thread(&kept) == -ENOMEM && !kept);
    failing_arm(1);
    MUST(identity_put_on(&change, NULL) == -ENOMEM && !change.before);
    MUST(failing_disarm());
    must_be_caller(0);
    identity_put_back(&change);
    acting_end(&acting);
    MUST(failing_live() == before);
}

static void test_identities(void **state)
{
    (void)state;
    in_child(be_oneself_between);
    in_child(act_later);
    in_child(keep_many_groups);
    in_child(have_one_identity);
    in_child(run_out_of_memory);
}

/* ---- threads ---- */

static atomic_bool stop_watching;
static atomic_long seen_rounds;

static void *watch_own_identity(void *foreign_seen)
{
    gid_t groups[GROUPS_MAX];
    while (!atomic_load(&stop_watching)) {
        if (thread_uid() != 0 || thread_gid() != 0 || thread_groups(groups) != 1)
            atomic_store((atomic_bool *)foreign_seen, true);
        atomic_fetch_add(&seen_rounds, 1);
    }
    return NULL;
}

struct actor {
    pthread_t thread;
    struct caller caller;
    const char *complaint;
};

static void *act_often(void *argument)
{
    struct actor *actor = argument;
    const struct caller *caller = &actor->caller;
    for (int i = 0; i < 3000; i++) {
        struct acting acting;
        if (acting_begin(&acting, caller))
            actor->complaint = "acting_begin failed";
        bool right = thread_uid() == caller->uid && thread_gid() == caller->gid;
        acting_end(&acting);
        if (!right || thread_uid() != 0)
            actor->complaint = "not the identity of the caller, or not put back";
    }
    return NULL;
}

static void act_in_threads(void)
{
    const gid_t own = 3;
    MUST(setgroups(1, &own) == 0 && creds_init() == 0);
    struct actor actors[] = {{.caller = {.uid = USER, .gid = GROUP}},
                             {.caller = {.uid = USER + 1, .gid = GROUP + 1}}};
    static atomic_bool foreign_seen;
    pthread_t watcher;
    MUST(pthread_create(&watcher, NULL, watch_own_identity, &foreign_seen) == 0);
    while (atomic_load(&seen_rounds) == 0)
        (void)usleep(100);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&actors[i].thread, NULL, act_often, &actors[i]) == 0);
    for (int i = 0; i < 2; i++) {
        MUST(pthread_join(actors[i].thread, NULL) == 0);
        MUST(!actors[i].complaint);
    }
    atomic_store(&stop_watching, true);
    MUST(pthread_join(watcher, NULL) == 0);
    MUST(!atomic_load(&foreign_seen));
    MUST(atomic_load(&seen_rounds) > 100);
}

static void test_threads_do_not_affect_each_other(void **state)
{
    (void)state;
    in_child(act_in_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_groups),
        cmocka_unit_test(test_not_that_caller),
        cmocka_unit_test(test_groups_of_others),
        cmocka_unit_test(test_effective_ids_count),
        cmocka_unit_test(test_acting),
        cmocka_unit_test(test_who_asks),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_used_pid),
        cmocka_unit_test(test_real_ids_stay),
        cmocka_unit_test(test_oneself),
        cmocka_unit_test(test_no_one),
        cmocka_unit_test(test_without_the_right),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_threads_do_not_affect_each_other),
    };
    return cmocka_run_group_tests(tests, need_root, NULL);
}
