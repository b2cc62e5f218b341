// Starts the container monitor, or a whole daemon, in a mount namespace of its own.
//
//     magpie-launch [--join PROCESS INODE] [--mappers NEWUIDMAP NEWGIDMAP] [--own-users UIDS GIDS]
//                   [--hide DIR] [--users DIR] [--user-attributes] [--overlay LOWER UPPER WORK TARGET]
//                   -- PROGRAM ARGS…
//
// --own-users makes the caller, who may be an ordinary user, root of a user namespace first; --mappers
// write maps with more than the caller's own user in them. --join enters the user namespace of a
// process instead, if that has it still: containers of an earlier life are in there.
// --hide covers a directory with an empty tmpfs: crun refuses hybrid cgroup hosts when it sees
// controllers in the unified hierarchy. --overlay mounts the task's root file system; it vanishes
// with the namespace, so that nothing is left to be unmounted. --users names a process by its directory
// in /proc, as whose namespace's users the overlay's files appear: on the disk they have the numbers that
// are seen there. --user-attributes has the overlay keep its marks where a user namespace may set them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "users.h"

// The C library's own header does not go with the kernel's.
int mount(const char *, const char *, const char *, unsigned long, const void *);

int fail(const char *operation, const char *subject) {
    fprintf(stderr, "magpie-launch: %s %s: %s\n", operation, subject, strerror(errno));
    return 125;
}

// Shows a directory at `target` as the users of a namespace have it.
static int show_as(int users, const char *directory, const char *target) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)users};
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) return fail("clone", directory);
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        return fail("change the users of", directory);
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return fail("mount", target);
    close(tree);
    return 0;
}

// Does what follows as root of a namespace, with all that the host's root may: an overlay makes its own
// files as whoever mounts it.
static bool act_as(unsigned root) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    setfsgid(root);
    setfsuid(root);
    if (syscall(SYS_capget, &header, sets) != 0) return false;
    for (int half = 0; half < 2; half++) sets[half].effective = sets[half].permitted;
    return syscall(SYS_capset, &header, sets) == 0;
}

// The directory above the last part of a path.
static int parent(const char *path, char *result, size_t size) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) >= size) return -1;
    memcpy(result, path, (size_t)(slash - path));
    result[slash - path] = 0;
    return 0;
}

struct users {
    int namespace;  // -1 for those of the host
    unsigned root;  // its root, as the host sees it
};

static int find_users(const char *process, struct users *users) {
    char path[64];
    snprintf(path, sizeof path, "%s/ns/user", process);
    users->namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (users->namespace < 0) return fail("open", path);
    snprintf(path, sizeof path, "%s/uid_map", process);
    FILE *map = fopen(path, "re");
    bool is_read = map != NULL && fscanf(map, " 0 %u", &users->root) == 1;
    if (map != NULL) fclose(map);
    return is_read ? 0 : fail("read", path);
}

// Upper and work directory lie side by side: overlays want them in one mount.
static int overlay(struct users known, bool has_user_attributes, char **paths) {
    const char *lower = paths[0], *upper = paths[1], *work = paths[2], *target = paths[3];
    int users = known.namespace;
    if (users >= 0) {
        char layer[4096];
        if (parent(upper, layer, sizeof layer) != 0) return fail("find the directory of", upper);
        int status = show_as(users, layer, layer);
        if (status == 0) status = show_as(users, lower, target);
        if (status != 0) return status;
        lower = target;
        if (!act_as(known.root)) return fail("act as the root of", target);
    }
    char options[16384];
    int length = snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s%s", lower, upper,
                          work, has_user_attributes ? ",userxattr" : "");
    if (length < 0 || (size_t)length >= sizeof options) {
        errno = ENAMETOOLONG;
        return fail("overlay", target);
    }
    if (mount("overlay", target, "overlay", 0, options) != 0) return fail("overlay", target);
    if (users >= 0 && !act_as(0)) return fail("act as root", target);
    return 0;
}

// Enters the user namespace that the first options ask for.
//
// What is mounted on the host later is to be seen by a daemon, too, but not the other way round.
static int enter_users(int argc, char **argv, int *index, bool *is_entered) {
    struct mappers mappers = {NULL, NULL};
    int status = 0;
    *is_entered = false;
    for (; status == 0 && *index + 2 < argc; *index += 3) {
        char **words = argv + *index;
        if (strcmp(words[0], "--join") == 0) status = join_users(words[1], words[2], is_entered);
        else if (strcmp(words[0], "--mappers") == 0) mappers = (struct mappers){words[1], words[2]};
        else if (strcmp(words[0], "--own-users") != 0) break;
        else if (!*is_entered) {
            status = own_users(mappers, words[1], words[2]);
            *is_entered = true;
        }
    }
    return status;
}

// Prepares the mount namespace as the other options say.
static int prepare(int argc, char **argv, int *index) {
    struct users users = {.namespace = -1};
    bool has_user_attributes = false;
    int status = 0;
    while (status == 0 && *index < argc && strcmp(argv[*index], "--") != 0) {
        char **words = argv + *index;
        int left = argc - *index - 1;
        if (strcmp(words[0], "--hide") == 0 && left >= 1) {
            if (mount("tmpfs", words[1], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k") != 0)
                return fail("cover", words[1]);
            *index += 2;
        } else if (strcmp(words[0], "--users") == 0 && left >= 1) {
            status = find_users(words[1], &users);
            *index += 2;
        } else if (strcmp(words[0], "--user-attributes") == 0) {
            has_user_attributes = true;
            *index += 1;
        } else if (strcmp(words[0], "--overlay") == 0 && left >= 4) {
            status = overlay(users, has_user_attributes, words + 1);
            *index += 5;
        } else {
            fprintf(stderr, "magpie-launch: unknown option %s\n", words[0]);
            return 125;
        }
    }
    return status;
}

int main(int argc, char **argv) {
    int index = 1;
    bool has_users;
    int status = enter_users(argc, argv, &index, &has_users);
    if (status != 0) return status;
    if (unshare(CLONE_NEWNS) != 0) return fail("unshare", "mount namespace");
    if (mount("none", "/", NULL, MS_REC | (has_users ? MS_SLAVE : MS_PRIVATE), NULL) != 0)
        return fail("make private", "/");
    status = prepare(argc, argv, &index);
    if (status != 0) return status;
    if (index + 1 >= argc) {
        fprintf(stderr, "magpie-launch: no program\n");
        return 125;
    }
    execv(argv[index + 1], argv + index + 1);
    return fail("run", argv[index + 1]);
}
