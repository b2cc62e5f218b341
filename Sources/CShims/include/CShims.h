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

/// Listens on a stream socket at `path`, for one connection; -1 and errno on failure.
int magpie_listen(const char *path);

/// Waits for a connection to `listener` and for the descriptor that it sends, at most so many
/// milliseconds, and only until `witness` becomes readable; -1 when none came.
int magpie_receive_descriptor(int listener, int witness, int milliseconds);

/// Tells a terminal its size; 0, or -1 and errno.
int magpie_set_terminal_size(int descriptor, uint16_t rows, uint16_t columns);

/// Has the calling thread hear of broken pipes by errors alone.
void magpie_block_broken_pipes(void);

/// Seconds and nanoseconds of CLOCK_BOOTTIME as one count of nanoseconds.
int64_t magpie_boottime(void);

/// Makes what is written below `directory` count for `project`, and limits that to `bytes`; -1 and
/// errno on failure. With 0 bytes the limit is lifted, and the directory is left alone.
int magpie_limit_project(const char *directory, uint32_t project, uint64_t bytes);

/// Whether the file system of `directory` enforces limits on projects: 1 or 0; -1 and errno when
/// it can't tell.
int magpie_project_limits(const char *directory);

/// The limit of a project in bytes, 0 when it has none and nothing counts for it, 1 when
/// something does without a limit; -1 and errno on failure.
int64_t magpie_project_limit(const char *directory, uint32_t project);

/// Reads inotify events from a descriptor and hands over each watch and name; returns the count of
/// bytes read, 0 when there were none, -1 and errno on failure.
ssize_t magpie_inotify_read(int descriptor, void *context,
                            void (*handler)(void *context, int watch, const char *name));

/// The first offset at or after `offset` at which a file has data and no hole; -1 and errno when
/// there is none.
int64_t magpie_data_offset(int descriptor, int64_t offset);

/// Frees the disk's blocks under the first `length` bytes of a file, whose size and other bytes stay;
/// 0, or -1 and errno (some file systems can't).
int magpie_punch_hole(const char *path, uint64_t length);
/// Opens a path below a directory as if that were the root: neither `..` nor links lead out of it.
/// -1 and errno on failure.
int magpie_open_inside(int directory, const char *path, int flags, uint32_t mode);

/// Makes a device or a pipe in a directory; 0, or -1 and errno.
int magpie_make_node(int directory, const char *name, uint32_t mode, uint32_t major, uint32_t minor);

/// Sets an extended attribute; 0, or -1 and errno.
int magpie_set_attribute(int descriptor, const char *name, const void *value, size_t size);

/// Sets owner (if `user` is not negative), mode and time of change of an open file; 0, or -1 and
/// errno. The owner first: changing it takes the set-user-ID bit away.
int magpie_set_status(int descriptor, int64_t user, int64_t group, uint32_t mode, int64_t seconds);

/// Has the file system that holds an open file write everything to disk; 0, or -1 and errno.
int magpie_sync_filesystem(int descriptor);

/// When a file was changed, in nanoseconds since 1970; 0 when it is not there.
int64_t magpie_changed(const char *path);

/// How many bytes the allocator has given out and not got back; for benchmarks.
uint64_t magpie_allocated_bytes(void);

#endif
