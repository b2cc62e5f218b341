// Ends the containers of a node when its lease does, whatever has become of the daemon.
//
//     magpie-guard SOCKET
//
// A kernel timer on CLOCK_BOOTTIME, which goes on while the machine sleeps, kills this process when
// the daemon has not moved it on. Each container lives in a PID namespace whose first process is a
// child of this one and dies with it; the kernel then kills whatever else is in the namespace. So a
// guard that is killed, frozen or out of memory ends its containers too: it can only fail safe.
//
// Requests are packets on a SOCK_SEQPACKET socket, each answered by one packet:
//
//     arm NANOSECONDS    the timer's instant on CLOCK_BOOTTIME      armed
//     open 1|0 [1]       a namespace that dies with this process,   opened PID INODE
//                        or one that does not; with users of its
//                        own if there is a second 1
//     watch PID MONITOR  end the namespace when its monitor ends    watching
//     ping                                                          alive
//
// Anything else, and what can't be done, is answered by "refused REASON". Without a client and
// without a namespace the guard ends by itself.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Where the users of namespaces of their own begin on the host, how many each has, and how many
// ranges there are. A range is chosen by the first process, so that tasks share one only when their
// first processes are as many processes apart.
#define USERS_FIRST 0x40000000u
#define USERS_COUNT 0x10000u
#define USERS_RANGES 0x4000u
// The most namespaces at a time; more are refused.
#define SANDBOXES_MAX 4096

struct sandbox {
    pid_t init;   // first process of the namespace, as seen from here
    int monitor;  // pidfd of the container's monitor, or -1
};

static struct sandbox sandboxes[SANDBOXES_MAX];
static int count;
static timer_t timer;
static bool is_armed;
static int listener, client = -1, signals, nowhere;

static int fail(const char *operation, const char *subject) {
    fprintf(stderr, "magpie-guard: %s %s: %s\n", operation, subject, strerror(errno));
    return 125;
}

// MARK: The first process of a namespace

// Waits for children, and nothing else, for good. What a task's first process could do, a task with the
// capability to trace it could do, too: so that is nothing.
static bool lock_up(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
#if defined(__aarch64__)
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_AARCH64, 0, 5),
#else
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
#endif
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_wait4, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigtimedwait, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return fchdir(nowhere) == 0 && chroot(".") == 0 && syscall(SYS_capset, &header, none) == 0 &&
           syscall(SYS_close_range, 0, ~0U, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Reaps orphans until it is killed; has nothing that a container could take from it.
static _Noreturn void be_init(int go, bool is_bound) {
    char byte;
    if (is_bound && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(1);
    prctl(PR_SET_NAME, "magpie-init");
    prctl(PR_SET_DUMPABLE, 0);
    // A guard that died before the line above closed the pipe without a word.
    if (read(go, &byte, 1) != 1) _exit(1);
    if (!lock_up()) _exit(1);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        sigwaitinfo(&child, NULL);
    }
}

static void forget(int index) {
    if (sandboxes[index].monitor >= 0) close(sandboxes[index].monitor);
    sandboxes[index] = sandboxes[--count];
}

static void reap(void) {
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int index = 0; index < count; index++)
            if (sandboxes[index].init == pid) {
                forget(index);
                break;
            }
}

// MARK: Requests

static void answer(const char *text) { send(client, text, strlen(text), MSG_NOSIGNAL); }

static void refuse(const char *operation) {
    char text[256];
    snprintf(text, sizeof text, "refused %s: %s", operation, strerror(errno));
    answer(text);
}

static void arm(long long nanoseconds) {
    struct itimerspec due = {.it_value = {.tv_sec = nanoseconds / 1000000000,
                                          .tv_nsec = nanoseconds % 1000000000}};
    if (nanoseconds <= 0) {
        errno = EINVAL;
        return refuse("arm");
    }
    // An instant that has passed kills at once, and that is right.
    if (timer_settime(timer, TIMER_ABSTIME, &due, NULL) != 0) return refuse("arm");
    is_armed = true;
    answer("armed");
}

// Says which of the host's users those of a namespace are.
static bool map_users(pid_t init) {
    unsigned first = USERS_FIRST + (unsigned)init % USERS_RANGES * USERS_COUNT;
    char text[64], path[64];
    int length = snprintf(text, sizeof text, "0 %u %u", first, USERS_COUNT);
    for (int kind = 0; kind < 2; kind++) {
        snprintf(path, sizeof path, "/proc/%d/%s", init, kind == 0 ? "uid_map" : "gid_map");
        int map = open(path, O_WRONLY | O_CLOEXEC);
        if (map < 0) return false;
        bool is_written = write(map, text, (size_t)length) == length;
        close(map);
        if (!is_written) return false;
    }
    return true;
}

static void open_sandbox(bool is_bound, bool has_users) {
    if (is_bound && !is_armed) return answer("refused open: no lease");
    if (count == SANDBOXES_MAX) return answer("refused open: too many namespaces");
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0) return refuse("open: pipe");
    unsigned long flags = CLONE_NEWPID | SIGCHLD | (has_users ? CLONE_NEWUSER : 0);
    pid_t init = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (init == 0) {
        close(go[1]);
        be_init(go[0], is_bound);
    }
    close(go[0]);
    if (init < 0) {
        close(go[1]);
        return refuse("open: clone");
    }
    sandboxes[count++] = (struct sandbox){.init = init, .monitor = -1};
    // Before it goes: from then on it can do nothing more than wait.
    bool is_going = (!has_users || map_users(init)) && write(go[1], "", 1) == 1;
    close(go[1]);
    char path[64], text[128];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", init);
    if (!is_going || stat(path, &status) != 0) {
        kill(init, SIGKILL);
        return refuse("open: namespace");
    }
    snprintf(text, sizeof text, "opened %d %llu", init, (unsigned long long)status.st_ino);
    answer(text);
}

