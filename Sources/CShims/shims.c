#define _GNU_SOURCE
#include "CShims.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <linux/quota.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int magpie_spawn(pid_t *pid, const char *path, char *const argv[], char *const envp[],
                 const char *directory, int input, int output, int error, int inherited) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int status = posix_spawn_file_actions_init(&actions);
    if (status != 0) return status;
    status = posix_spawnattr_init(&attributes);
    if (status != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return status;
    }
    // The daemon blocks and ignores signals of its own; a child starts with none of that.
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSID);
    if (status == 0 && inherited >= 0)
        status = posix_spawn_file_actions_adddup2(&actions, inherited, 3);
    if (status == 0) status = posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (status == 0) status = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (status == 0) status = posix_spawn_file_actions_adddup2(&actions, error, 2);
    if (status == 0)
        status = posix_spawn_file_actions_addclosefrom_np(&actions, inherited >= 0 ? 4 : 3);
    if (status == 0 && directory != NULL)
        status = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (status == 0) status = posix_spawn(pid, path, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

int magpie_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int magpie_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

// The address of a socket. Where its path is too long for one, it goes by way of its directory, which is
// to be closed afterwards; -1 and errno when there is no such directory, or the name alone is too long.
static int find_socket(const char *path, struct sockaddr_un *address, int *directory) {
    const char *slash = strrchr(path, '/');
    *directory = -1;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return 0;
    }
    if (slash == NULL || strlen(slash) > sizeof address->sun_path - sizeof "/proc/self/fd/0123456789") {
        errno = ENAMETOOLONG;
        return -1;
    }
    char *above = strndup(path, (size_t)(slash - path));
    if (above == NULL) return -1;
    *directory = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(above);
    if (*directory < 0) return -1;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s", *directory, slash);
    return 0;
}

static void close_quietly(int descriptor) {
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    errno = error;
}

int magpie_connect(const char *path, int timeout) {
    struct sockaddr_un address;
    struct timeval limit = {.tv_sec = timeout};
    int directory;
    if (find_socket(path, &address, &directory) != 0) return -1;
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 &&
        (setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
         setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
         connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0)) {
        close_quietly(descriptor);
        descriptor = -1;
    }
    close_quietly(directory);
    return descriptor;
}

int magpie_listen(const char *path) {
    struct sockaddr_un address;
    int directory;
    if (find_socket(path, &address, &directory) != 0) return -1;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
                            listen(descriptor, 1) != 0)) {
        close_quietly(descriptor);
        descriptor = -1;
    }
    close_quietly(directory);
    return descriptor;
}

// Whether `descriptor` becomes readable in time; what is there counts though the witness is, too.
static int awaits(int descriptor, int witness, int milliseconds) {
    struct pollfd polled[] = {{.fd = descriptor, .events = POLLIN}, {.fd = witness, .events = POLLIN}};
    int count;
    while ((count = poll(polled, 2, milliseconds)) < 0 && errno == EINTR) {}
    return count > 0 && (polled[0].revents & POLLIN) != 0;
}

int magpie_receive_descriptor(int listener, int witness, int milliseconds) {
    if (!awaits(listener, witness, milliseconds)) return -1;
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) return -1;
    int received = -1;
    if (awaits(connection, witness, milliseconds)) {
        char byte[256];
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        struct iovec part = {.iov_base = byte, .iov_len = sizeof byte};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) >= 0) {
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            if (header != NULL && header->cmsg_level == SOL_SOCKET &&
                header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&received, CMSG_DATA(header), sizeof received);
        }
    }
    close(connection);
    return received;
}

int magpie_set_terminal_size(int descriptor, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(descriptor, TIOCSWINSZ, &size);
}

void magpie_block_broken_pipes(void) {
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, NULL);
}

int magpie_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int64_t magpie_boottime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

