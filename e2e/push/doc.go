// Package push tests how the program pushes and pulls when the network and the registries misbehave: against
// Debian's docker-registry behind a proxy that injects faults, and against the registries of
// go-containerregistry and of CUE, which share no code with it or with each other.
package push
