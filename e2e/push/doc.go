// Package push tests how the program pushes and pulls when the network and the registries misbehave: against
// Debian's docker-registry behind a proxy that injects faults, and against the registry of
// go-containerregistry, which shares no code with it.
package push
