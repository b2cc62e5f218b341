/// The description of the HTTP API that is kept in `openapi.json` and built into the program.
package enum APIDescription {
    /// The document's bytes: JSON in UTF-8, OpenAPI 3.1.
    package static var openAPI: [UInt8] { PackageResources.openapi_json }
}
