//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/seed-298d225e/builder/frontend"
)

// epochArg is the build argument that says what time it is (reproducible-builds.org).
const epochArg = "SOURCE_DATE_EPOCH"

// settleEpoch decides about the time of everything, if --reproducible asks for that: what is said, else the time of
// the commit of the context, else 0. The files of a directory get that very time, because their own say when it was
// copied to this machine and not what is in it.
func (b *build) settleEpoch(ctx context.Context) {
	if !b.reproducible {
		return
	}
	if b.buildArgs[epochArg] == "" {
		b.buildArgs[epochArg] = b.commitTime(ctx)
	}
	if seconds, err := strconv.ParseInt(b.buildArgs[epochArg], 10, 64); err == nil {
		b.contextEpoch = &seconds
	}
}

// commitTime is the time of the commit of the context, as the value of SOURCE_DATE_EPOCH.
func (b *build) commitTime(ctx context.Context) string {
	if info, err := os.Stat(b.context); err == nil && info.IsDir() {
		seconds, err := askGit(ctx, b.context, "log", "-1", "--format=%ct")
		if err == nil && seconds != "" {
			return seconds
		}
		if err != nil && inRepository(b.context) {
			b.notice(fmt.Sprintf("the time of everything is 0 and not that of the commit: %v; --build-arg %s=SECONDS sets it", err, epochArg))
		}
		return "0"
	}
	if _, git, err := frontend.ParseGitRef(b.context); git && err == nil {
		return "context"
	}
	return "0"
}
