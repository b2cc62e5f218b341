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

/// Seconds and nanoseconds of CLOCK_BOOTTIME as one count of nanoseconds.
int64_t magpie_boottime(void);

/// Reads inotify events from a descriptor and hands over each name that is not empty; returns the
/// count of bytes read, 0 when there were none, -1 and errno on failure.
ssize_t magpie_inotify_read(int descriptor, void *context,
                            void (*handler)(void *context, const char *name));
#endif
