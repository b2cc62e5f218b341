import Cluster
import Gossip
import Model

/// Events and effects in a line each, for people who read a trace.
enum Description {
    static func of(_ event: NodeEvent) -> String {
        switch event {
        case .received(let bytes, let source, let channel):
            "received \(size(bytes)) from \(name(source)) \(name(channel)): \(packet(bytes, channel))"
        case .persisted(let ticket): "persisted \(ticket.value)"
        case .persistFailed(let ticket, let reason): "persist \(ticket.value) failed: \(reason)"
        case .container(let id, let event): "container \(id) \(of(event))"
        case .request(let id, let request): "request \(id.value) \(of(request))"
        case .logRead(let id, let chunk): "log read \(id.value) \(chunk == nil ? "nothing" : "")"
        case .image(let event): "image store \(of(event))"
        case .measured(let id, _): "measured \(id.value)"
        case .called(let id, _): "called \(id.value)"
        case .wallClock(let time): "wall clock \(time.milliseconds)"
        case .pressure(let pressure): "pressure, disk full: \(pressure.isDiskFull)"
        case .deadlineReached: "deadline"
        }
    }

    static func of(_ effect: NodeEffect) -> String {
        switch effect {
        case .send(let bytes, let target, _, let channel):
            "send \(size(bytes)) to \(name(target)) \(name(channel)): \(packet(bytes, channel))"
        case .persist(let writes, let ticket):
            "persist \(ticket.value): \(writes.map(of).joined(separator: ", "))"
        case .container(let id, let command): "container \(id) \(of(command))"
        case .armGuard(let deadline): "guard until \(deadline.nanoseconds)"
        case .readLog(let id, let container, _, _): "read log \(id.value) of \(container)"
        case .image(let command): "image store \(of(command))"
        case .logCopy(let id, let command): "copy of the log of \(id): \(of(command))"
        case .measure(let id, let container): "measure \(id.value) of \(container)"
        case .call(let id, let container, _, _): "call \(id.value) to \(container)"
        case .reply(let id, let reply): "reply \(id.value) \(of(reply))"
        case .observe(let observation): "observe \(observation)"
        case .stop(let reason): "stop: \(reason)"
        case .keepKey(let key): "keep key \(key.id)"
        }
    }

    private static func of(_ command: LogCopyCommand) -> String {
        switch command {
        case .keep(let chunk): "keep up to \(chunk.next.segment)-\(chunk.next.offset)"
        case .read(let id, _): "read \(id.value)"
        case .remove: "remove"
        }
    }

    private static func of(_ write: DurableWrite) -> String {
        switch write {
        case .put(let space, let key, let value):
            "\(space)[\(hexadecimal(key))] = \(value.count) B"
        case .delete(let space, let key): "\(space)[\(hexadecimal(key))] deleted"
        case .deleteRange(let space, let from, let to):
            "\(space)[\(hexadecimal(from))..<\(to.map(hexadecimal) ?? "")] deleted"
        }
    }

    private static func of(_ event: ImageStoreEvent) -> String {
        switch event {
        case .stock(let digest, .complete): "has \(digest.short)"
        case .stock(let digest, .lacks(let parts)): "lacks \(parts.count) of \(digest.short)"
        case .read(let read, let chunk): "read \(read.value): \(chunk?.bytes.count ?? 0) B"
        case .written(_, let part, let result): "wrote \(part.short): \(result)"
        case .dropped(let digest): "dropped \(digest.short)"
        }
    }

    private static func of(_ command: ImageStoreCommand) -> String {
        switch command {
        case .check(let digest): "check \(digest.short)"
        case .read(let read, let part, let offset):
            "read \(read.value) of \(part.short) from \(offset)"
        case .write(_, let part, let chunk):
            "write \(chunk.bytes.count) B of \(part.short) at \(chunk.offset)"
        }
    }

    private static func of(_ event: ContainerEvent) -> String {
        switch event {
        case .created: "created"
        case .started: "started"
        case .exited(let status): "exited \(status.code)"
        case .failed(let failure): "failed \(failure.code): \(failure.message)"
        case .noted(let text): "noted: \(text)"
        case .used: "used"
        case .vanished: "vanished"
        }
    }

    private static func of(_ command: ContainerCommand) -> String {
        if case .create(let spec) = command {
            return "create \(spec.command.joined(separator: " "))"
        }
        return "\(command)"
    }

    private static func of(_ request: NodeRequest) -> String {
        switch request {
        case .submit(let spec, let id, let ack):
            "submit \(id.map(\.description) ?? "") \(spec.command.joined(separator: " ")), "
                + "\(spec.restart), \(spec.onPartition), ack \(ack)"
        case .join: "join"
        case .rotateKey: "rotate key"
        default: "\(request)"
        }
    }

    private static func of(_ reply: NodeReply) -> String {
        switch reply {
        case .submitted(let id, let copies): "submitted \(id), \(copies) copies"
        case .token: "token"
        case .refused(let refusal): "refused (\(refusal.code)): \(refusal.message)"
        case .accepted, .log, .usage, .call, .joined, .evicted: "\(reply)"
        }
    }

    private static func size(_ bytes: [UInt8]) -> String { "\(bytes.count) B" }
    private static func name(_ channel: Channel) -> String { channel == .stream ? "tcp" : "udp" }

    private static func name(_ address: PeerAddress) -> String {
        guard address.ip.count == 4 else { return address.description }
        return "n\(Int(address.ip[1]) << 16 | Int(address.ip[2]) << 8 | Int(address.ip[3]))"
    }

    private static func packet(_ bytes: [UInt8], _ channel: Channel) -> String {
        String(PacketInspection.describe(bytes, via: channel).prefix(700))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
