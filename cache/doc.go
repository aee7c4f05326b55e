// Package cache remembers the results of steps: key → layer.
//
// A cache may be wrong in one way only, by forgetting. A record that cannot be read, is damaged or
// was made by another version is a miss, and so is one whose layer is gone.
//
// # Tiers
//
// [Dir] is the cache of this machine. Behind it there may be shared caches, each a [Remote]: a registry, a
// bucket of an S3 server, the cache of GitHub Actions, an image layout in a directory, or an image that
// carries its own records. [Tiers] puts them together. A shared cache has one small document for each key,
// which several writers can add at once because none has a list of the others, and the layers that
// the documents name, which are only fetched when a step has to read them.
//
// # Whose word it is
//
// Who can write to a shared cache decides what the steps of builds that read it result in, as somebody
// who can push a base image does. That is all: the layers are checked against the digests in the
// documents and against their content IDs before anything of them is used, and what came from a shared cache
// is marked in the records of this machine, so that a build that does not name that cache never sees it.
package cache
