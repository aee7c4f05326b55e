//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/supervisor"
	"github.com/seed-298d225e/builder/solver/sandbox/sysnum"
)

// The seccomp filter of a command is Docker's default profile, read as data and assembled here, because
// the libraries that do so need cgo or know one ABI only. The program tells the ABIs of a machine apart
// by the architecture word (an i386 program on amd64 has other numbers), finds the number by binary
// search, and checks arguments where the profile asks for it.
//
// It differs from the profile in three places: calls newer than the profile give ENOSYS instead of
// EPERM, because libraries probe for those and fall back; socket through i386's socketcall is
// refused, because its arguments cannot be seen and the profile means to keep AF_ALG and AF_VSOCK out;
// and x32 numbers give ENOSYS, as on a kernel without x32.

// Return values of a filter, see seccomp(2).
const (
	retAllow  uint32 = unix.SECCOMP_RET_ALLOW
	retNotify uint32 = unix.SECCOMP_RET_USER_NOTIF
	retKill   uint32 = unix.SECCOMP_RET_KILL_PROCESS
)

func retErrno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// rule is one line of the profile for one call: if the arguments fit, action.
type rule struct {
	args   []specs.LinuxSeccompArg
	action uint32
}

// defaultFilter assembles Docker's default profile for this machine and commands with the capabilities
// caps. The calls in notify are passed to whoever listens instead.
func defaultFilter(caps []string, notify []supervisor.Call) ([]bpf.RawInstruction, error) {
	profile, err := seccomp.GetDefaultProfile(&specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}},
	})
	if err != nil {
		return nil, fmt.Errorf("reading the seccomp profile: %w", err)
	}
	rules := map[string][]rule{}
	for _, s := range profile.Syscalls {
		for _, name := range s.Names {
			rules[name] = append(rules[name], rule{s.Args, action(s.Action, s.ErrnoRet)})
		}
	}
	for _, c := range notify {
		rules[c.Name] = append(notified(c), rules[c.Name]...)
	}
	rules["socketcall"] = append([]rule{{
		args:   []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}, // SYS_SOCKET
		action: retErrno(unix.EPERM),
	}}, rules["socketcall"]...)
	return assemble(sysnum.Of(runtime.GOARCH), rules, action(profile.DefaultAction, profile.DefaultErrnoRet))
}

// notified returns the rules that pass a call on.
func notified(c supervisor.Call) []rule {
	if len(c.Where) == 0 {
		return []rule{{action: retNotify}}
	}
	rules := make([]rule, len(c.Where))
	for i, b := range c.Where {
		rules[i] = rule{
			args:   []specs.LinuxSeccompArg{{Index: b.Index, Value: b.Mask, ValueTwo: b.Value, Op: specs.OpMaskedEqual}},
			action: retNotify,
		}
	}
	return rules
}

func action(a specs.LinuxSeccompAction, errno *uint) uint32 {
	switch {
	case a == specs.ActAllow:
		return retAllow
	case errno != nil:
		return retErrno(unix.Errno(*errno))
	default:
		return retErrno(unix.EPERM)
	}
}

func assemble(abis []sysnum.ABI, rules map[string][]rule, otherwise uint32) ([]bpf.RawInstruction, error) {
	if len(abis) == 0 {
		return nil, fmt.Errorf("no seccomp filter is known for %s", runtime.GOARCH)
	}
	var p program
	p.op(bpf.LoadAbsolute{Off: offArch, Size: 4})
	for _, a := range abis {
		next := p.label()
		p.jumpIf(bpf.JumpNotEqual, a.Audit, next)
		p.abi(a, rules, otherwise)
		p.place(next)
	}
	p.ret(retKill)
	ins, err := p.resolve()
	if err != nil {
		return nil, err
	}
	return bpf.Assemble(ins)
}

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// segment is a run of consecutive numbers, from first up to the next segment's, that are treated alike.
type segment struct {
	first uint32
	rules []rule
}

