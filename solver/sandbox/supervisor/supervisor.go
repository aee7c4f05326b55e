//go:build linux

// Package supervisor answers system calls of commands where the machine does not let the kernel do what
// they ask for. The seccomp filter of a command passes those calls to a descriptor, from which this package
// reads them, see seccomp_unotify(2).
//
// A call is answered in one of three ways: the kernel goes on with it, which is safe where nothing that the
// supervisor has looked at decides what is allowed, since another thread can change that meanwhile; the supervisor
// does it instead; or it is refused. Where the kernel goes on although it does decide, a comment says why that may be.
package supervisor

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/ownership"
	"github.com/seed-298d225e/builder/solver/sandbox/sysnum"
)

// Call is a kind of system call that is passed to a supervisor.
type Call struct {
	Name string
	// Where restricts it to calls in which one of these holds; none is all.
	Where []Bits
}

// Bits holds if, of the argument with number Index, the bits in Mask have the value Value.
type Bits struct {
	Index       uint
	Mask, Value uint64
}

// handler answers a call.
type handler func(t *task) answer

// handled is a call and what answers it.
type handled struct {
	where  []Bits
	answer handler
}

// Supervisor serves the commands of one step.
type Supervisor struct {
	calls map[string]handled
	// numbered are the handlers by architecture word and number.
	numbered map[[2]uint32]numbered
	rootFD   int
	// rootPath is what this process calls root, "" if it is in another mount namespace.
	rootPath string
	procDir  func(pid uint32) string
	// moved: some task has a root directory of its own.
	moved bool

	// ending: no task may start a process.
	ending atomic.Bool
	// files is what a supervisor of files was told.
	files FilesOptions

	// identities are those that the step's tasks have had. The first is that of the command.
	identities []identity
	// slack is the timer slack of tasks with the first identity.
	slack uint64
	// others are the records of files that cannot hold one.
	others map[fileID]ownership.Record
}

type numbered struct {
	answer         handler
	legacy, narrow bool
}

// Calls returns the calls that must be passed to s, sorted by name.
func (s *Supervisor) Calls() []Call {
	calls := make([]Call, 0, len(s.calls))
	for _, name := range slices.Sorted(maps.Keys(s.calls)) {
		calls = append(calls, Call{name, s.calls[name].where})
	}
	return calls
}

// Surroundings say where the commands of a step are.
type Surroundings struct {
	// Root is their root directory. It is the caller's to close, after Serve has returned.
	Root *os.File
	// RootPath is the path of Root for this process, "" if Root is in another mount namespace.
	RootPath string
	// ProcDir returns the directory in /proc of the task that this process knows as pid.
	ProcDir func(pid uint32) string
}

func (s *Supervisor) surround(in Surroundings) {
	s.rootFD, s.rootPath, s.procDir = int(in.Root.Fd()), in.RootPath, in.ProcDir
	if s.procDir == nil {
		s.procDir = func(pid uint32) string { return "/proc/" + strconv.FormatUint(uint64(pid), 10) }
	}
	s.numbered = map[[2]uint32]numbered{}
	for _, abi := range sysnum.Of(runtime.GOARCH) {
		numbers := abi.Numbers()
		for name, h := range s.calls {
			if nr, ok := numbers[name]; ok {
				s.numbered[[2]uint32{abi.Audit, nr}] = numbered{h.answer, abi.Narrow && has32(numbers, name), abi.Narrow}
			}
		}
	}
}

// has32 reports whether there is a second call for wider ids, so that this one takes 16 bits.
func has32(numbers map[string]uint32, name string) bool {
	_, ok := numbers[name+"32"]
	return ok
}

func (s *Supervisor) handle(l listener, n notification) answer {
	h, ok := s.numbered[[2]uint32{n.arch, uint32(n.nr)}]
	if !ok {
		return failure(unix.ENOSYS)
	}
	t := &task{
		Supervisor: s, notification: n, legacy: h.legacy, narrow: h.narrow, dir: s.procDir(n.pid),
		waits: func() bool { return l.waits(n.id) },
	}
	return h.answer(t)
}
