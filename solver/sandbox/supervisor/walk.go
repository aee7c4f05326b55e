//go:build linux

package supervisor

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A path is resolved here name by name, as path_resolution(7) says, where that cannot be left to the kernel: because
// the task is not the user that the kernel takes it for, or because what matters is a name in a directory.

// entry is where a path leads: a name in a directory, whether anything is there or not.
type entry struct {
	// dir is the directory. There is none if name is empty, because the path is that of the root directory, ends in
	// "." or "..", or leads to what the task has open.
	dir  file
	name string
	// file is what is there.
	file  file
	there bool
	// slash: the path ends in one, so that it can only be a directory.
	slash bool
}

// named reports whether the path ends in a name.
func (e *entry) named() bool { return e.name != "" }

// around is the directory that the path ends in.
func (e *entry) around() *file {
	if e.named() {
		return &e.dir
	}
	return &e.file
}

// path is the name in the directory, with its slash.
func (e *entry) path() string {
	if e.slash {
		return e.name + "/"
	}
	return e.name
}

func (e *entry) close() {
	if e.named() {
		e.dir.close()
	}
	if e.there {
		e.file.close()
	}
}

// take returns what is there and closes the rest.
func (e *entry) take() (file, error) {
	if e.named() {
		e.dir.close()
	}
	switch {
	case !e.there:
		return file{}, unix.ENOENT
	case e.slash && !e.file.is(unix.S_IFDIR):
		e.file.close()
		return file{}, unix.ENOTDIR
	}
	return e.file, nil
}

// maxLinks is how many links the kernel follows in one path.
const maxLinks = 40

// walk is a path that is being resolved for who.
type walk struct {
	*task
	who identity
	// at is where it has got, names what is left of it, links how many have been followed.
	at    file
	names []string
	links int
	// slash: there is one at its end. follow: so is a link there.
	slash, follow bool
}

// find resolves a place. Every directory on the way must be open to who.
func (t *task) find(p place, who identity) (entry, error) {
	if name, ok := t.ownProc(p); ok && isLink(name) && shownOfProcess(name) {
		f, err := t.openLink(name)
		return entry{file: f, there: err == nil}, err
	}
	return t.walk(p, who, p.follow || strings.HasSuffix(p.path, "/"))
}

// findName resolves a place for a call that is about the name and not about what is there: a slash after the name of a
// link does not lead further.
func (t *task) findName(p place, who identity) (entry, error) { return t.walk(p, who, false) }

func (t *task) walk(p place, who identity, follow bool) (entry, error) {
	if p.path == "" {
		return entry{}, unix.ENOENT
	}
	w := walk{task: t, who: who, follow: follow}
	if err := w.begin(p); err != nil {
		return entry{}, err
	}
	e, err := w.run()
	if err != nil {
		w.at.close()
	}
	return e, err
}

// begin goes to where the path begins. To root directories are open, so the kernel can go to the last of them at once.
func (w *walk) begin(p place) (err error) {
	dir, name := path.Split(p.path)
	switch {
	case w.who.root() && dir != "" && name != "":
		w.add(name)
		p.path = dir + "."
		w.at, err = w.openPath(p, unix.O_DIRECTORY)
		return err
	case strings.HasPrefix(p.path, "/"):
		w.at, err = w.top()
	default:
		w.at, err = w.descriptor(p.dir)
	}
	w.add(p.path)
	return err
}

// add puts a path before what is left.
func (w *walk) add(path string) {
	w.slash = w.slash || len(w.names) == 0 && strings.HasSuffix(path, "/")
	w.names = append(strings.FieldsFunc(path, func(r rune) bool { return r == '/' }), w.names...)
}

// top opens the root directory of the task.
func (t *task) top() (file, error) {
	if t.moved {
		return t.openLink("root")
	}
	return t.openAt(t.rootFD, ".")
}

// openAt opens what has a name in a directory, a link itself.
func (t *task) openAt(dir int, name string) (file, error) {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return file{}, err
	}
	return stat(fd)
}

// run goes on until nothing is left. What it returns takes over at.
func (w *walk) run() (entry, error) {
	for len(w.names) > 0 {
		name := w.names[0]
		w.names = w.names[1:]
		if err := w.enter(); err != nil {
			return entry{}, err
		}
		if name == "." || name == ".." {
			if err := w.dots(name); err != nil {
				return entry{}, err
			}
			continue
		}
		last := len(w.names) == 0
		next, err := w.openAt(w.at.fd, name)
		switch {
		case errors.Is(err, unix.ENOENT) && last:
			return entry{dir: w.at, name: name, slash: w.slash}, nil
		case err != nil:
			return entry{}, err
		case next.is(unix.S_IFLNK) && (!last || w.follow):
			if err := w.through(&next, name); err != nil {
				return entry{}, err
			}
		case last:
			return entry{dir: w.at, name: name, file: next, there: true, slash: w.slash}, nil
		default:
			w.moveTo(next)
		}
	}
	return entry{file: w.at, there: true, slash: w.slash}, nil
}

func (w *walk) moveTo(f file) {
	w.at.close()
	w.at = f
}

// enter says why names cannot be looked up where the walk is, if they cannot.
func (w *walk) enter() error {
	switch {
	case !w.at.is(unix.S_IFDIR):
		return unix.ENOTDIR
	case !w.may(w.who, &w.at, execute):
		return unix.EACCES
	}
	return nil
}

// dots goes up, unless it is at the root directory already, or stays.
func (w *walk) dots(name string) error {
	if name == "." {
		return nil
	}
	top, err := w.top()
	if err != nil {
		return err
	}
	defer top.close()
	if w.at.same(&top) {
		return nil
	}
	parent, err := w.openAt(w.at.fd, "..")
	if err == nil {
		w.moveTo(parent)
	}
	return err
}

// through follows a link, which is closed then.
func (w *walk) through(link *file, name string) error {
	defer link.close()
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	if link.on(unix.PROC_SUPER_MAGIC) {
		return w.throughProc(link, name)
	}
	return w.goOn(link)
}

// goOn puts what a link holds before what is left.
func (w *walk) goOn(link *file) error {
	var b [unix.PathMax]byte
	n, err := unix.Readlinkat(link.fd, "", b[:])
	if err != nil {
		return err
	}
	target := string(b[:n])
	w.add(target)
	if !strings.HasPrefix(target, "/") {
		return nil
	}
	top, err := w.top()
	if err == nil {
		w.moveTo(top)
	}
	return err
}

// throughProc follows a link of /proc. What self is depends on who asks. The others lead to what a process has open or
// in use; those of other processes are closed to who is not root.
func (w *walk) throughProc(link *file, name string) error {
	dir, err := readlink(w.at.path())
	if err != nil {
		return err
	}
	below := strings.Trim(strings.TrimPrefix(w.inside(dir), "/proc"), "/")
	if below == "" {
		if name != "self" && name != "thread-self" {
			return w.goOn(link)
		}
		w.names = append([]string{w.numberIn(&w.at)}, w.names...)
		return nil
	}
	process, in, _ := strings.Cut(below, "/")
	name = path.Join(in, name)
	if process != w.numberIn(&w.at) || !isLink(name) || !shownOfProcess(name) {
		return unix.EACCES
	}
	f, err := w.openLink(name)
	if err == nil {
		w.moveTo(f)
	}
	return err
}

// numberIn is the task's process in a /proc: that of this process or one of the step's own.
func (t *task) numberIn(proc *file) string {
	var ours unix.Stat_t
	if err := unix.Stat("/proc", &ours); err == nil && ours.Dev == proc.Dev {
		return path.Base(t.process())
	}
	return t.number()
}
