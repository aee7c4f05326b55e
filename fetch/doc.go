//go:build linux

// Package fetch brings files from elsewhere into a directory: downloads, git repositories and archives.
//
// [HTTP] downloads URLs, [Git] checks out commits, [Archive] unpacks tar archives. What the first two bring
// is kept between builds, so that a second build moves nothing that has not changed.
//
// # What is kept
//
// Below the directory of an [HTTP] or a [Git] there are
//
//	kept/KEY/tree     the files, complete and never changed again
//	kept/KEY/record   what they looked like when they were complete
//	index/KEY         which of them an address had the last time, and how to ask whether it still has
//	repositories/KEY  a bare repository for every remote
//	locks/KEY         locked by who makes one of the above
//	tmp/NAME          what is being made, locked by who makes it
//	known_hosts       the keys of ssh servers that were believed the first time
//
// Everything is made in tmp and renamed, so that what exists is complete; whatever a process that was
// killed has left in tmp is removed by the next one. All locks are flock(2) locks, which end with the process.
// A tree in use is locked shared until [HTTP.Close] or [Git.Close]; [Remove] takes nothing that is locked.
//
// Before a kept tree is used again, size, mode, inode and modification time of everything in it are compared
// with the record. A tree that is damaged is made anew, never used.
//
// # What is trusted
//
// Nothing that comes from the network is: neither where redirects lead, nor the names in archives, nor what
// a repository holds. Credentials go to the scheme, host and port that they were given for and nowhere else,
// and are in no error, no progress text and no argument of a process.
package fetch
