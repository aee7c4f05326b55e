//go:build linux

package main

import (
	"context"
	"os"
	"strconv"

	"github.com/seed-298d225e/builder/frontend"
)

// epochArg is the build argument that says what time it is (reproducible-builds.org).
const epochArg = "SOURCE_DATE_EPOCH"

// settleEpoch decides about the time of everything, if --reproducible asks for that: what is said, else the time of
// the commit of the context, else 0. The files of a directory get that very time, because their own say when it was
// copied to this machine and not what is in it.
func (o *buildOptions) settleEpoch(ctx context.Context) {
	if !o.reproducible {
		return
	}
	if o.buildArgs[epochArg] == "" {
		o.buildArgs[epochArg] = o.commitTime(ctx)
	}
	if seconds, err := strconv.ParseInt(o.buildArgs[epochArg], 10, 64); err == nil {
		o.contextEpoch = &seconds
	}
}

// commitTime is the time of the commit of the context, as the value of SOURCE_DATE_EPOCH.
func (o *buildOptions) commitTime(ctx context.Context) string {
	if info, err := os.Stat(o.context); err == nil && info.IsDir() {
		if seconds, ok := askGit(ctx, o.context, "log", "-1", "--format=%ct"); ok && seconds != "" {
			return seconds
		}
		return "0"
	}
	if _, git, err := frontend.ParseGitRef(o.context); git && err == nil {
		return "context"
	}
	return "0"
}
