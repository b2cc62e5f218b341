import Cluster
import Model

/// Images: a few are imported on some machines, and tasks need them on any.
extension World {
    /// The node asks something of its machine's image store.
    func perform(_ command: ImageStoreCommand, of machine: Machine) {
        let event = machine.images.perform(
            command, library: library, isFull: machine.disk.isFull)
        let delay = random.disks.nanoseconds(machine.syncMin, machine.syncMax)
        queue.insert(.tell(machine.index, life: machine.life, .image(event)), at: now + delay)
    }

    /// Somebody imports all images, soon.
    func importImages() {
        namedImages = []
        for number in library.images.indices {
            queue.insert(.client(.importImage(number)), at: now)
        }
    }

    /// Imports an image on some machine, and again on others until one has said yes.
    func importImage(_ number: Int) {
        guard !namedImages.contains(number) else { return }
        queue.insert(.client(.importImage(number)), at: now + 5_000_000_000)
        let machine = machines[clients.random.index(below: machines.count)]
        // Nobody gets it from a machine that stays away.
        guard machine.node?.isMember == true, !absentees.contains(machine.index) else { return }
        let image = library.images[number]
        machine.images.add(image)
        ask(
            machine, .nameImage(image.name, image.digest, sizeBytes: 1), for: .nameImage(number))
    }

    /// A container is made from an image only where all of it is.
    func checkImage(of spec: TaskSpec, _ id: ContainerID, on machine: Machine) {
        guard let digest = spec.rootfs.imageDigest, let image = library.image(digest),
            !machine.images.isComplete(image)
        else { return }
        checker.fail("\(machine.name) makes \(id) from an image that is not there", at: now)
    }
}
