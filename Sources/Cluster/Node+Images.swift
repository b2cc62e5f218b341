package import Model

/// What images say, and whom it concerns.
extension Node {
    mutating func images(
        _ event: ImageEvent, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        var effects: [ImageEffect] = []
        images.handle(event, at: now) { effects.append($0) }
        undone += effects.map(PartEffect.images)
        perform(at: now, emit: emit)
    }

    mutating func apply(
        _ effect: ImageEffect, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch effect {
        case .send(let bytes, let peer):
            send(PeerMessage.wrap(image: bytes), to: peer, via: .stream, at: now, emit: emit)
        case .persist(let writes, let ticket):
            emit(.persist(writes, persistence.ticket(for: .images(ticket))))
        case .store(let command):
            emit(.image(command))
        case .ready(let digest):
            for id in (imageWaits.removeValue(forKey: digest) ?? []).sorted() {
                guard let holding = holdings[id] else { continue }
                emit(.container(id, .create(holding.spec)))
            }
        case .unavailable(let digest, let reason):
            for id in (imageWaits.removeValue(forKey: digest) ?? []).sorted() {
                // Nothing has run: another node may have the image, or this one later.
                container(
                    id, .vanished("the image \(digest.short) can't be had: \(reason)"), at: now,
                    emit: emit)
            }
        case .named(let request):
            emit(.reply(request, .accepted))
        case .refused(let request, let refusal):
            emit(.reply(request, .refused(refusal)))
        case .dropped(let reason):
            emit(.observe(.dropped(reason: reason)))
        }
    }

    /// Has a container made, once its image is here.
    mutating func create(
        _ id: ContainerID, _ spec: TaskSpec, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let digest = spec.rootfs.imageDigest else {
            return emit(.container(id, .create(spec)))
        }
        imageWaits[digest, default: []].insert(id)
        images(.need(digest), at: now, emit: emit)
    }

    func isWaitingForImage(_ holding: Holding) -> Bool {
        holding.spec.rootfs.imageDigest.flatMap { imageWaits[$0] }?.contains(holding.id) == true
    }

    /// A container that waits for its image is not made at all.
    mutating func stopWaiting(
        _ holding: Holding, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let digest = holding.spec.rootfs.imageDigest,
            imageWaits[digest]?.remove(holding.id) != nil
        else { return }
        if imageWaits[digest]?.isEmpty == true { imageWaits[digest] = nil }
        let failure = ContainerFailure(code: 125, message: "ended before it was made")
        container(holding.id, .failed(failure), at: now, emit: emit)
    }

    /// The task as it is taken in: the name of an image stands for the image that has it now.
    ///
    /// A repetition means the image that the first submission meant.
    func resolved(_ spec: TaskSpec, like known: TaskSpec?) throws(Refusal) -> TaskSpec {
        guard case .image(let name, nil) = spec.rootfs else { return spec }
        var spec = spec
        if case .image(name, let digest?)? = known?.rootfs {
            spec.rootfs = .image(name, digest)
            return spec
        }
        guard let digest = images.catalog[name]?.digest else {
            throw Refusal(
                .notFound,
                "there is no image \(name) in the cluster; `client image import FILE \(name)` or "
                    + "`client image pull \(name)` brings it, `client image ls` shows what there is"
            )
        }
        spec.rootfs = .image(name, digest)
        return spec
    }

    /// The cluster's images by name, as far as this node knows.
    package var imageNames: [(name: ImageName, entry: ImageEntry)] {
        images.catalog.rows.filter { $0.entry.digest != nil }.map { ($0.name, $0.entry) }
    }

    /// Whether the store must not drop the image to make room.
    package func mustKeep(_ digest: ImageDigest) -> Bool {
        let origins = images.catalog.origins(of: digest)
        if origins.contains(id) { return true }
        if holdings.values.contains(where: { $0.spec.rootfs.imageDigest == digest }) {
            return true
        }
        return !origins.isEmpty && images.isKeeper(of: digest)
    }
}
