import Cluster
import Gossip
import Logging
import Model
import NodeIO

/// The node's key, renewed while it runs.
extension NodeDriver {
    /// The key that is to take the place of the present one; on disk before it is used.
    func nextKey() async throws -> NodeKey {
        do {
            return try KeyFiles(path: dataDirectory).drawNextKey()
        } catch {
            throw Refusal(.storage, "the new key could not be written (\(error))")
        }
    }

    /// The node speaks under this key now, on streams too.
    func keep(_ key: PublicKey) {
        let files = KeyFiles(path: dataDirectory)
        do {
            try files.keep(key)
            logger.info("key renewed", metadata: ["key": "\(key.id)"])
        } catch {
            // The next start finds both, and the database says which of them counts.
            logger.error("the renewed key could not take its place: \(error)")
        }
        do {
            guard let seed = try files.seed(of: key) else { return }
            transport.replaceIdentity(try StreamIdentity(seed: seed))
        } catch {
            logger.error("streams go on under the former key, which others refuse: \(error)")
        }
    }
}