ssize_t magpie_inotify_read(int descriptor, void *context,
                            void (*handler)(void *context, int watch, const char *name)) {
    _Alignas(struct inotify_event) char buffer[16384];
    ssize_t count = read(descriptor, buffer, sizeof buffer);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    for (ssize_t offset = 0; offset < count;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + offset);
        handler(context, event->wd, event->len > 0 ? event->name : "");
        offset += (ssize_t)(sizeof *event + event->len);
    }
    return count;
}

int magpie_punch_hole(const char *path, uint64_t length) {
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    int status = fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                           (off_t)length);
    int failure = errno;
    close(descriptor);
    errno = failure;
    return status;
}

int64_t magpie_data_offset(int descriptor, int64_t offset) {
    return lseek(descriptor, (off_t)offset, SEEK_DATA);
}

int magpie_limit_project(const char *directory, uint32_t project, uint64_t bytes) {
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    struct fsxattr attributes;
    int status = 0;
    if (bytes > 0) {
        status = ioctl(descriptor, FS_IOC_FSGETXATTR, &attributes);
        if (status == 0) {
            attributes.fsx_projid = project;
            attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
            status = ioctl(descriptor, FS_IOC_FSSETXATTR, &attributes);
        }
    }
    if (status == 0) {
        // The kernel translates this form for every file system; blocks are of 512 bytes.
        struct fs_disk_quota quota = {.d_version = FS_DQUOT_VERSION,
                                      .d_flags = FS_PROJ_QUOTA,
                                      .d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT,
                                      .d_id = project};
        quota.d_blk_hardlimit = quota.d_blk_softlimit = bytes / 512;
        status = (int)syscall(SYS_quotactl_fd, descriptor, QCMD(Q_XSETQLIM, PRJQUOTA), project,
                              &quota);
    }
    int error = errno;
    close(descriptor);
    errno = error;
    return status;
}

int magpie_project_limits(const char *directory) {
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    struct fs_quota_stat state = {0};
    int status = (int)syscall(SYS_quotactl_fd, descriptor, QCMD(Q_XGETQSTAT, PRJQUOTA), 0, &state);
    int error = errno;
    close(descriptor);
    errno = error;
    if (status != 0) return -1;
    return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

int64_t magpie_project_limit(const char *directory, uint32_t project) {
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    struct fs_disk_quota quota = {0};
    int status = (int)syscall(SYS_quotactl_fd, descriptor, QCMD(Q_XGETQUOTA, PRJQUOTA), project,
                              &quota);
    int error = errno;
    close(descriptor);
    errno = error;
    if (status != 0) return error == ENOENT ? 0 : -1;
    if (quota.d_blk_hardlimit == 0) return quota.d_bcount > 0 ? 1 : 0;
    return (int64_t)quota.d_blk_hardlimit * 512;
}

int magpie_open_inside(int directory, const char *path, int flags, uint32_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    long descriptor;
    // A rename elsewhere in the system may disturb the walk; it is tried again.
    for (int tries = 0; tries < 1000; tries++) {
        descriptor = syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (descriptor >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return (int)descriptor;
}

int magpie_make_node(int directory, const char *name, uint32_t mode, uint32_t major,
                     uint32_t minor) {
    return mknodat(directory, name, mode, makedev(major, minor));
}

int magpie_set_attribute(int descriptor, const char *name, const void *value, size_t size) {
    return fsetxattr(descriptor, name, value, size, 0);
}

int magpie_set_status(int descriptor, int64_t user, int64_t group, uint32_t mode,
                      int64_t seconds) {
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    if (user >= 0 && fchown(descriptor, (uid_t)user, (gid_t)group) != 0) return -1;
    if (fchmod(descriptor, mode) != 0) return -1;
    return futimens(descriptor, times);
}

int magpie_sync_filesystem(int descriptor) { return syncfs(descriptor); }

int64_t magpie_changed(const char *path) {
    struct stat status;
    if (lstat(path, &status) != 0) return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

uint64_t magpie_allocated_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}
