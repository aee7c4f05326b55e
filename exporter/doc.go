// Package exporter makes images out of configs and layers, and puts them where they are wanted.
//
// [Image] makes an image, [Index] makes one of several. A [Result] is one or the other, and an [Output]
// takes it: a [Registry], a [Layout] directory, an [Archive] that docker, podman or containerd load, a
// [Local] directory or a [Tar] of the files. Nothing is compressed here: layers come as they are to be
// shipped, and everything about them may be asked of them as soon as it is known.
//
// # Whole or not at all
//
// A file appears under its name when it is complete. A registry's tags, a layout's index.json and the
// files of a local directory change last, after everything they depend on is in place.
//
// # Files
//
// The file tree of an image exists only on paper before it is written: its layers are laid one over
// another in memory, with names, links and whiteouts resolved there and the content set aside. What comes
// out is then written in one go. So no layer can make anything outside of the destination exist, change or
// vanish, and a destination with links planted in it does not matter, because no link in it is followed.
package exporter
