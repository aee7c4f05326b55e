//go:build linux

package ops

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

// mkdir returns the layer of a WORKDIR: the directory and its missing parents, which all belong to the
// user. The layer of one that exists is empty.
func (w *Worker) mkdir(ctx context.Context, v *solver.Vertex, op solver.Mkdir, below solver.Tree) (v1.Layer, error) {
	base, err := w.view(below)
	if err != nil {
		return nil, err
	}
	dir, err := snapshot.Resolve(base, op.Path, true)
	if err != nil {
		return nil, err
	}
	if e, err := base.Lstat(dir); err == nil || !notFound(err) {
		if err == nil && e.Kind != snapshot.Directory {
			err = fmt.Errorf("/%s is not a directory", dir)
		}
		return w.Store.NewLayer(ctx, snapshot.Listed(nil), form(v, below)), err
	}
	c := &copier{worker: w, base: base, now: time.Now(), mode: mode{octal: true, bits: op.Mode}}
	if err := checkOwner(v, op.Owner); err != nil {
		return nil, err
	}
	if c.owner, err = copyOwner(base, op.Owner, func(solver.Event) {}); err != nil {
		return nil, err
	}
	made, err := c.parents(dir)
	if err != nil {
		return nil, err
	}
	return w.Store.NewLayer(ctx, w.guarded(v, clamped(snapshot.Listed(made), v.Epoch)), form(v, below)), nil
}
