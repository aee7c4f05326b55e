package exporter

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Local writes the files of a result to a directory: type=local.
type Local struct {
	// Dir is made if it does not exist.
	Dir string
	// Delete removes what is in the directory and not in the result: mode=delete. Else it stays.
	Delete bool
	// Owners keeps owners and devices where the system lets us. Else all files are made by who we are, and
	// devices left out.
	Owners bool
	Files
}

// Write implements Output. Nothing outside of the directory is touched, whatever links are in it or in
// the image. Every file appears whole, but the directory as such does not.
func (o Local) Write(ctx context.Context, r Result) (Written, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return Written{}, fmt.Errorf("writing files: %w", err)
	}
	s, err := newSpool(o.Dir)
	if err != nil {
		return Written{}, err
	}
	notes, err := o.write(ctx, r, s)
	return Written{Notes: notes}, errors.Join(err, s.close())
}

func (o Local) write(ctx context.Context, r Result, s *spool) ([]string, error) {
	t, err := o.tree(ctx, r, s)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(o.Dir)
	if err != nil {
		return nil, err
	}
	defer root.close()
	w := &localWriter{ctx: func() error { return context.Cause(ctx) }, spool: s, root: root, owners: o.Owners, remove: o.Delete, names: firstNames{}}
	if err := w.contents(t.root, root, ""); err != nil {
		return nil, fmt.Errorf("writing files to %s: %w", o.Dir, err)
	}
	return w.lost.notes(), nil
}

// lost counts what could not be written as it is in the image.
type lost struct{ owners, devices, setids, xattrs int }

// notes says it in words.
func (l lost) notes() []string {
	var notes []string
	for _, c := range []struct {
		n    int
		text string
	}{
		{l.owners, "belong to another user in the image"},
		{l.devices, "are devices in the image and were left out"},
		{l.setids, "run as another user or group in the image and do not here"},
		{l.xattrs, "have extended attributes in the image that cannot be set here"},
	} {
		if c.n > 0 {
			notes = append(notes, fmt.Sprintf("%d of the files %s", c.n, c.text))
		}
	}
	return notes
}
