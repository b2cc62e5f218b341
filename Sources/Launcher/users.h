// Users of one's own: what an ordinary user needs to make containers.
#ifndef MAGPIE_LAUNCH_USERS_H
#define MAGPIE_LAUNCH_USERS_H

#include <stdbool.h>

// Says on standard error what could not be done, and why; returns the program's exit code.
int fail(const char *operation, const char *subject);

// Programs that may write maps with more than the caller's own user; NULL where there are none.
struct mappers {
    const char *users;
    const char *groups;
};

// Makes the caller the root of a new user namespace. The maps are lines as in /proc/PID/uid_map, in one.
int own_users(struct mappers mappers, const char *users, const char *groups);

// Enters the user namespace of a process, if it is the one with this inode.
int join_users(const char *process, const char *inode, bool *is_joined);

#endif