// segments describes all numbers of an ABI in ascending order.
func segments(a sysnum.ABI, rules map[string][]rule, otherwise uint32) []segment {
	byNumber := map[uint32][]rule{}
	known := uint32(0)
	for name, n := range a.Numbers() {
		if n < 0x10000 { // arm has private calls far above the others
			known = max(known, n)
		}
		byNumber[n] = append(slices.Clone(rules[name]), rule{action: otherwise})
	}
	numbers := make([]uint32, 0, len(byNumber))
	for n := range byNumber {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	newer := []rule{{action: retErrno(unix.ENOSYS)}}
	segs := []segment{{0, newer}}
	add := func(first uint32, rules []rule) {
		if !sameRules(segs[len(segs)-1].rules, rules) {
			segs = append(segs, segment{first, rules})
		}
	}
	for i, n := range numbers {
		add(n, byNumber[n])
		if i+1 == len(numbers) || numbers[i+1] != n+1 {
			add(n+1, newer)
		}
	}
	return segs
}

// sameRules reports whether two lists do the same; lists with arguments are never the same.
func sameRules(a, b []rule) bool {
	return len(a[0].args) == 0 && len(b[0].args) == 0 && a[0].action == b[0].action
}

// abi emits the decision about a number of one ABI.
func (p *program) abi(a sysnum.ABI, rules map[string][]rule, otherwise uint32) {
	p.op(bpf.LoadAbsolute{Off: offNumber, Size: 4})
	if a.X32 {
		native := p.label()
		p.jumpIf(bpf.JumpLessThan, 0x40000000, native)
		p.ret(retErrno(unix.ENOSYS))
		p.place(native)
	}
	p.search(segments(a, rules, otherwise))
}

// search emits a binary search for the segment of the number in the accumulator.
func (p *program) search(segs []segment) {
	if len(segs) == 1 {
		p.rules(segs[0].rules)
		return
	}
	middle := len(segs) / 2
	upper := p.label()
	p.jumpIf(bpf.JumpGreaterOrEqual, segs[middle].first, upper)
	p.search(segs[:middle])
	p.place(upper)
	p.search(segs[middle:])
}

// rules emits the rules of one call: the first whose arguments fit decides.
func (p *program) rules(rules []rule) {
	for _, r := range rules {
		next := p.label()
		for _, arg := range r.args {
			p.argument(arg, next)
		}
		p.ret(r.action)
		p.place(next)
		if len(r.args) == 0 {
			return
		}
	}
}

// argument emits a jump to otherwise unless an argument fits. Arguments have 64 bits, the machine 32.
func (p *program) argument(arg specs.LinuxSeccompArg, otherwise label) {
	low, high := uint32(arg.Value), uint32(arg.Value>>32)
	off := uint32(offArgs + 8*arg.Index)
	load := func(half uint32) { p.op(bpf.LoadAbsolute{Off: off + 4*half, Size: 4}) }
	fits := p.label()
	switch arg.Op {
	case specs.OpEqualTo:
		load(1)
		p.jumpIf(bpf.JumpNotEqual, high, otherwise)
		load(0)
		p.jumpIf(bpf.JumpNotEqual, low, otherwise)
	case specs.OpMaskedEqual:
		load(1)
		p.op(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: high})
		p.jumpIf(bpf.JumpNotEqual, uint32(arg.ValueTwo>>32), otherwise)
		load(0)
		p.op(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: low})
		p.jumpIf(bpf.JumpNotEqual, uint32(arg.ValueTwo), otherwise)
	case specs.OpLessThan:
		load(1)
		p.jumpIf(bpf.JumpLessThan, high, fits)
		p.jumpIf(bpf.JumpNotEqual, high, otherwise)
		load(0)
		p.jumpIf(bpf.JumpGreaterOrEqual, low, otherwise)
	case specs.OpGreaterThan:
		load(1)
		p.jumpIf(bpf.JumpGreaterThan, high, fits)
		p.jumpIf(bpf.JumpNotEqual, high, otherwise)
		load(0)
		p.jumpIf(bpf.JumpLessOrEqual, low, otherwise)
	case specs.OpNotEqual, specs.OpLessEqual, specs.OpGreaterEqual:
		fallthrough
	default:
		p.err = errors.Join(p.err, fmt.Errorf("the seccomp profile compares with %s, which is not known here", arg.Op))
	}
	p.place(fits)
}

// program is a filter under construction, with jumps to labels whose place is not known yet.
type program struct {
	ins   []bpf.Instruction
	jumps map[int]label
	// places holds where each label stands.
	places []int
	err    error
}

// label is a place that jumps can name.
type label int

func (p *program) label() label {
	p.places = append(p.places, -1)
	return label(len(p.places) - 1)
}

func (p *program) place(l label) { p.places[l] = len(p.ins) }

func (p *program) op(i bpf.Instruction) { p.ins = append(p.ins, i) }

func (p *program) ret(action uint32) { p.op(bpf.RetConstant{Val: action}) }

// jumpIf emits a jump to l if the accumulator compares with value. Conditional jumps reach 255
// instructions only, so it is a short one around a long one.
func (p *program) jumpIf(test bpf.JumpTest, value uint32, l label) {
	p.op(bpf.JumpIf{Cond: test, Val: value, SkipFalse: 1})
	if p.jumps == nil {
		p.jumps = map[int]label{}
	}
	p.jumps[len(p.ins)] = l
	p.op(bpf.Jump{})
}

// resolve fills in the distances.
func (p *program) resolve() ([]bpf.Instruction, error) {
	for at, l := range p.jumps {
		p.ins[at] = bpf.Jump{Skip: uint32(p.places[l] - at - 1)}
	}
	return p.ins, p.err
}
