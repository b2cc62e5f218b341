import Dispatch
import Foundation
import Model

/// Containers out of images.
extension ContainerRunner {
    /// Why a container can't be made from an image.
    enum ImageTrouble: Error {
        /// Never: image and task do not go together.
        case failed(ContainerFailure)
        /// Not here and now; another node may, or this one once it has the image again.
        case unavailable(String)
    }

    /// What a task is once its image has spoken: a plain spec on a plain directory.
    ///
    /// Holds the image until the container is forgotten, unpacks it if that was not done before, and
    /// waits for it. Leaves the stop signal that the image names where `stop` finds it.
    func resolve(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ notes: inout [String]
    ) throws(ImageTrouble) -> TaskSpec {
        guard case .image(let name, let digest) = spec.rootfs else { return spec }
        guard let digest else {
            throw .failed(
                ContainerFailure(code: 125, message: "the image \(name) was never looked up"))
        }
        let root: String
        let image: ImageConfiguration
        do {
            // Before it is known to be whole: from here on nobody removes it to make room.
            try ContainerRunner.wait { [images] () throws(ImageError) in
                try await images.hold(digest)
            }
            update(paths.id) { $0.image = digest }
            root = try ContainerRunner.wait { [images] () throws(ImageError) in
                try await images.unpack(digest)
            }
            image = try ContainerRunner.wait { [images] () throws(ImageError) in
                try await images.configuration(digest)
            }
        } catch {
            let message = "the image \(name): \(error)"
            switch error.code {
            case .notAnImage, .unsafePath, .tooLarge, .otherPlatform, .empty, .missingProgram:
                throw .failed(ContainerFailure(code: 125, message: message))
            default: throw .unavailable(message)
            }
        }
        if let foreigner = images.foreigner(in: digest) {
            guard spec.options.isBestEffort else {
                throw .failed(
                    ContainerFailure(
                        code: 125,
                        message:
                            "the image \(name) has files of its \(foreigner), who is nobody on this "
                            + "node, which an ordinary user runs (`daemon doctor` says how he gets more "
                            + "users); run it elsewhere, or with --best-effort: root has them then")
                )
            }
            notes.append("files of the image's \(foreigner) and others are root's on this node")
        }
        do {
            let process = try ProcessDefaults(image, ProcessWishes(spec))
            if spec.options.stopSignal == nil, !image.stopSignal.isEmpty {
                try Files.write(Array("\(process.stopSignal)".utf8), to: paths.stopSignalFile)
            }
            return process.applied(to: spec, root: root)
        } catch {
            throw .failed(ContainerFailure(code: 125, message: "the image \(name): \(error)"))
        }
    }

    /// Forgets a container, and lets go of its image.
    func forget(_ id: ContainerID) {
        let entry = lock.withLock { entries.removeValue(forKey: id) }
        if let image = entry?.image { images.letGo(image) }
    }

    /// Waits for the store, on a thread that may.
    private static func wait<Value: Sendable>(
        _ body: @escaping @Sendable () async throws(ImageError) -> Value
    ) throws(ImageError) -> Value {
        let answer = Answer<Value>()
        Task {
            do throws(ImageError) {
                answer.give(.success(try await body()))
            } catch {
                answer.give(.failure(error))
            }
        }
        return try answer.take().get()
    }

    /// One result that one thread gives and another one takes.
    private final class Answer<Value: Sendable>: @unchecked Sendable {
        private let isGiven = DispatchSemaphore(value: 0)
        private var result: Result<Value, ImageError>?

        func give(_ result: Result<Value, ImageError>) {
            self.result = result
            isGiven.signal()
        }

        func take() -> Result<Value, ImageError> {
            isGiven.wait()
            return result ?? .failure(ImageError(.failed, "the image store gave no answer"))
        }
    }
}

extension ProcessWishes {
    /// What a spec says about its process.
    init(_ spec: TaskSpec) {
        self.init(command: spec.command)
        entrypoint = spec.options.entrypoint
        environment = spec.environment
        workingDirectory = spec.workingDirectory
        user = spec.options.user
        stopSignal = spec.options.stopSignal.map { "\($0)" }
    }
}

extension ProcessDefaults {
    /// The spec that needs no image any more.
    func applied(to spec: TaskSpec, root: String) -> TaskSpec {
        var spec = spec
        spec.rootfs = .directory(root)
        spec.command = arguments
        spec.environment = environment
        spec.workingDirectory = workingDirectory
        spec.options.user = user.isEmpty ? nil : user
        return spec
    }
}
