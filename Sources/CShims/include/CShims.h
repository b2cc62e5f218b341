#ifndef MAGPIE_CSHIMS_H
#define MAGPIE_CSHIMS_H
#include <stdint.h>
#include <sys/types.h>

/// Starts a program; returns 0, or an errno. Descriptors from 3 on are closed, except that
/// `inherited` (if not negative) becomes descriptor 3.
int magpie_spawn(pid_t *pid, const char *path, char *const argv[], char *const envp[],
                 const char *directory, int input, int output, int error, int inherited);

/// Opens a descriptor that becomes readable when the process ends; -1 and errno on failure.
int magpie_pidfd_open(pid_t pid);

/// Makes a pipe whose ends are closed in children; 0, or -1 and errno.
int magpie_pipe(int ends[2]);

/// Connects to a SOCK_SEQPACKET socket, with a bound in seconds on every send and receive; -1 and
/// errno on failure.
int magpie_connect(const char *path, int timeout);

/// Makes an event counter that does not block and is closed in children; -1 and errno on failure.
int magpie_eventfd(void);

/// Seconds and nanoseconds of CLOCK_BOOTTIME as one count of nanoseconds.
int64_t magpie_boottime(void);

/// Reads inotify events from a descriptor and hands over each watch and name; returns the count of
/// bytes read, 0 when there were none, -1 and errno on failure.
ssize_t magpie_inotify_read(int descriptor, void *context,
                            void (*handler)(void *context, int watch, const char *name));
/// How many bytes the allocator has given out and not got back; for benchmarks.
uint64_t magpie_allocated_bytes(void);

#endif
