//go:build linux

package main

import (
	"context"
	"io"
	"os"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/frontend"
)

// answer is what --call gives instead of an image.
type answer interface {
	Print(w io.Writer) error
}

// call answers a question about the Dockerfile without building it. ok is false if the answer is a bad one.
func (b *build) call(ctx context.Context) (ok bool, err error) {
	if err := b.open(ctx, b.buildOptions); err != nil {
		return false, err
	}
	if b.method == callGraph {
		return true, b.graph(ctx)
	}
	if b.method == callLock {
		return true, b.lock(ctx)
	}
	if b.source, err = b.readSource(ctx); err != nil {
		return false, err
	}
	request := b.request(b.platforms[0])
	ok = true
	var a answer
	switch b.method {
	case callCheck:
		c := frontend.Check(ctx, request, b)
		ok = !c.Failed()
		a = c
	case callOutline:
		a, err = frontend.Outline(ctx, request, b)
	case callTargets:
		a, err = frontend.Targets(request)
	}
	if err != nil {
		return false, err
	}
	if !b.json {
		return ok, a.Print(display.Safe(os.Stdout))
	}
	return ok, printJSON(a)
}

// What --call can ask for.
const (
	callBuild   = "build"
	callCheck   = "check"
	callOutline = "outline"
	callTargets = "targets"
	callGraph   = "graph" // builder dag
	callLock    = "lock"  // builder lock
)
