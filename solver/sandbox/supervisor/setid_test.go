//go:build linux

package supervisor

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSetID(t *testing.T) {
	root, app := all(0), all(1000)
	mixed := ids{real: 1000, effective: 1000, saved: 0, fs: 1000}
	for _, c := range []struct {
		name string
		got  func() (ids, bool)
		want ids
		ok   bool
	}{
		{"root becomes a user", func() (ids, bool) { return root.choose(1000, true) }, app, true},
		{"a user stays", func() (ids, bool) { return app.choose(1000, false) }, app, true},
		{"a user does not become root", func() (ids, bool) { return app.choose(0, false) }, app, false},
		{"back to the saved id", func() (ids, bool) { return mixed.choose(0, false) }, ids{1000, 0, 0, 0}, true},
		{"swap real and effective", func() (ids, bool) { return ids{1, 2, 2, 2}.exchange(2, 1, false) }, ids{2, 1, 1, 1}, true},
		{"effective to saved", func() (ids, bool) { return ids{1, 1, 2, 1}.exchange(unchanged, 2, false) }, ids{1, 2, 2, 2}, true},
		{"effective only keeps saved", func() (ids, bool) { return ids{1, 2, 3, 2}.exchange(unchanged, 1, false) }, ids{1, 1, 3, 1}, true},
		{"real to saved is refused", func() (ids, bool) { return ids{1, 1, 2, 1}.exchange(2, unchanged, false) }, ids{1, 1, 2, 1}, false},
		{"all three", func() (ids, bool) { return root.assign(1, 2, 3, true) }, ids{1, 2, 3, 2}, true},
		{"one of three", func() (ids, bool) { return root.assign(unchanged, 5, unchanged, true) }, ids{0, 5, 0, 5}, true},
		{"among its own", func() (ids, bool) { return ids{1, 2, 3, 2}.assign(3, 1, 2, false) }, ids{3, 1, 2, 1}, true},
		{"not its own", func() (ids, bool) { return ids{1, 2, 3, 2}.assign(4, 1, 2, false) }, ids{1, 2, 3, 2}, false},
	} {
		got, ok := c.got()
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestCapable(t *testing.T) {
	root := User{}.identity()
	if !root.capable {
		t.Error("root is not capable")
	}
	if i := root.with(all(7)); i.capable {
		t.Error("who gave up root is still capable")
	}
	if i := root.with(ids{real: 7, effective: 7, saved: 0, fs: 7}); !i.capable {
		t.Error("who can become root again is not capable")
	}
	root.keep = true
	if i := root.with(all(7)); !i.capable {
		t.Error("who asked to stay capable is not")
	}
}

func TestGroups(t *testing.T) {
	i := User{UID: 1000, GID: 1000, Groups: []uint32{4, 4294967294}}.identity()
	for gid, want := range map[uint32]bool{1000: true, 4: true, 4294967294: true, 0: false, 5: false} {
		if got := i.in(gid); got != want {
			t.Errorf("in(%d) = %v, want %v", gid, got, want)
		}
	}
}

func TestPermits(t *testing.T) {
	app, root := User{UID: 1000, GID: 1000, Groups: []uint32{50}}.identity(), User{}.identity()
	const directory = unix.S_IFDIR
	for _, c := range []struct {
		who                    identity
		uid, gid, mode, wanted uint32
		want                   bool
	}{
		{app, 0, 0, 0o755, write | execute, false},
		{app, 0, 0, 0o1777, write | execute, true},
		{app, 1000, 0, 0o700, write | execute, true},
		{app, 1000, 0, 0o577, write | execute, false},
		{app, 0, 50, 0o2775, write | execute, true},
		{app, 0, 50, 0o2707, write | execute, false},
		{app, 0, 1000, 0o770, write | execute, true},
		{app, 0, 42, 0o640, read, false},
		{app, 0, 50, 0o640, read, true},
		{app, 0, 50, 0o640, read | write, false},
		{app, 0, 50, 0o604, read, false},
		{app, 0, 0, 0o711, execute, true},
		{app, 0, 0, 0o711, read, false},
		{app, 0, 0, 0, 0, true},
		{root, 1000, 1000, 0, read | write, true},
		{root, 1000, 1000, 0o644, execute, false},
		{root, 1000, 1000, 0o001, execute, true},
		{root, 1000, 1000, directory, read | write | execute, true},
	} {
		if got := c.who.permits(record(c.uid, c.gid), c.mode, c.wanted); got != c.want {
			t.Errorf("%d may do %o with what is %o and %d:%d's: %v, want %v", c.who.uid.fs, c.wanted, c.mode, c.uid, c.gid, got, c.want)
		}
	}
}

func TestMayGive(t *testing.T) {
	app := User{UID: 1000, GID: 1000, Groups: []uint32{50}}.identity()
	for _, c := range []struct {
		owner, uid, gid uint32
		want            bool
	}{
		{1000, unchanged, 50, true},
		{1000, 1000, 50, true},
		{1000, unchanged, 51, false},
		{1000, 0, unchanged, false},
		{0, unchanged, 50, false},
		{1000, unchanged, unchanged, true},
	} {
		if got := app.mayGive(record(c.owner, 1000), c.uid, c.gid); got != c.want {
			t.Errorf("mayGive(%d, %d, %d) = %v, want %v", c.owner, c.uid, c.gid, got, c.want)
		}
	}
}

// A command that changes its identity for ever does not fill the memory of its supervisor.
func TestIdentitiesAreBounded(t *testing.T) {
	s := &Supervisor{identities: make([]identity, maxIdentities)}
	task := &task{Supervisor: s, dir: "/proc/self"}
	if err := task.become(identity{uid: all(7)}); err == nil || len(s.identities) != maxIdentities {
		t.Errorf("another identity: %v, now there are %d", err, len(s.identities))
	}
}
