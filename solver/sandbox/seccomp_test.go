//go:build linux

package sandbox

import (
	"encoding/binary"
	"testing"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/solver/sandbox/sysnum"
)

// verdict runs the assembled filter on one call.
func verdict(t testing.TB, vm *bpf.VM, arch, nr uint32, args [6]uint64) uint32 {
	t.Helper()
	// The kernel gives struct seccomp_data in its own byte order, the VM reads network order.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], nr)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	v, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

func filterVM(t testing.TB) *bpf.VM {
	t.Helper()
	raw, err := defaultFilter(capabilityNames(defaultCapabilities), nil)
	if err != nil {
		t.Fatal(err)
	}
	ins, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter cannot be read back")
	}
	if len(ins) > 4096 {
		t.Fatalf("the filter has %d instructions, the kernel takes 4096", len(ins))
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// want interprets the profile the slow and obvious way.
func want(profile *specs.LinuxSeccomp, name string, args [6]uint64) uint32 {
	if name == "socketcall" && args[0] == 1 {
		return retErrno(unix.EPERM)
	}
	for _, s := range profile.Syscalls {
		for _, n := range s.Names {
			if n == name && argsFit(s.Args, args) {
				return action(s.Action, s.ErrnoRet)
			}
		}
	}
	return retErrno(unix.EPERM)
}

func argsFit(want []specs.LinuxSeccompArg, got [6]uint64) bool {
	for _, w := range want {
		v := got[w.Index]
		switch w.Op {
		case specs.OpEqualTo:
			if v != w.Value {
				return false
			}
		case specs.OpLessThan:
			if v >= w.Value {
				return false
			}
		case specs.OpGreaterThan:
			if v <= w.Value {
				return false
			}
		case specs.OpMaskedEqual:
			if v&w.Value != w.ValueTwo {
				return false
			}
		case specs.OpNotEqual, specs.OpLessEqual, specs.OpGreaterEqual:
			return false
		}
	}
	return true
}

func defaultProfile(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	p, err := seccomp.GetDefaultProfile(&specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilityNames(defaultCapabilities)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// For every call of every ABI and some arguments the filter does what the profile says.
func TestFilterEqualsProfile(t *testing.T) {
	vm, profile := filterVM(t), defaultProfile(t)
	values := []uint64{
		0, 1, 2, 8, 0x20000, 0x20008, unix.AF_ALG, unix.AF_ALG + 1, unix.AF_VSOCK, unix.AF_VSOCK + 1,
		unix.CLONE_NEWUSER, unix.CLONE_VM, 0xffffffff, 1 << 32, 1<<32 | 1, 1<<63 | unix.AF_ALG,
	}
	for _, a := range sysnum.Of("amd64") {
		for name, nr := range a.Numbers() {
			for _, v := range values {
				args := [6]uint64{v}
				if got, want := verdict(t, vm, a.Audit, nr, args), want(profile, name, args); got != want {
					t.Errorf("%s %s(%#x): got %#x, want %#x", a.Name, name, v, got, want)
				}
			}
		}
	}
}

func TestFilterOfUnknownCalls(t *testing.T) {
	vm := filterVM(t)
	for _, c := range []struct {
		name     string
		arch, nr uint32
		want     uint32
	}{
		{"newer than the profile", unix.AUDIT_ARCH_X86_64, 9999, retErrno(unix.ENOSYS)},
		{"newer on i386", unix.AUDIT_ARCH_I386, 9999, retErrno(unix.ENOSYS)},
		{"x32", unix.AUDIT_ARCH_X86_64, 0x40000000, retErrno(unix.ENOSYS)},
		{"another architecture", unix.AUDIT_ARCH_PPC64LE, 1, retKill},
		{"clone3", unix.AUDIT_ARCH_X86_64, 435, retErrno(unix.ENOSYS)},
		{"mount", unix.AUDIT_ARCH_X86_64, 165, retErrno(unix.EPERM)},
		{"io_uring_setup", unix.AUDIT_ARCH_X86_64, 425, retErrno(unix.EPERM)},
		{"socketcall socket on i386", unix.AUDIT_ARCH_I386, 102, retErrno(unix.EPERM)},
	} {
		if got := verdict(t, vm, c.arch, c.nr, [6]uint64{1}); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
}

func FuzzSeccomp(f *testing.F) {
	f.Add(true, uint32(41), uint64(38))
	f.Add(false, uint32(102), uint64(1))
	vm, profile := filterVM(f), defaultProfile(f)
	names := map[string]map[uint32]string{}
	for _, a := range sysnum.Of("amd64") {
		names[a.Name] = map[uint32]string{}
		for name, nr := range a.Numbers() {
			names[a.Name][nr] = name
		}
	}
	f.Fuzz(func(t *testing.T, first bool, nr uint32, arg uint64) {
		a := sysnum.Of("amd64")[0]
		if !first {
			a = sysnum.Of("amd64")[1]
		}
		args := [6]uint64{arg, arg >> 7}
		name, ok := names[a.Name][nr]
		w := retErrno(unix.ENOSYS)
		if ok {
			w = want(profile, name, args)
		}
		if got := verdict(t, vm, a.Audit, nr, args); got != w {
			t.Errorf("%s %d(%#x): got %#x, want %#x", a.Name, nr, arg, got, w)
		}
	})
}
