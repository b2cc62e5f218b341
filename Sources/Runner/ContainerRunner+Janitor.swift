import Glibc
import Model

/// Finds what earlier lives have left behind, and removes it.
///
/// A container's bundle is made first and removed last but for its exit file, so that whatever has
/// no bundle belongs to no container: the machine was restarted (`/run` is empty then), or a removal
/// was cut short. Only for a runner that has not made containers yet.
extension ContainerRunner {
    func removeOrphans() {
        let names = Files.names(in: "\(configuration.runDirectory)/bundles")
        let known = Set(names.compactMap { ContainerID($0) })
        let places = [
            Files.names(in: "\(configuration.runDirectory)/runtime"),
            Files.names(in: "\(configuration.runDirectory)/exits"),
            Files.names(in: "\(configuration.dataDirectory)/layers"),
            cgroups.names(below: configuration.nodeGroup),
        ]
        let found = Set(places.joined().compactMap { ContainerID($0) })
        for id in found.subtracting(known).sorted() {
            removeOrphan(ContainerPaths(id, configuration))
        }
        for name in Files.names(in: "\(configuration.dataDirectory)/logs") {
            guard let id = ContainerID(name), !known.contains(id) else { continue }
            // Nobody writes into it any more: whoever reads it learns of its end.
            let mark = ContainerPaths(id, configuration).endedMark
            if !Files.exists(mark) { try? Files.write([], to: mark) }
        }
    }

    /// Makes the directory in which an ordinary user's node keeps what a reboot wipes out for root, and
    /// removes those of earlier boots of the machine.
    ///
    /// - Throws: `RunnerError` for root where an ordinary user has containers: they would be nobody's.
    static func claim(_ configuration: RunnerConfiguration) throws(RunnerError) {
        let runDirectory = RunnerConfiguration.ordinaryRunDirectory(
            for: configuration.dataDirectory)
        guard configuration.ordinaryUser != nil else {
            guard Files.names(in: "\(runDirectory)/bundles").isEmpty else {
                throw RunnerError(
                    "--data-dir \(configuration.dataDirectory): has containers of an ordinary user; run "
                        + "the daemon as that user, or let him end them by `daemon purge`")
            }
            return
        }
        let parts = runDirectory.split(separator: "/", omittingEmptySubsequences: false)
        let above = parts.dropLast().joined(separator: "/")
        for name in Files.names(in: above) where name != parts.last.map(String.init) {
            Files.remove("\(above)/\(name)")
        }
        try Files.makeDirectory(runDirectory)
        try OrdinaryUser.leaveMark(in: runDirectory)
    }

    private func removeOrphan(_ paths: ContainerPaths) {
        destroy(paths)
        cgroups.remove(paths.group)
        Files.remove("\(configuration.runDirectory)/runtime/\(paths.id)")
        Files.remove(paths.layer)
        Files.remove(paths.exitFile)
    }
}
