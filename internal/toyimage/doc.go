// Package toyimage makes base images for tests and demonstrations that have no network. Their userland is
// the toybox, the program in testdata/toybox: a shell and some fifty commands.
package toyimage
