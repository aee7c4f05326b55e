//go:build linux

package supervisor

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FilesOptions say what a supervisor of files does beside showing /proc.
type FilesOptions struct {
	Memory []Memory
	// Mounts are what was put in place of mounts. With Protect, those that are read-only cannot be written to.
	Mounts  []Mount
	Protect bool
	// Ours reports whether a process, or thread, belongs to the step. It gets a directory of /proc.
	Ours func(dir string) bool
	// Unconfined: the kernel does not keep a command from signalling and tracing others.
	Unconfined bool
	// NoNetwork refuses sockets that lead to a network.
	NoNetwork bool
}

// Files returns a supervisor for commands whose root directory has no file systems of the kernel's in it: it
// opens what they would find in /proc, and in the files of the options.
func Files(in Surroundings, o FilesOptions) *Supervisor {
	s := &Supervisor{files: o}
	s.calls = map[string]handled{
		"open": {answer: openFile(-1, 0, 1)}, "openat": {answer: openFile(0, 1, 2)},
		"readlink": {answer: readLink(-1, 0)}, "readlinkat": {answer: readLink(0, 1)},
		"chmod": {answer: chmod(-1, 0)}, "fchmodat": {answer: chmod(0, 1)}, "fchmodat2": {answer: chmod(0, 1)},
		"linkat":    {where: following(4), answer: linkat},
		"prlimit64": {where: markLimit(1), answer: keepMark}, "setrlimit": {where: markLimit(0), answer: refuse(unix.EPERM)},
		// Programs fall back on openat, whose arguments can be seen.
		"openat2":      {answer: refuse(unix.ENOSYS)},
		"rt_sigaction": {where: ofChildren(), answer: restarting},
		"fork":         {answer: begin}, "vfork": {answer: begin}, "clone": {where: newProcess(), answer: begin},
	}
	if len(o.Memory) > 0 {
		s.calls["fstat"] = handled{answer: fstatMemory}
		s.calls["newfstatat"] = handled{where: ofDescriptor(3), answer: newfstatatMemory}
		s.calls["statx"] = handled{where: ofDescriptor(2), answer: statxMemory}
	}
	if o.NoNetwork {
		s.calls["socket"] = handled{where: networks(), answer: refuse(unix.EAFNOSUPPORT)}
	}
	if o.Unconfined {
		s.confine()
	}
	if o.Protect {
		s.protect()
	}
	s.surround(in)
	return s
}

// refuse answers all calls with an error.
func refuse(errno unix.Errno) handler {
	return func(*task) answer { return failure(errno) }
}

// markLimit restricts a call to the resource limit that marks the processes of a step. The kernel looks at half
// of the argument only.
func markLimit(i uint) []Bits {
	return []Bits{{Index: i, Mask: 1<<32 - 1, Value: unix.RLIMIT_RTTIME}}
}

// keepMark answers prlimit(2): the limit may be read.
func keepMark(t *task) answer {
	if t.args[2] != 0 {
		return failure(unix.EPERM)
	}
	return proceed()
}

// networks restricts socket(2) to families that lead out of the machine, or tell about it.
func networks() []Bits {
	var families []Bits
	for _, family := range []uint64{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET} {
		families = append(families, Bits{Index: 0, Mask: 1<<32 - 1, Value: family})
	}
	return families
}

// openFile answers open calls whose directory, path and flags are these arguments; dir -1 is the working
// directory.
func openFile(dir, name, flags int) handler {
	return func(t *task) answer {
		p, err := t.place(dir, name, true)
		if err != nil {
			return proceed()
		}
		p.follow = t.args[flags]&unix.O_NOFOLLOW == 0
		if shown, ok := procPath(p.path); ok {
			return t.openProc(shown, int(t.args[flags]))
		}
		if len(t.files.Memory) > 0 {
			return t.openMemory(p, int(t.args[flags]))
		}
		return proceed()
	}
}

// procPath returns the path below /proc that a path of a task leads to, as far as its text tells.
func procPath(name string) (string, bool) {
	if !strings.HasPrefix(name, "/proc/") && !strings.HasPrefix(name, "/dev/") {
		return "", false
	}
	name = path.Clean(name)
	switch name {
	case "/dev/stdin":
		return "self/fd/0", true
	case "/dev/stdout":
		return "self/fd/1", true
	case "/dev/stderr":
		return "self/fd/2", true
	case "/proc/mounts":
		return "self/mounts", true
	}
	if n, ok := strings.CutPrefix(name, "/dev/fd/"); ok {
		return "self/fd/" + n, true
	}
	return strings.CutPrefix(name, "/proc/")
}

// openProc opens the file of /proc with a name below it. Those about the machine are for reading.
func (t *task) openProc(name string, flags int) answer {
	there, ok := t.realProc(name)
	if !ok {
		return proceed()
	}
	defer there.close()
	if text, ok := t.staticProc(path.Base(name)); ok {
		return t.openText(text, flags)
	}
	if there.machine() && flags&unix.O_PATH == 0 && flags&unix.O_ACCMODE != unix.O_RDONLY {
		return failure(unix.EROFS)
	}
	var fd int
	var err error
	t.as(func() { fd, err = openNow(there.path(), flags) })
	if err != nil {
		return failure(err)
	}
	return open(fd, flags&unix.O_CLOEXEC != 0)
}