static void watch(pid_t init, pid_t monitor) {
    for (int index = 0; index < count; index++) {
        if (sandboxes[index].init != init) continue;
        int descriptor = (int)syscall(SYS_pidfd_open, monitor, 0);
        if (descriptor < 0) return refuse("watch");
        if (sandboxes[index].monitor >= 0) close(sandboxes[index].monitor);
        sandboxes[index].monitor = descriptor;
        return answer("watching");
    }
    answer("refused watch: no such namespace");
}

static void handle(char *text) {
    long long nanoseconds;
    int first, second;
    if (sscanf(text, "arm %lld", &nanoseconds) == 1) arm(nanoseconds);
    else if (sscanf(text, "open %d %d", &first, &second) == 2) open_sandbox(first != 0, second != 0);
    else if (sscanf(text, "open %d", &first) == 1) open_sandbox(first != 0, false);
    else if (sscanf(text, "watch %d %d", &first, &second) == 2) watch(first, second);
    else if (strcmp(text, "ping") == 0) answer("alive");
    else answer("refused: unknown request");
}

// The daemon is gone: a container that it had not finished making is nobody's.
static void hang_up(void) {
    for (int index = 0; index < count; index++)
        if (sandboxes[index].monitor < 0) kill(sandboxes[index].init, SIGKILL);
    close(client);
    client = -1;
}

// MARK: The loop

static void serve(void) {
    static struct pollfd polled[SANDBOXES_MAX + 3];
    for (;;) {
        if (client < 0 && count == 0) return;
        int number = 0;
        polled[number++] = (struct pollfd){.fd = signals, .events = POLLIN};
        polled[number++] = (struct pollfd){.fd = listener, .events = POLLIN};
        polled[number++] = (struct pollfd){.fd = client, .events = POLLIN};
        for (int index = 0; index < count; index++)
            polled[number++] = (struct pollfd){.fd = sandboxes[index].monitor, .events = POLLIN};
        if (poll(polled, (nfds_t)number, -1) < 0) continue;
        // The monitors first: reaping moves the table's rows.
        for (int index = 0; index < count; index++)
            if (polled[index + 3].revents != 0) {
                kill(sandboxes[index].init, SIGKILL);
                close(sandboxes[index].monitor);
                sandboxes[index].monitor = -1;
            }
        if (polled[0].revents != 0) {
            struct signalfd_siginfo info;
            if (read(signals, &info, sizeof info) < 0 && errno != EAGAIN) return;
            reap();
        }
        if (polled[2].revents != 0) {
            char text[256];
            ssize_t length = recv(client, text, sizeof text - 1, MSG_DONTWAIT);
            if (length > 0) {
                text[length] = 0;
                handle(text);
            } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
                hang_up();
            }
        }
        if (polled[1].revents != 0) {
            // The data directory is locked by its daemon: whoever comes later takes over.
            int next = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (next >= 0) {
                if (client >= 0) hang_up();
                client = next;
            }
        }
    }
}

// All containers hang on this process: the kernel is to look elsewhere for memory, and each container
// takes a descriptor. Where it may not ask for that, it does without.
static void be_lasting(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score < 0) return;
    if (write(score, "-1000", 5) < 0) errno = 0;
    close(score);
}

// An empty file system that is mounted nowhere: no way leads up from it.
static bool make_nowhere(void) {
    int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) return false;
    if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "4k", 0) == 0 &&
        syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", "0111", 0) == 0 &&
        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        nowhere = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
                               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                   MOUNT_ATTR_NOEXEC);
    else
        nowhere = -1;
    close(context);
    return nowhere >= 0;
}

// Listens at a path of any length: one that is too long for an address goes by way of its directory.
static bool make_listener(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (strlen(path) < sizeof address.sun_path) {
        strcpy(address.sun_path, path);
    } else {
        int length = slash == NULL ? 0 : (int)(slash - path);
        errno = ENAMETOOLONG;
        if (length == 0 || length >= (int)sizeof above) return false;
        snprintf(above, sizeof above, "%.*s", length, path);
        int directory = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) return false;
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d%.64s", directory, slash);
    }
    unlink(path);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(listener, 1) == 0;
}

static int prepare(const char *path) {
    umask(0177);
    if (!make_nowhere()) return fail("make an empty file system for", path);
    if (!make_listener(path)) return fail("listen", path);
    // From here in the background; who started it sees the parent's end as the sign.
    switch (fork()) {
    case -1: return fail("fork", path);
    case 0: break;
    default: _exit(0);
    }
    setsid();
    be_lasting();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) return 125;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) return fail("watch", "children");
    // Not by the process itself: a frozen process handles nothing, but SIGKILL ends it.
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    if (timer_create(CLOCK_BOOTTIME, &event, &timer) != 0) return fail("make", "timer");
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: magpie-guard SOCKET\n");
        return 125;
    }
    int status = prepare(argv[1]);
    if (status != 0) return status;
    // The daemon that asked for it connects first; without one there is nothing to guard.
    client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    serve();
    unlink(argv[1]);
    // The daemon, if it went before, could not remove the directory with the socket in it.
    char *slash = strrchr(argv[1], '/');
    if (slash != NULL && slash != argv[1]) {
        *slash = 0;
        rmdir(argv[1]);
    }
    return 0;
}
