// Command bench measures whole builds, side by side: builder and the peers that are on this machine.
//
// Every scenario is a context that [generate.go] writes, the same bytes for the same seed. The peers take turns,
// so that whatever else the machine does meets all of them, and what counts is the median. Measured are the wall
// clock, the processor time of all processes, the peak of the memory of the peer's own processes (not of the
// commands that a build runs), and the bytes that went over the wire to and from the registry.
//
//	go run ./bench -out docs/SPEED
//
// writes docs/SPEED.json and docs/SPEED.svg and prints a table. A peer that is not there, or cannot do a
// scenario, is left out and the table says why. Peers are found on PATH:
//
//	builder    builder, or what -builder names
//	buildkit   rootlesskit, buildkitd and buildctl: a daemon that is warm; BUILDKIT_HOST names one that runs already
//	daemonless the same, started and stopped for every build
//	buildah    buildah
//	kaniko     kaniko-executor, in a root directory of its own (as root only)
//
// As root, -user names the ordinary user that everything but kaniko runs as.
package main