// openNow opens a file without waiting for anybody at the other end of a pipe.
func openNow(name string, flags int) (int, error) {
	const kept = unix.O_ACCMODE | unix.O_APPEND | unix.O_DIRECTORY | unix.O_PATH | unix.O_NONBLOCK
	fd, err := unix.Open(name, flags&kept|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil || flags&(unix.O_NONBLOCK|unix.O_PATH) != 0 {
		return fd, err
	}
	status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, status&^unix.O_NONBLOCK)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// procFile is a file of /proc that a task may see.
type procFile struct {
	// dir is the directory of the process, open so that it stays that process's; -1 for files about the machine.
	dir  int
	name string
}

func (f procFile) machine() bool { return f.dir < 0 }

// path is that for this process.
func (f procFile) path() string {
	if f.machine() {
		return "/proc/" + f.name
	}
	return "/proc/self/fd/" + strconv.Itoa(f.dir) + "/" + f.name
}

func (f procFile) close() {
	if !f.machine() {
		_ = unix.Close(f.dir)
	}
}

// realProc returns the file of /proc with a name below it, if the task may see it.
func (t *task) realProc(name string) (procFile, bool) {
	first, rest, _ := strings.Cut(name, "/")
	if first == "self" || first == "thread-self" {
		return t.ofProcess(t.process(), rest)
	}
	if _, err := strconv.ParseUint(first, 10, 31); err == nil {
		return t.ofProcess("/proc/"+first, rest)
	}
	return procFile{dir: -1, name: name}, slices.Contains(machineNames(), name)
}

// ofProcess returns a file of a process of the step, whose directory in /proc is dir.
func (t *task) ofProcess(dir, name string) (procFile, bool) {
	if !shownOfProcess(name) {
		return procFile{}, false
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return procFile{}, false
	}
	f := procFile{dir: fd, name: name}
	if !t.files.Ours("/proc/self/fd/" + strconv.Itoa(fd)) {
		f.close()
		return procFile{}, false
	}
	return f, true
}

// process is the directory in /proc of the process that the task belongs to.
func (t *task) process() string {
	tgid := t.status("Tgid")
	if tgid == "" {
		return t.dir
	}
	return path.Join(path.Dir(t.dir), tgid)
}

// shownOfProcess reports whether a task may see the file of a process with this name.
func shownOfProcess(name string) bool {
	if n, ok := strings.CutPrefix(name, "fd/"); ok {
		_, err := strconv.ParseUint(n, 10, 31)
		return err == nil
	}
	if n, ok := strings.CutPrefix(name, "task/"); ok {
		_, of, _ := strings.Cut(n, "/")
		return slices.Contains(processNames(), of)
	}
	return slices.Contains(processNames(), name)
}

// openText opens a file that says text.
func (t *task) openText(text string, flags int) answer {
	fd, err := unix.MemfdCreate("text", unix.MFD_CLOEXEC)
	if err != nil {
		return failure(err)
	}
	if _, err = unix.Write(fd, []byte(text)); err == nil {
		_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	}
	if err != nil {
		_ = unix.Close(fd)
		return failure(err)
	}
	return open(fd, flags&unix.O_CLOEXEC != 0)
}

// readLink answers readlink calls for the links of /proc.
func readLink(dir, name int) handler {
	return func(t *task) answer {
		p, err := t.place(dir, name, false)
		if err != nil {
			return proceed()
		}
		shown, ok := strings.CutPrefix(path.Clean(p.path), "/proc/")
		if !ok {
			return proceed()
		}
		target, ok := t.linkTarget(shown)
		if !ok {
			return proceed()
		}
		b := []byte(target)
		if room := int(int32(t.args[name+2])); room < len(b) {
			b = b[:max(room, 0)]
		}
		if err := t.write(t.args[name+1], b); err != nil {
			return failure(unix.EFAULT)
		}
		return result(int64(len(b)))
	}
}

// isLink reports whether a file of /proc leads to what a process has open or in use.
func isLink(name string) bool {
	base := path.Base(name)
	return base == "exe" || base == "cwd" || base == "root" || path.Base(path.Dir(name)) == "fd"
}

// linkTarget returns what a link of /proc holds for the task.
func (t *task) linkTarget(name string) (target string, ok bool) {
	if name == "self" {
		return path.Base(t.process()), true
	}
	if !isLink(name) {
		return "", false
	}
	there, ok := t.realProc(name)
	if !ok {
		return "", false
	}
	defer there.close()
	var err error
	t.as(func() { target, err = readlink(there.path()) })
	if err != nil {
		return "", false
	}
	if target = t.inside(target); target == "" {
		target = "/"
	}
	return target, true
}
