//go:build linux

package main

import (
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// hostname is what commands find, as with BuildKit: the same everywhere, so that it tells nothing.
const hostname = "buildkitsandbox"

// request says what is to be built for a platform.
func (b *build) request(p v1.Platform) frontend.Request {
	return frontend.Request{
		Dockerfile: b.source.dockerfile, Filename: b.source.filename, Target: b.target,
		BuildArgs: b.buildArgs, Labels: b.labels, Platform: p, BuildPlatform: platforms.Host(),
		PlatformImplicit: b.implicit, Hostname: hostname, Contexts: slices.Sorted(maps.Keys(b.contexts)),
		Context: b.source.context, IgnorePatterns: b.source.ignore, NoCache: b.noCache, NoCacheStages: b.noCacheFilter,
		Network: b.network, Hosts: b.hosts, Limits: b.limits,
		AllowInsecure: b.allowInsecure, AllowHostNetwork: b.allowHostNetwork, Warn: b.warn, RewriteTimes: b.rewriteTimes(),
	}
}

// warn shows what a check has found.
func (b *build) warn(w frontend.Warning) {
	b.display.Emit(solver.Event{
		Time: time.Now(), Action: solver.ActionWarning, Text: w.Rule + ": " + w.Detail, Step: solver.Step{Location: w.Location},
	})
}
