#define _GNU_SOURCE
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// The most words of a map: three for each of its lines.
#define WORDS_MAX 60

static bool put(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool is_written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    close(file);
    errno = error;
    return is_written;
}

// Runs a mapper for a process; the code is the mapper's own.
static int run_mapper(const char *mapper, const char *process, const char *map) {
    char *copy = strdup(map), *rest = copy, *words[WORDS_MAX + 3];
    int count = 0;
    if (copy == NULL) return fail("read", map);
    words[count++] = (char *)mapper;
    words[count++] = (char *)process;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < WORDS_MAX + 2;)
        if (*word != 0) words[count++] = word;
    words[count] = NULL;
    pid_t child = fork();
    if (child == 0) {
        execv(mapper, words);
        _exit(fail("run", mapper));
    }
    free(copy);
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0) return fail("run", mapper);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

// Waits outside the new namespace until it is there, and has its maps written.
static _Noreturn void map_from_outside(int go, struct mappers mappers, const char *users,
                                       const char *groups) {
    char byte, process[16];
    if (read(go, &byte, 1) != 1) _exit(125);
    snprintf(process, sizeof process, "%d", getppid());
    int code = run_mapper(mappers.users, process, users);
    if (code == 0) code = run_mapper(mappers.groups, process, groups);
    _exit(code);
}

static int map_own(const char *users, const char *groups) {
    // Who could give groups up could pass by what is forbidden to them.
    if (!put("/proc/self/setgroups", "deny")) return fail("write", "/proc/self/setgroups");
    if (!put("/proc/self/uid_map", users)) return fail("write", "/proc/self/uid_map");
    if (!put("/proc/self/gid_map", groups)) return fail("write", "/proc/self/gid_map");
    return 0;
}

int own_users(struct mappers mappers, const char *users, const char *groups) {
    int go[2];
    pid_t mapper = 0;
    if (mappers.users != NULL) {
        if (pipe2(go, O_CLOEXEC) != 0) return fail("make", "pipe");
        mapper = fork();
        if (mapper < 0) return fail("fork", mappers.users);
        if (mapper == 0) {
            close(go[1]);
            map_from_outside(go[0], mappers, users, groups);
        }
        close(go[0]);
    }
    if (unshare(CLONE_NEWUSER) != 0) return fail("unshare", "user namespace");
    if (mapper == 0) return map_own(users, groups);
    int status;
    bool is_told = write(go[1], "", 1) == 1;
    close(go[1]);
    if (waitpid(mapper, &status, 0) < 0 || !is_told) return fail("wait for", mappers.users);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    // The mapper has said why.
    return 125;
}

int join_users(const char *process, const char *inode, bool *is_joined) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%s/ns/user", process);
    *is_joined = false;
    int users = open(path, O_RDONLY | O_CLOEXEC);
    // It has ended since the caller looked: then nobody is there to be joined.
    if (users < 0) return 0;
    if (fstat(users, &status) == 0 && status.st_ino == strtoull(inode, NULL, 10)) {
        if (setns(users, CLONE_NEWUSER) != 0) return fail("enter", path);
        *is_joined = true;
    }
    close(users);
    return 0;
}
