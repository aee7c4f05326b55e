package main

// foreignCalls are none: there is no other ABI.
func foreignCalls(uintptr) []call { return nil }
