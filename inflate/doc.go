// Package inflate decompresses gzip (RFC 1952), which is what nearly all layers are compressed with.
//
// A gzip stream cannot be decompressed on several cores: where one block ends is known only when it has been
// read. How fast one core does it is therefore how fast a layer can be unpacked, and this package does nothing
// else. It looks at eight bytes of input at a time, decodes a symbol by one look into a table in nearly all
// cases, and copies in words. The checks are those of compress/gzip: a stream that it refuses is refused.
package inflate
