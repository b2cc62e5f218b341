internal import ArgumentParser
internal import GRDB
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOPosix
@main enum P { static func main() {} }
