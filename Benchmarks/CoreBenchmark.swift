import ArgumentParser
import Foundation
import Gossip
import Model

/// Parts of the core alone, on one thread, without sockets or disks.
struct CoreBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "core", abstract: "Signatures, encryption, and the codec of specs.")

    @Option(help: "How many operations of each kind are timed.") var count = 5_000

    func run() throws {
        let key = NodeKey(seed: [UInt8](repeating: 7, count: NodeKey.seedSizeBytes))
        let message = [UInt8](repeating: 42, count: 1_200)
        let signature = key.sign(message)
        let scheme = Ed25519()
        let secret = scheme.keyPair(seed: [UInt8](repeating: 8, count: NodeKey.seedSizeBytes))
            .secret
        let nonce = [UInt8](repeating: 1, count: 24)
        let shared = scheme.agree(secret: secret, with: key.publicKey) ?? []
        let encrypted = scheme.encrypt(message, key: shared, nonce: nonce)
        var spec = TaskSpec(command: ["sh", "-c", "echo hello"])
        spec.environment = ["A=1", "B=2"]
        let encoded = spec.encoded
        let report: [String: Double] = [
            "sign_us": time { _ = key.sign(message) },
            "verify_us": time { _ = scheme.verify(signature[...], of: message, by: key.publicKey) },
            "agree_us": time { _ = scheme.agree(secret: secret, with: key.publicKey) },
            "encrypt_us": time { _ = scheme.encrypt(message, key: shared, nonce: nonce) },
            "decrypt_us": time { _ = scheme.decrypt(encrypted[...], key: shared, nonce: nonce) },
            "spec_encode_us": time { _ = spec.encoded },
            "spec_decode_us": time { _ = try? TaskSpec(decoding: encoded) },
        ]
        print(
            String(
                decoding: try JSONSerialization.data(
                    withJSONObject: report, options: [.prettyPrinted, .sortedKeys]),
                as: UTF8.self))
    }

    /// Microseconds for one operation, over `count` of them.
    private func time(_ operation: () -> Void) -> Double {
        let elapsed = ContinuousClock().measure {
            for _ in 0..<count { operation() }
        }
        return tenth(elapsed / .microseconds(1) / Double(count))
    }
}
