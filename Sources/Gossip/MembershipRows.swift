import Model

/// What membership keeps on disk.
enum MembershipRows {
    static let genesisKey: [UInt8] = [1]
    private static let admissionPrefix: UInt8 = 1
    private static let memberPrefix: UInt8 = 2

    static func admission(_ admission: Admission) -> DurableWrite {
        .put(
            .membership, key: [admissionPrefix] + admission.nodeKey.id.value.bytes,
            value: admission.encoded)
    }

    static func member(_ alive: AliveStatement) -> DurableWrite {
        .put(.membership, key: [memberPrefix] + alive.subject.value.bytes, value: alive.encoded)
    }

    static func read(
        _ rows: [DurableImage.Row]
    ) throws(CodecError) -> (admissions: [Admission], members: [AliveStatement]) {
        var admissions: [Admission] = []
        var members: [AliveStatement] = []
        for row in rows {
            switch row.key.first {
            case admissionPrefix: admissions.append(try Admission(decoding: row.value))
            case memberPrefix: members.append(try AliveStatement(decoding: row.value))
            default: throw .malformed
            }
        }
        return (admissions, members)
    }
}

extension Membership {
    /// Members of an earlier life are suspects until they answer; all are asked at once.
    mutating func restore(_ image: DurableImage, at now: Instant) throws(CodecError) {
        for row in image[.identity] where row.key == MembershipRows.genesisKey {
            ring = KeyRing(genesis: try Genesis(decoding: row.value), scheme: scheme)
        }
        let (admissions, members) = try MembershipRows.read(image[.membership])
        _ = ring?.add(contentsOf: admissions)
        for alive in members {
            if alive.subject == id {
                own.incarnation = alive.incarnation < .max ? alive.incarnation + 1 : .max
                continue
            }
            guard let metadata = try? NodeMetadata(decoding: alive.metadata) else { continue }
            var member = Member(
                alive: alive, metadata: metadata, state: .suspect, stateSince: now)
            member.suspicion = newSuspicion(by: id, at: now, count: members.count)
            place(member)
            urgentProbes.append(alive.subject)
        }
        if !members.isEmpty {
            schedule.probe = now
            schedule.exchange = now
        }
    }
}
