//go:build linux

package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/snapshot"
)

// Both ways to make trees writable give the same layers, bit for bit, whatever commands do: several steps of
// random changes, which build upon each other or begin again at an earlier one.
func TestDriversAgree(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			p := newPair(t)
			for range 6 {
				p.step(t, r)
			}
		})
	}
}

// pair is two stores in which the same is done.
type pair struct {
	stores [2]*snapshot.Store
	// trees are the trees made so far, as layers of each store.
	trees [][2][]*snapshot.Layer
}

func newPair(t *testing.T) *pair {
	base := []string{
		"d 755 .", "d 755 a", "d 2775 a/b", "f 644 a/b/x one", "f 4755 a/b/y two", "f 644 a/z three", "d 1777 tmp",
		"d 755 usr", "d 755 usr/bin", "f 755 usr/bin/sh #!", "h usr/bin/ash usr/bin/sh", "l bin usr/bin", "f 644 empty ",
		"d 700 root", "f 600 root/secret four", "p 644 fifo", "d 755 c", "d 755 c/d", "d 755 c/d/e", "f 644 c/d/e/f five",
	}
	above := []string{"w a/z", "d 755 c", "o c/d", "f 644 c/d/new six", "f 644 a/b/x ONE", "f 644 b seven", "d 755 usr/lib"}
	p := &pair{stores: [2]*snapshot.Store{
		openStoreIn(t, t.TempDir(), snapshot.DriverOverlay), openStoreIn(t, t.TempDir(), snapshot.DriverPlain),
	}}
	var lower, both [2][]*snapshot.Layer
	for i, s := range p.stores {
		both[i] = image(t, s, layerOf(t, base...), layerOf(t, above...))
		lower[i] = both[i][:1:1]
	}
	p.trees = [][2][]*snapshot.Layer{{}, lower, both}
	return p
}

// step changes one of the trees at random and compares what comes out.
func (p *pair) step(t *testing.T, r *rand.Rand) {
	t.Helper()
	from := p.trees[max(r.IntN(2*len(p.trees)), len(p.trees))-len(p.trees)]
	if r.IntN(3) > 0 {
		from = p.trees[len(p.trees)-1]
	}
	var active [2]*snapshot.Active
	var roots [2]string
	for i, s := range p.stores {
		var err error
		active[i], err = s.Prepare(from[i])
		must(t, err)
		roots[i] = fmt.Sprintf("/proc/self/fd/%d", active[i].Root().Fd())
	}
	wantLines(t, details(t, active[1]), details(t, active[0]))
	if r.IntN(8) == 0 {
		active[0].Discard()
		active[1].Discard()
		return
	}
	m := newMutator(t, roots, r)
	for range r.IntN(12) {
		m.mutate(t)
	}
	var made [2]*snapshot.Layer
	var next [2][]*snapshot.Layer
	for i := range active {
		var err error
		made[i], err = active[i].Commit(t.Context(), snapshot.Unix, fixedTimes)
		must(t, err)
		next[i] = append(slices.Clip(from[i]), made[i])
	}
	if got, want := tarBytes(t, made[1]), tarBytes(t, made[0]); !bytes.Equal(got, want) {
		t.Errorf("after\n\t%s", strings.Join(m.log, "\n\t"))
		wantLines(t, entriesOf(t, made[1]), entriesOf(t, made[0]))
		t.FailNow()
	}
	p.trees = append(p.trees, next)
}

