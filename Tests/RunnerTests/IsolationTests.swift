import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// What a task sees of the machine, looked at from inside real containers.
@Suite(.serialized, .enabled(if: geteuid() == 0, "containers in these tests need root"))
struct IsolationTests {
    /// Prints `name: value` lines about everything that a container should not have.
    static let look = """
        for name in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp; do
            echo $name: $(sed -n "s/^$name:[[:space:]]*//p" /proc/self/status)
        done
        echo devices: $(ls /dev | sort | tr '\\n' ' ')
        for file in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats; do
            test -e $file && echo masked $file: $(head -c 1 $file 2>/dev/null | wc -c)
        done
        echo masked /sys/firmware: $(ls /sys/firmware | wc -l)
        for file in /proc/sysrq-trigger /proc/sys/kernel/domainname /proc/irq/x; do
            (echo x > $file) 2>/dev/null && echo writable $file: yes
        done
        mawk '$2 ~ /^.(proc|sys)./ { next }
             $2 != "/" && $4 !~ /nosuid/ { print "suid " $2 ": yes" }
             $4 !~ /nodev/ && $2 != "/" && $2 !~ /^.dev(.[a-z]+)?$/ { print "devices in " $2 ": yes" }
             $2 == "/sys" || $2 == "/usr" { print "mount " $2 ": " substr($4, 1, 2) }
        ' /proc/mounts
        mknod /tmp/disk b 254 0 2>/dev/null && echo mknod: yes
        head -c 1 /tmp/disk >/dev/null 2>&1 && echo reads a disk: yes
        mount -t tmpfs none /mnt 2>/dev/null && echo mount: yes
        unshare -Ur true 2>/dev/null && echo user namespace: yes
        unshare -m true 2>/dev/null && echo mount namespace: yes
        chroot / true 2>/dev/null && echo chroot: yes
        hostname other 2>/dev/null && echo sethostname: yes
        date -s 2000-01-01 >/dev/null 2>&1 && echo settime: yes
        kill -9 1 2>/dev/null; test -d /proc/1 && echo init: $(cat /proc/1/comm)
        for name in exe cwd root; do readlink /proc/1/$name >/dev/null && echo init $name: yes; done
        test -r /etc/shadow && echo shadow: yes
        echo processes: $(ls -d /proc/[0-9]* | wc -l | mawk '{ print ($1 < 10) ? "few" : "many" }')
        perl -e '$! = 0; syscall(\(keyctl), 0, -3, 1); print "keyctl: ", ($!{ENOSYS} || $!{EPERM} ? "refused" : "allowed"), "\\n";'
        perl -e '$! = 0; syscall(\(bpf), 0, 0, 0); print "bpf: ", ($!{ENOSYS} || $!{EPERM} ? "refused" : "allowed"), "\\n";'
        perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, sockaddr_in(9, inet_aton("127.0.0.1")));
            print "loopback: ", ($!{ECONNREFUSED} ? "up" : "$!"), "\\n";
            connect($s, sockaddr_in(9, inet_aton("192.0.2.1"))); print "elsewhere: ", ($!{ENETUNREACH} ? "no way" : "$!"), "\\n";'
        perl -MSocket -e 'print "raw socket: yes\\n" if socket(my $s, PF_INET, SOCK_RAW, 1)'
        """

    #if arch(arm64)
        private static let (keyctl, bpf) = (219, 280)
    #else
        private static let (keyctl, bpf) = (250, 321)
    #endif

    /// What an ordinary task sees; podman's defaults give the same, and keyrings besides.
    ///
    /// A user namespace of its own gives nothing outside of it, and sandboxes of browsers need one.
    private static let expected = """
        CapInh: 0000000000000000
        CapPrm: 00000000800405fb
        CapEff: 00000000800405fb
        CapBnd: 00000000800405fb
        CapAmb: 0000000000000000
        NoNewPrivs: 1
        Seccomp: 2
        devices: core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero
        masked /proc/kcore: 0
        masked /proc/keys: 0
        masked /proc/timer_list: 0
        masked /sys/firmware: 0
        mount /sys: ro
        mount /usr: ro
        user namespace: yes
        chroot: yes
        init: magpie-init
        processes: few
        keyctl: refused
        bpf: refused
        loopback: up
        elsewhere: no way
        """

    private func lines(_ spec: TaskSpec, _ bench: RunnerBench) async throws -> [String] {
        let text = try await bench.output(spec)
        print(text)
        // Not every kernel has every file.
        return text.split(separator: "\n").map(String.init)
    }

