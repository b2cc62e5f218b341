// Starts the container monitor in a mount namespace of its own.
//
//     magpie-launch [--hide DIR] [--overlay LOWER UPPER WORK TARGET] -- PROGRAM ARGS…
//
// --hide covers a directory with an empty tmpfs: crun refuses hybrid cgroup hosts when it sees
// controllers in the unified hierarchy. --overlay mounts the task's root file system; it vanishes
// with the namespace, so that nothing is left to be unmounted.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int fail(const char *operation, const char *subject) {
    fprintf(stderr, "magpie-launch: %s %s: %s\n", operation, subject, strerror(errno));
    return 125;
}

int main(int argc, char **argv) {
    if (unshare(CLONE_NEWNS) != 0) return fail("unshare", "mount namespace");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return fail("make private", "/");
    int index = 1;
    for (; index < argc && strcmp(argv[index], "--") != 0;) {
        if (strcmp(argv[index], "--hide") == 0 && index + 1 < argc) {
            if (mount("tmpfs", argv[index + 1], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                      "size=64k") != 0)
                return fail("cover", argv[index + 1]);
            index += 2;
        } else if (strcmp(argv[index], "--overlay") == 0 && index + 4 < argc) {
            char options[16384];
            int length = snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s",
                                  argv[index + 1], argv[index + 2], argv[index + 3]);
            if (length < 0 || (size_t)length >= sizeof options) {
                errno = ENAMETOOLONG;
                return fail("overlay", argv[index + 4]);
            }
            if (mount("overlay", argv[index + 4], "overlay", 0, options) != 0)
                return fail("overlay", argv[index + 4]);
            index += 5;
        } else {
            fprintf(stderr, "magpie-launch: unknown option %s\n", argv[index]);
            return 125;
        }
    }
    if (index + 1 >= argc) {
        fprintf(stderr, "magpie-launch: no program\n");
        return 125;
    }
    execv(argv[index + 1], argv + index + 1);
    return fail("run", argv[index + 1]);
}