// fixedTimes gives entries that were changed just now a time that does not depend on when that was.
func fixedTimes(entries snapshot.Entries) snapshot.Entries {
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil && e.ModTime.Unix() > 1700000100 {
				fixed := *e
				fixed.ModTime = time.Unix(1800000000, 0)
				e = &fixed
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func tarBytes(t *testing.T, l *snapshot.Layer) []byte {
	t.Helper()
	r, err := l.Uncompressed()
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return b
}

// details describes a tree with all that belongs to its files.
func details(t *testing.T, a *snapshot.Active) []string {
	t.Helper()
	var lines []string
	for e, err := range fixedTimes(snapshot.Walk(snapshot.NewDir(a.Root()), "")) {
		must(t, err)
		lines = append(lines, fmt.Sprintf("%s %o %d:%d %v %q", describe(t, e), e.Mode, e.UID, e.GID, e.ModTime, e.Xattrs))
	}
	return lines
}

// mutator does the same changes in two trees.
type mutator struct {
	roots [2]string
	r     *rand.Rand
	// frozen are files that had several names when the step began. Overlayfs takes their names apart when one
	// of them is changed, which no other file system does.
	frozen map[string]bool
	log    []string
}

func newMutator(t *testing.T, roots [2]string, r *rand.Rand) *mutator {
	m := &mutator{roots: roots, r: r, frozen: map[string]bool{}}
	m.walk(t, func(name string, info fs.FileInfo) {
		var st unix.Stat_t
		must(t, unix.Lstat(roots[1]+"/"+name, &st))
		m.frozen[name] = !info.IsDir() && st.Nlink > 1
	})
	return m
}

// walk visits what is in the trees.
func (m *mutator) walk(t *testing.T, visit func(name string, info fs.FileInfo)) {
	t.Helper()
	root := m.roots[1] + "/."
	must(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := d.Info()
		visit(strings.TrimPrefix(name, m.roots[1]+"/"), info)
		return err
	}))
}

// pick returns one of the names that want selects, "" if there is none.
func (m *mutator) pick(t *testing.T, want func(fs.FileMode) bool) string {
	t.Helper()
	var names []string
	m.walk(t, func(name string, info fs.FileInfo) {
		if want(info.Mode()) && (info.IsDir() || !m.frozen[name]) {
			names = append(names, name)
		}
	})
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return names[m.r.IntN(len(names))]
}

func isRegular(mode fs.FileMode) bool { return mode.IsRegular() }
func isAny(fs.FileMode) bool          { return true }
func isNotDir(mode fs.FileMode) bool  { return !mode.IsDir() }

// operation is something a command does in a tree below root.
type operation struct {
	what string
	do   func(root string) error
}

// mutate does one random change.
func (m *mutator) mutate(t *testing.T) {
	t.Helper()
	file, dir, thing := m.pick(t, isRegular), m.pick(t, fs.FileMode.IsDir), m.pick(t, isAny)
	other := m.pick(t, isNotDir)
	fresh := path.Join(dir, fmt.Sprintf("n%d", m.r.IntN(6)))
	for m.frozen[fresh] {
		fresh += "x"
	}
	content := bytes.Repeat([]byte{byte('A' + m.r.IntN(26))}, []int{0, 3, 70000}[m.r.IntN(3)])
	changes := []operation{
		{"write " + fresh, func(r string) error { return write(r+"/"+fresh, content) }},
		{"mkdir " + fresh, func(r string) error { return os.Mkdir(r+"/"+fresh, 0o751) }},
		{"symlink " + fresh, func(r string) error { return os.Symlink("target", r+"/"+fresh) }},
		{"fifo " + fresh, func(r string) error { return unix.Mkfifo(r+"/"+fresh, 0o611) }},
		{"socket " + fresh, func(r string) error { return unix.Mknod(r+"/"+fresh, unix.S_IFSOCK|0o600, 0) }},
	}
	if thing != "" {
		changes = append(changes,
			operation{"remove " + thing, func(r string) error { return os.RemoveAll(r + "/" + thing) }},
			operation{"own " + thing, func(r string) error { return os.Lchown(r+"/"+thing, 7, 8) }},
			operation{"rename " + thing + " " + fresh, func(r string) error { return os.Rename(r+"/"+thing, r+"/"+fresh) }},
			operation{"replace by a file " + thing, func(r string) error {
				return cmp(os.RemoveAll(r+"/"+thing), os.WriteFile(r+"/"+thing, content, 0o604))
			}},
			operation{"replace by a directory " + thing, func(r string) error {
				return cmp(os.RemoveAll(r+"/"+thing), os.Mkdir(r+"/"+thing, 0o711), os.WriteFile(r+"/"+thing+"/x", []byte("one"), 0o644))
			}},
		)
	}
	if other != "" {
		changes = append(changes, operation{"link " + other + " " + fresh, func(r string) error { return os.Link(r+"/"+other, r+"/"+fresh) }})
	}
	if dir != "" {
		changes = append(changes,
			operation{"mode of directory " + dir, func(r string) error { return os.Chmod(r+"/"+dir, 0o500) }},
			operation{"pass through " + dir, func(r string) error { return passThrough(r + "/" + dir) }},
			operation{"rebuild " + dir, func(r string) error { return rebuild(r + "/" + dir) }},
		)
	}
	if file != "" {
		changes = append(changes, fileChanges(file, content)...)
	}
	m.do(changes[m.r.IntN(len(changes))])
}

