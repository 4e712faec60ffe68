/* SPDX-License-Identifier: MIT */
/*
 * Runs a program that is denied one system call, or some: seccomp(2) answers it with an errno.
 *
 * usage: deny CALL[,CALL...] ERRNO PROGRAM [ARGUMENT...]      ERRNO is a number
 *        deny --list                                          the calls it knows
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
// cppcheck-suppress preprocessorErrorDirective
#error "this machine's AUDIT_ARCH_ is to be added"
#endif

#define CALL(name)                                                                                           \
    {                                                                                                        \
#name, SYS_##name                                                                                    \
    }
static const struct {
    const char *name;
    long number;
} calls[] = {
#include "calls.h"
};

enum { CALLS_MAX = 16, FILTER_MAX = CALLS_MAX * 2 + 8 };

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "deny: %s: %s\n", what, why);
    return 125;
}

static long number_of(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    return -1;
}

/* All calls of another machine's numbers are let through: no program here makes any. */
static int install(const long *numbers, size_t count, unsigned error)
{
    struct sock_filter filter[FILTER_MAX];
    unsigned short used = 0;
    filter[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = used, .filter = filter};
    /* As root that needs no PR_SET_NO_NEW_PRIVS, which would keep fusermount3 from its rights. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int list(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        (void)printf("%s\n", calls[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    long numbers[CALLS_MAX];
    size_t count = 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc < 4)
        return fail("usage", "deny CALL[,CALL...] ERRNO PROGRAM [ARGUMENT...]");
    char *rest = NULL;
    for (char *name = strtok_r(argv[1], ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        long number = number_of(name);
        if (number < 0 || count == CALLS_MAX)
            return fail(name, "not a system call that is known here, or too many");
        numbers[count++] = number;
    }
    int error = install(numbers, count, (unsigned)strtoul(argv[2], NULL, 10));
    if (error)
        return fail("seccomp", strerror(-error));
    (void)execvp(argv[3], argv + 3);
    return fail(argv[3], strerror(errno));
}
