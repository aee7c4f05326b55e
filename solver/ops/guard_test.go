//go:build linux

package ops

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/guard"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
)

const token = "s3cr3t-t0ken"

func regular(path, content string) *snapshot.Entry {
	return &snapshot.Entry{
		Path: path, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

// readAll reads a layer as who packs it does.
func readAll(entries snapshot.Entries) error {
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Open == nil {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return err
		}
		if _, err := io.ReadAll(r); err != nil {
			return err
		}
	}
	return nil
}

// A secret is found wherever in an entry it is, and told with the path of the file.
func TestGuarded(t *testing.T) {
	for name, tt := range map[string]struct {
		entry *snapshot.Entry
		path  string
	}{
		"nothing":   {regular("etc/motd", "welcome to the machine"), ""},
		"content":   {regular("etc/conf", "a = "+token+"\n"), "etc/conf"},
		"name":      {regular("tmp/"+token, ""), "tmp/***"},
		"link":      {&snapshot.Entry{Path: "l", Kind: snapshot.Symlink, Link: "/" + token}, "l"},
		"attribute": {&snapshot.Entry{Path: "d", Kind: snapshot.Directory, Xattrs: map[string]string{"user.note": token}}, "d"},
		"whiteout":  {&snapshot.Entry{Path: "gone/" + token, Kind: snapshot.Whiteout}, "gone/***"},
	} {
		t.Run(name, func(t *testing.T) {
			errLeak := errors.New("leak")
			var found []Leak
			v := solver.NewVertex(solver.Vertex{Op: solver.Mkdir{Path: "/"}})
			w := &Worker{Guard: guard.New(map[string][]byte{"token": []byte(token)})}
			w.Leaked = func(l Leak) error { found = append(found, l); return errLeak }
			err := readAll(w.guarded(v, snapshot.Listed([]*snapshot.Entry{regular("first", "x"), tt.entry})))
			switch {
			case tt.path == "" && (err != nil || found != nil):
				t.Errorf("found %v, %v", found, err)
			case tt.path != "" && (!errors.Is(err, errLeak) || len(found) != 1 || found[0] != Leak{v, "token", tt.path}):
				t.Errorf("found %v, %v, want %s", found, err, tt.path)
			}
			w.Leaked = func(Leak) error { return nil }
			if err := readAll(w.guarded(v, snapshot.Listed([]*snapshot.Entry{tt.entry}))); err != nil {
				t.Errorf("permitted: %v", err)
			}
		})
	}
}

// Without secrets a layer is left as it is.
func TestUnguarded(t *testing.T) {
	e := regular("f", token)
	for got, err := range (&Worker{}).guarded(nil, snapshot.Listed([]*snapshot.Entry{e})) {
		if got != e || err != nil {
			t.Errorf("got %+v, %v; want the entry as it was", got, err)
		}
	}
}
