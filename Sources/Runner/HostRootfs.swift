import Glibc

/// The root file system that tasks get when they bring none: the host's programs, none of its secrets.
enum HostRootfs {
    /// Parts of `/etc` that programs need and that hold no secret.
    private static let settings = [
        "alternatives", "ca-certificates", "ca-certificates.conf", "debian_version", "group",
        "hosts", "host.conf", "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
        "locale.alias",
        "localtime", "login.defs", "magic", "mime.types", "nsswitch.conf", "os-release", "passwd",
        "profile", "protocols", "resolv.conf", "services", "shells", "ssl/certs", "ssl/openssl.cnf",
        "terminfo", "timezone",
    ]
    private static let directories = [
        "dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr",
        "var",
        "var/tmp", "etc/ssl",
    ]

    /// Makes the skeleton: directories and links, with mount points for what is bound into it.
    static func makeSkeleton(at path: String) throws(RunnerError) {
        for directory in directories {
            try Files.makeDirectory("\(path)/\(directory)", mode: 0o755)
        }
        // Everybody's; also below the file system in memory that a runtime mounts there.
        for directory in ["tmp", "var/tmp"] {
            guard chmod("\(path)/\(directory)", 0o1777) == 0 else {
                throw Files.failure("open", "\(path)/\(directory)")
            }
        }
        for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
            let link = "\(path)/\(name)"
            guard Files.exists("/usr/\(name)"), !Files.exists(link) else { continue }
            guard symlink("usr/\(name)", link) == 0 || errno == EEXIST else {
                throw Files.failure("make", link)
            }
        }
        for setting in settings where Files.exists("/etc/\(setting)") {
            let target = "\(path)/etc/\(setting)"
            if Files.isDirectory("/etc/\(setting)") {
                try Files.makeDirectory(target, mode: 0o755)
            } else if !Files.exists(target) {
                try Files.write([], to: target)
            }
        }
    }

    /// What is bound into the skeleton, read-only: (source, target).
    static var binds: [(source: String, target: String)] {
        [("/usr", "/usr")]
            + settings.filter { Files.exists("/etc/\($0)") }.map { ("/etc/\($0)", "/etc/\($0)") }
    }
}
