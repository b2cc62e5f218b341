import Cluster
import ControlAPI
import Gossip
import Lock
package import Model
import Raft
import Runner

/// All decoders there are: each target lists its own.
package enum DecoderTable {
    /// In the order of the targets, and there of their names.
    package static let all: [ByteDecoder] =
        ModelDecoders.all + GossipDecoders.all + RaftDecoders.all + LockDecoders.all
        + ClusterDecoders.all + RunnerDecoders.all + ControlAPIDecoders.all

    /// The decoder of this name.
    package static func named(_ name: String) -> ByteDecoder? { all.first { $0.name == name } }
}

extension ByteDecoder {
    /// The name as that of a file.
    package var fileName: String { name.split(separator: ", ").joined(separator: "-") }
}
