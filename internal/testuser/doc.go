// Package testuser runs tests as an ordinary user, which is what the users of the program are. A test binary
// that root has started makes such a user and starts itself again as that user; one that an ordinary user has
// started just runs.
package testuser
