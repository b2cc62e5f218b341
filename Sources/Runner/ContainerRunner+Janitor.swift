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
            cgroups.names(below: "/magpie-\(configuration.groupName)"),
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

    private func removeOrphan(_ paths: ContainerPaths) {
        destroy(paths)
        cgroups.remove(paths.group)
        Files.remove("\(configuration.runDirectory)/runtime/\(paths.id)")
        Files.remove(paths.layer)
        Files.remove(paths.exitFile)
    }
}
