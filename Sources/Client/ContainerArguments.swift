import ArgumentParser
import ControlAPI

/// Options of `client run` that say how a task is set up and how far it is shut in.
struct ContainerArguments: ParsableArguments {
    @Option(
        name: [.customShort("u"), .long],
        help: "USER[:GROUP], names or numbers, as its root file system knows them (default: root).")
    var user: String?
    @Option(help: "The name of the machine that it sees (default: magpie).")
    var hostname: String?
    @Flag(
        name: .customLong("init"), inversion: .prefixedNo,
        help: "An init process reaps what it leaves behind (always so).")
    var hasInit = true
    @Option(
        help: "A program that takes the place of the image's entrypoint; '' for none.")
    var entrypoint: String?
    @Option(help: "The signal that asks it to end, by name or number (default: TERM).")
    var stopSignal: String?
    @Option(help: "none (default, with loopback) or host, where the node allows that.")
    var network: String?
    @Option(help: "PATH[:size=SIZE]: an empty file system in memory; may be repeated.")
    var tmpfs: [String] = []
    @Flag(help: "Its users are its own: root in it is nobody on the node.")
    var userns = false
    @Flag(help: "It can't write to its root file system.")
    var readOnly = false
    @Option(help: "A capability that it goes without, such as CHOWN, or ALL; may be repeated.")
    var capDrop: [String] = []
    @Option(help: "A capability on top, or ALL, as far as the node allows it; may be repeated.")
    var capAdd: [String] = []
    @Option(help: "NAME=SOFT[:HARD], such as nofile=1024:2048; may be repeated.")
    var ulimit: [String] = []
    @Option(help: "The size of /dev/shm (default: 64M).")
    var shmSize: String?
    @Option(help: "How much it may write to its root file system, such as 2G (default: no limit).")
    var disk: String?
    @Flag(help: "Run also where a limit can't be enforced; status says so then.")
    var bestEffort = false

    func read(into spec: inout SpecView) throws {
        guard hasInit else {
            throw ClientFailure(
                "run: --no-init: every task has an init process, with which it ends; the program "
                    + "is never process 1", code: 125)
        }
        (spec.user, spec.hostname, spec.stopSignal) = (user, hostname, stopSignal)
        spec.entrypoint = entrypoint.map { [$0] }
        spec.network = network
        if !tmpfs.isEmpty { spec.tmpfs = tmpfs }
        if readOnly { spec.readOnly = true }
        if userns { spec.userns = true }
        if !capDrop.isEmpty { spec.capDrop = capDrop }
        if !capAdd.isEmpty { spec.capAdd = capAdd }
        if !ulimit.isEmpty { spec.ulimits = ulimit }
        spec.shmSize = try RunCommand.reading("--shm-size", shmSize, Quantities.bytes)
        spec.disk = try RunCommand.reading("--disk", disk, Quantities.bytes)
        if bestEffort { spec.bestEffort = true }
    }
}
