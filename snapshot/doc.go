// Package snapshot keeps trees at rest on disk and turns them into layers and back.
//
// A tree is a list of layers, the lowest first. A layer has three forms: a stream of entries (Entry), a
// directory in the store, and a packed blob. Each is made from another when it is first asked for, once
// (see Layer): a layer that nobody ships is never packed, one that nobody runs on is never unpacked.
//
// A tree is read through a View, which merges the layers without mounting or copying anything. To run a command
// in it, Prepare makes it writable, and Commit returns what the command changed as one more layer. Two drivers
// do that:
//
//   - overlay mounts the directories of the layers upon each other. What is written lands in the upper
//     directory, which becomes that of the new layer.
//   - plain copies the files into one directory, for machines where nothing may be mounted, and for stores on file
//     systems that overlayfs does not accept. It finds out what was changed and copies that into the upper
//     directory, in the form in which overlayfs would have left it there.
//
// From there on there is one way only: Diff tells what the upper directory adds to the tree below. So a layer
// does not depend on the driver, on what else was unpacked, or on how the files came to be as they are.
//
// In a directory of the store a whiteout is a character device 0:0 or a marked file (see mark), an owner that
// the machine does not have stands in an attribute (package ownership), and so does a device. Everything in the
// store appears under its final name only when it is whole; see Store.
package snapshot