    @Test func `a task sees little of the machine`() async throws {
        try await RunnerBench.run { bench in
            let lines = try await lines(TaskSpec(command: ["sh", "-c", Self.look]), bench)
            var expected = Self.expected
            // runc links to the kernel's memory, which is masked, only where that can be seen.
            if bench.runner.configuration.isRunc {
                expected = expected.replacingOccurrences(of: "devices: core", with: "devices:")
            }
            let wanted = expected.split(separator: "\n").map(String.init)
            let optional = wanted.filter { $0.hasPrefix("masked /proc") || $0.hasPrefix("user") }
            #expect(lines.filter { !wanted.contains($0) } == [])
            #expect(wanted.filter { !lines.contains($0) && !optional.contains($0) } == [])
        }
    }

    struct Wish: CustomTestStringConvertible, Sendable {
        var user: String?
        var dropped: [String] = []
        var added: [String] = []
        let effective: String
        let bounding: String
        var testDescription: String { "\(user ?? "root") -\(dropped) +\(added)" }
    }

    @Test(arguments: [
        Wish(dropped: ["ALL"], effective: "0000000000000000", bounding: "0000000000000000"),
        Wish(
            dropped: ["CAP_CHOWN"], added: ["CAP_NET_RAW"], effective: "00000000800425fa",
            bounding: "00000000800425fa"),
        Wish(user: "1000", effective: "0000000000000000", bounding: "00000000800405fb"),
        Wish(
            user: "1000", added: ["CAP_NET_RAW"], effective: "0000000000002000",
            bounding: "00000000800425fb"),
    ])
    func `a task has the capabilities that it asked for, and no others`(wish: Wish) async throws {
        try await RunnerBench.run {
            $0.capabilitiesAllowed = ["CAP_NET_RAW"]
        } _: { bench in
            var spec = TaskSpec(command: ["grep", "-E", "Cap(Eff|Bnd)", "/proc/self/status"])
            spec.options.user = wish.user
            spec.options.capabilitiesDropped = wish.dropped
            spec.options.capabilitiesAdded = wish.added
            let text = try await bench.output(spec)
            #expect(text == "CapEff:\t\(wish.effective)\nCapBnd:\t\(wish.bounding)\n")
        }
    }

    @Test func `what the operator did not allow is refused`() async throws {
        try await RunnerBench.run { bench in
            var spec = TaskSpec(command: ["true"])
            spec.options.capabilitiesAdded = ["CAP_NET_RAW"]
            let one = try await bench.failure(spec)
            #expect(one.message.contains("--allow-cap"))
            spec.options.capabilitiesAdded = ["ALL"]
            let all = try await bench.failure(spec)
            #expect(all.message.contains("--allow-cap"))
            spec.options = ContainerOptions()
            spec.options.network = .host
            let network = try await bench.failure(spec)
            #expect(network.message.contains("--allow-host-network"))
        }
    }

    @Test func `the node's network is the task's where that is allowed`() async throws {
        try await RunnerBench.run {
            $0.allowsHostNetwork = true
        } _: { bench in
            var spec = TaskSpec(command: ["readlink", "/proc/self/ns/net"])
            let own = try await bench.output(spec)
            spec.options.network = .host
            let host = try await bench.output(spec)
            #expect(own != host)
            let node = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/self/ns/net")
            #expect(host == node + "\n")
        }
    }

    @Test func `a task that may trace finds nothing in its first process`() async throws {
        try await RunnerBench.run {
            $0.capabilitiesAllowed = ["CAP_SYS_PTRACE"]
        } _: { bench in
            let script = """
                ls -A /proc/1/root/ | wc -l; ls -A /proc/1/root/../../../../ | wc -l
                ls -A /proc/1/cwd/../ | wc -l; ls /proc/1/fd | wc -l
                grep -E 'Cap(Eff|Prm)|NoNewPrivs|Seccomp:' /proc/1/status
                """
            var spec = TaskSpec(command: ["sh", "-c", script])
            spec.options.capabilitiesAdded = ["CAP_SYS_PTRACE"]
            let text = try await bench.output(spec)
            #expect(
                text.replacing("\t", with: " ") == """
                    0
                    0
                    0
                    0
                    CapPrm: 0000000000000000
                    CapEff: 0000000000000000
                    NoNewPrivs: 1
                    Seccomp: 2

                    """)
        }
    }
}
