// Package registry is registries as users meet them: credentials, mirrors, and transfers that survive faults.
//
// One [Client] serves a process. It resolves names to images, hands out their layers without moving a byte,
// and pushes blobs and manifests through a [Pusher]. [Handler] is a registry of our own on a directory.
//
// # What is believed
//
// Nothing a registry says is taken on trust. A manifest is what hashes to its digest, is one kind of thing
// only, and is said to be that by its Content-Type, by its own mediaType and by whatever points at it. A
// config is checked for size and digest and must have as many diff IDs as the image has layers. A blob is
// checked for size while it streams, and its last bytes are given out only when its digest is right. A
// tag is resolved once in a process; after that everything goes by digest.
//
// # Who gets credentials
//
// The host they were given for, under the scheme it was asked with, and the token server it names. A
// redirect or an upload location elsewhere gets none, https never becomes http, and no answer can make the
// client talk to a link-local address, where clouds keep their metadata.
//
// # What is tried again
//
// What may be different next time: overload, server errors, connections that break or stand still. A
// download goes on where it stopped, an upload where the registry says it stopped. Every wait is random,
// bounded, and can be cancelled.
//
// Connections are HTTP/1.1. Several registries are slow with many streams in one connection, and a
// limit of connections is only one if connections carry one transfer each.
package registry
