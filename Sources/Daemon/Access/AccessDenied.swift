import ControlAPI
import HTTPTypes

/// Why a request may not be answered: what is missing, and how to get it.
struct AccessDenied: Error {
    let status: HTTPResponse.Status
    let code: String
    let message: String

    static let noToken = AccessDenied(
        status: .unauthorized, code: "unauthorized",
        message: "this node wants a token: log in with 'client login HOST:PORT'; "
            + "'daemon api-token' on the node makes one")

    static let wrongToken = AccessDenied(
        status: .unauthorized, code: "unauthorized",
        message: "this node does not know the token: tokens are good on the node that has made "
            + "them; make one there with 'daemon api-token'")

    static func spent(_ record: APITokenRecord, _ what: String) -> AccessDenied {
        AccessDenied(
            status: .unauthorized, code: "unauthorized",
            message: "the token \(record.name) \(what); make a new one with 'daemon api-token'")
    }

    static let tooManyWrong = AccessDenied(
        status: .tooManyRequests, code: "overloaded",
        message: "too many wrong tokens came from this address; try again in a minute")

    static func tooLittle(_ record: APITokenRecord, needs role: APIRole) -> AccessDenied {
        AccessDenied(
            status: .forbidden, code: "forbidden",
            message: "this needs the role \(role.rawValue), and the token \(record.name) has "
                + "\(record.role.rawValue); make another one with 'daemon api-token --role "
                + "\(role.rawValue)'")
    }
}