func fileChanges(file string, content []byte) []operation {
	return []operation{
		{"append " + file, func(r string) error {
			f, err := os.OpenFile(r+"/"+file, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return cmp(err, f.Close())
		}},
		{"overwrite and hide it " + file, func(r string) error {
			info, err := os.Stat(r + "/" + file)
			if err != nil {
				return err
			}
			return cmp(os.WriteFile(r+"/"+file, bytes.Repeat([]byte("z"), int(info.Size())), 0),
				os.Chtimes(r+"/"+file, info.ModTime(), info.ModTime()))
		}},
		{"write the same " + file, func(r string) error { return copyOver(r + "/" + file) }},
		{"mode " + file, func(r string) error { return unix.Chmod(r+"/"+file, 0o4751) }},
		{"the same mode " + file, func(r string) error {
			var st unix.Stat_t
			return cmp(unix.Stat(r+"/"+file, &st), unix.Chmod(r+"/"+file, st.Mode&0o7777))
		}},
		{"attribute " + file, func(r string) error { return unix.Setxattr(r+"/"+file, "user.test", content[:min(len(content), 9)], 0) }},
		{"truncate " + file, func(r string) error { return os.Truncate(r+"/"+file, 100000) }},
		{"time " + file, func(r string) error { return os.Chtimes(r+"/"+file, time.Unix(1, 2), time.Unix(1600000000, 5)) }},
	}
}

// write writes a file, but not a FIFO.
func write(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return cmp(err, f.Close())
}

// copyOver replaces a file by a copy that differs in nothing.
func copyOver(name string) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return err
	}
	content, err := os.ReadFile(name)
	return cmp(err, os.WriteFile(name+".copy", content, 0o600), os.Chown(name+".copy", int(st.Uid), int(st.Gid)),
		unix.Chmod(name+".copy", st.Mode&0o7777),
		os.Chtimes(name+".copy", time.Unix(st.Mtim.Unix()), time.Unix(st.Mtim.Unix())), os.Rename(name+".copy", name))
}

// passThrough makes and removes a file and gives the directory its time back.
func passThrough(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return cmp(os.WriteFile(dir+"/passing", nil, 0o600), os.Remove(dir+"/passing"), os.Chtimes(dir, info.ModTime(), info.ModTime()))
}

// rebuild replaces a directory by one that holds some files with the same content.
func rebuild(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	kept := map[string][]byte{}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if kept[e.Name()], err = os.ReadFile(dir + "/" + e.Name()); err != nil {
				return err
			}
		}
	}
	if err := cmp(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	for name, content := range kept {
		err = cmp(err, os.WriteFile(dir+"/"+name, content, 0o644),
			os.Chtimes(dir+"/"+name, time.Unix(1700000000, 0), time.Unix(1700000000, 0)))
	}
	return err
}

// do does c in both trees, unless overlayfs cannot: it does not rename directories of layers.
func (m *mutator) do(c operation) {
	errs := [2]error{c.do(m.roots[0])}
	if !errors.Is(errs[0], unix.EXDEV) {
		errs[1] = c.do(m.roots[1])
	}
	m.log = append(m.log, fmt.Sprintf("%s: %v", c.what, errs))
}
