/* SPDX-License-Identifier: MIT */
#include "passthrough.h"

#include "ipcfs/capability.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/*
 * Part of the kernel's interface since Linux 6.9 (include/uapi/linux/fuse.h). Stated here because libfuse's own call
 * does not tell the errno, and because the headers of Debian 12 are older.
 */
struct backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

int passthrough_parse_mode(const char *word, enum passthrough_mode *mode)
{
    static const char *const words[] = {
        [PASSTHROUGH_AUTO] = "auto", [PASSTHROUGH_ON] = "on", [PASSTHROUGH_OFF] = "off"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            *mode = (enum passthrough_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* The C library has no call for the capabilities of a thread (capget(2)). */
struct capabilities {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int get_capabilities(struct capabilities *out)
{
    *out = (struct capabilities){.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
    return syscall(SYS_capget, &out->header, out->data) < 0 ? -errno : 0;
}

static int set_capabilities(struct capabilities *new)
{
    return syscall(SYS_capset, &new->header, new->data) < 0 ? -errno : 0;
}

static int32_t register_backing(int session_fd, int fd)
{
    struct backing_map map = {.fd = fd};
    int id = ioctl(session_fd, BACKING_OPEN, &map);
    return id < 0 ? -errno : id;
}

int32_t passthrough_open(int session_fd, int fd)
{
    struct capabilities own;
    int error = get_capabilities(&own);
    struct capabilities lesser = own;
    lesser.data[CAP_TO_INDEX(CAP_FSETID)].effective &= ~CAP_TO_MASK(CAP_FSETID);
    if (!error)
        error = set_capabilities(&lesser);
    if (error)
        return error;
    int32_t id = register_backing(session_fd, fd);
    error = set_capabilities(&own);
    if (error)
        log_error("a thread could not take CAP_FSETID back: %s", strerror(-error));
    return id;
}

void passthrough_close(int session_fd, int32_t backing_id)
{
    uint32_t id = (uint32_t)backing_id;
    if (ioctl(session_fd, BACKING_CLOSE, &id) < 0)
        log_warning("backing id %d: %s", (int)backing_id, strerror(errno));
}

static bool is_new_enough(void)
{
    struct utsname system;
    if (uname(&system) < 0)
        return false;
    char *end = NULL;
    unsigned long major = strtoul(system.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return major > 6 || (major == 6 && minor >= 9);
}

bool passthrough_expected(void)
{
    return is_new_enough() && has_capability(CAP_SYS_ADMIN);
}

int passthrough_probe(int session_fd)
{
    AUTO_FD fd = memfd_create("ipcfs passthrough probe", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int32_t id = passthrough_open(session_fd, fd);
    if (id < 0)
        return id;
    passthrough_close(session_fd, id);
    return 0;
}
