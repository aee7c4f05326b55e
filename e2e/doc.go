// Package e2e tests the program as its users run it: as an ordinary user, in a process of its own, against a
// real registry.
//
// The scripts in testdata/script need nothing but this source: their images are made of the toybox. With the
// build tag e2e there are tests too that build on Debian, which needs Debian's packages and a mirror of them.
package e2e
