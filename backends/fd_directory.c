/* SPDX-License-Identifier: MIT */
#include "fd_directory.h"

#include "fd_path.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <sys/xattr.h>

/* With an access control list the mode does not tell all. ENODATA: there is none; EOPNOTSUPP: there never is. */
static bool has_access_list(int fd)
{
    ssize_t size = fgetxattr(fd, "system.posix_acl_access", NULL, 0);
    return size >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

int fd_directory_stat(int fd, struct ipcfs_directory *out)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    *out = (struct ipcfs_directory){
        .uid = stat.st_uid,
        .gid = stat.st_gid,
        .sticky = stat.st_mode & S_ISVTX,
        .open_to_all = (stat.st_mode & 0111) == 0111 && !has_access_list(fd),
    };
    return 0;
}

int fd_directory_stat_system(int fd, struct statvfs *out)
{
    return fstatvfs(fd, out) < 0 ? -errno : 0;
}

int fd_directory_check_search(int fd)
{
    return faccessat(fd, ".", X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int fd_directory_open(int fd, DIR **out)
{
    /* By the descriptor: to list a directory takes the right to read it, but not to search it, as "." would. */
    AUTO_FD opened = open(fd_path(fd).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return -errno;
    *out = fdopendir(opened);
    if (!*out)
        return -errno;
    (void)TAKE_FD(opened); /* the DIR owns it now */
    return 0;
}
