internal import ArgumentParser
internal import AsyncHTTPClient
internal import NIOCore
@main enum P { static func main() {} }
