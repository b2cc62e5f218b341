import Cluster
import Model

/// What nodes send, and how it arrives.
extension World {
    func send(
        _ bytes: [UInt8], from machine: Machine, to address: PeerAddress, via channel: Channel
    ) {
        counts.bytes += bytes.count
        recorded?.append(bytes)
        guard let target = resident(of: address) else { return }
        let packet = Packet(
            bytes: bytes, sender: machine.index, senderLife: machine.life,
            receiverLife: target.life)
        let link = network.link(from: machine.index, to: target.index)
        switch channel {
        case .datagram:
            counts.datagrams += 1
            checkSize(bytes, Channel.datagramSizeBytesMax, machine)
            let (first, second) = network.datagram(on: link, at: now)
            if let first { queue.insert(.datagram(packet, to: target.index), at: first) }
            if let second { queue.insert(.datagram(packet, to: target.index), at: second) }
        case .stream:
            counts.frames += 1
            checkSize(bytes, Channel.frameSizeBytesMax, machine)
            // Nobody listens there: the connection is refused.
            guard target.node != nil else { return }
            if let due = network.send(packet, on: link, at: now) {
                queue.insert(.stream(link), at: due)
            }
        }
    }

    /// The machine that has this address; all addresses are 10.x.y.z, and count from 1.
    private func resident(of address: PeerAddress) -> Machine? {
        guard address.ip.count == 4, address.ip[0] == 10, address.port == World.port else {
            return nil
        }
        let number = Int(address.ip[1]) << 16 | Int(address.ip[2]) << 8 | Int(address.ip[3])
        if number == machines.count + 1 { return impostor }
        return (1...machines.count).contains(number) ? machines[number - 1] : nil
    }

    private func checkSize(_ bytes: [UInt8], _ most: Int, _ machine: Machine) {
        if bytes.count > most {
            checker.fail("\(machine.name) sends \(bytes.count) bytes, of \(most) at most", at: now)
        }
    }

    func receive(_ packet: Packet, by machine: Machine, via channel: Channel) {
        let source = place(packet.sender).address
        tell(machine, .received(packet.bytes, from: source, via: channel))
    }

    func look(at link: Int) {
        switch network.look(at: link, at: now) {
        case .idle:
            break
        case .waiting(let until):
            queue.insert(.stream(link), at: until)
        case .lost(let count):
            trace.note("connection \(linkName(link)) given up with \(count) frames", at: now)
            queue.insert(.stream(link), at: now + 1)
        case .arrived(let packet, let next):
            if let next { queue.insert(.stream(link), at: next) }
            let target = place(network.ends(of: link).to)
            guard packet.receiverLife == target.life else {
                // The receiver was restarted: its new life knows nothing of the connection.
                return
            }
            receive(packet, by: target, via: .stream)
        }
    }

    func linkName(_ link: Int) -> String {
        let ends = network.ends(of: link)
        return "\(place(ends.from).name)→\(place(ends.to).name)"
    }

    /// What a dying daemon had sent: none, some or all of it arrives yet, link by link in order,
    /// but without any order towards what its next life sends.
    func flushStreams(of machine: Machine) {
        for (link, frames) in network.abandonStreams(from: machine.index) {
            let target = network.ends(of: link).to
            var due = now
            for frame in frames.prefix(random.crashes.index(below: frames.count + 1)) {
                due += random.crashes.nanoseconds(.zero, .milliseconds(150))
                queue.insert(.orphan(frame, to: target), at: due)
            }
        }
    }
}
