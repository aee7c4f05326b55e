//go:build linux

package platforms

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// Emulator makes programs for other architectures run, by registering QEMU's user-mode emulators with
// the kernel's binfmt_misc. It does so in the user namespace of the process (since Linux 6.7): nothing on
// the machine is changed, and all is gone with the process. Where the kernel cannot do that, what the
// machine has registered is used.
type Emulator struct {
	// Dir is a directory to mount binfmt_misc on; it is made when it is needed.
	Dir string
	// QEMU is a directory to look for emulators in before those of Path, "" for none.
	QEMU string
	// Path is the list of directories to look for emulators in, as in $PATH.
	Path string

	mu      sync.Mutex
	mounted bool
	enabled map[string]error
}

// UnsupportedError says that programs for a platform cannot be run on this machine, and what to do about it.
type UnsupportedError struct {
	Platform v1.Platform
	Why      string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("this machine cannot run programs for %s: %s", Format(e.Platform), e.Why)
}

// Enable makes programs for p run. The error is an *UnsupportedError if they cannot.
func (e *Emulator) Enable(p v1.Platform) error {
	p = Normalize(p)
	if p.OS != "linux" {
		return &UnsupportedError{p, "it is no Linux platform"}
	}
	if native(p.Architecture) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	err, done := e.enabled[p.Architecture]
	if !done {
		err = e.enable(p)
		if e.enabled == nil {
			e.enabled = map[string]error{}
		}
		e.enabled[p.Architecture] = err
	}
	return err
}

// Native reports whether the processor runs programs for p itself.
func Native(p v1.Platform) bool { return p.OS == "linux" && native(p.Architecture) }

// native reports whether the processor runs programs of an architecture itself.
func native(arch string) bool {
	return arch == runtime.GOARCH || runtime.GOARCH == "amd64" && arch == "386"
}

func (e *Emulator) enable(p v1.Platform) error {
	target, ok := targets()[p.Architecture]
	if !ok {
		return &UnsupportedError{p, "no emulator is known for it"}
	}
	program, err := e.find(target.name)
	if err == nil {
		if err = e.register(p.Architecture, target, program); err == nil {
			return nil
		}
	}
	if registered(target) {
		return nil
	}
	return &UnsupportedError{p, err.Error()}
}

// find returns the path of the emulator called qemu-NAME-static or qemu-NAME.
func (e *Emulator) find(name string) (string, error) {
	dirs := filepath.SplitList(e.Path)
	if e.QEMU != "" {
		dirs = append([]string{e.QEMU}, dirs...)
	}
	for _, dir := range dirs {
		for _, file := range []string{"qemu-" + name + "-static", "qemu-" + name} {
			candidate := filepath.Join(dir, file)
			if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
	}
	return "", fmt.Errorf("qemu-%s-static is not installed (Debian, Ubuntu: apt-get install qemu-user-static; Fedora: dnf install qemu-user-static), and not in $BUILDER_QEMU_DIR", name)
}

// register registers an emulator. With flag F the kernel opens it now, so that it need not be in an image;
// with C setuid programs keep their meaning; O goes with C; with P, which QEMU knows since version 6,
// programs see the name they were called by.
func (e *Emulator) register(arch string, t target, program string) error {
	if strings.ContainsAny(program, ":\n\\") {
		return fmt.Errorf("the path of the emulator, %q, has a character that cannot be registered", program)
	}
	if err := e.mount(); err != nil {
		return err
	}
	flags := "OCF"
	if qemuVersion(program) >= 6 {
		flags = "POCF"
	}
	line := fmt.Sprintf(":qemu-%s:M::%s:%s:%s:%s", arch, escaped(t.magic()), escaped(t.mask()), program, flags)
	err := os.WriteFile(filepath.Join(e.Dir, "register"), []byte(line), 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("registering %s with binfmt_misc: %w", program, err)
	}
	return nil
}

// qemuVersion returns the major version of an emulator, 0 if it does not tell.
func qemuVersion(program string) (major int) {
	out, err := exec.Command(program, "--version").Output() //nolint:noctx // it ends at once
	if err != nil {
		return 0
	}
	_, version, _ := strings.Cut(string(out), " version ")
	_, _ = fmt.Sscanf(version, "%d.", &major)
	return major
}

// Close undoes what Enable did.
func (e *Emulator) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mounted {
		return nil
	}
	e.mounted = false
	return unix.Unmount(e.Dir, unix.MNT_DETACH)
}

func (e *Emulator) mount() error {
	if e.mounted {
		return nil
	}
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("binfmt_misc", e.Dir, "binfmt_misc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting binfmt_misc in this user namespace: %w (it needs Linux 6.7; or let an administrator register QEMU with flag F)", err)
	}
	e.mounted = true
	return nil
}

// registered reports whether the machine has an emulator that needs nothing of it in the image.
func registered(t target) bool {
	const dir = "/proc/sys/fs/binfmt_misc"
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			continue
		}
		s := string(text)
		if strings.HasPrefix(s, "enabled") && strings.Contains(s, "magic "+fmt.Sprintf("%x", t.magic())) && fixed(s) {
			return true
		}
	}
	return false
}

// fixed reports whether an entry of binfmt_misc has the flag F.
func fixed(entry string) bool {
	_, flags, ok := strings.Cut(entry, "flags: ")
	line, _, _ := strings.Cut(flags, "\n")
	return ok && strings.Contains(line, "F")
}

// target is how the programs of an architecture look: the fields of an ELF header, see elf(5).
type target struct {
	// name is that of the emulator.
	name string
	// bits is 32 or 64; big: big-endian.
	bits    int
	big     bool
	machine byte
}

func targets() map[string]target {
	return map[string]target{
		"386":      {"i386", 32, false, 3},
		"amd64":    {"x86_64", 64, false, 62},
		"arm":      {"arm", 32, false, 40},
		"arm64":    {"aarch64", 64, false, 183},
		"loong64":  {"loongarch64", 64, false, 2 /* and 1: 258 */},
		"mips64le": {"mips64el", 64, false, 8},
		"ppc64le":  {"ppc64le", 64, false, 21},
		"riscv64":  {"riscv64", 64, false, 243},
		"s390x":    {"s390x", 64, true, 22},
	}
}

// magic is how an executable begins: identification, type 2 (executable), machine.
func (t target) magic() []byte {
	class, data := byte(2), byte(1)
	if t.bits == 32 {
		class = 1
	}
	high := byte(0)
	if t.name == "loongarch64" {
		high = 1
	}
	if t.big {
		data = 2
		return []byte{0x7f, 'E', 'L', 'F', class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, high, t.machine}
	}
	return []byte{0x7f, 'E', 'L', 'F', class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, t.machine, high}
}

// mask says which bits count: not the ABI version, and of the type not whether it is position-independent.
func (t target) mask() []byte {
	m := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff}
	if t.big {
		m[16], m[17] = 0xff, 0xfe
	}
	return m
}

// escaped writes bytes as binfmt_misc reads them.
func escaped(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\x%02x`, c)
	}
	return s.String()
}

// LookPath returns the path of the emulator for an architecture, for reports.
func (e *Emulator) LookPath(arch string) (string, error) {
	t, ok := targets()[arch]
	if !ok {
		return "", exec.ErrNotFound
	}
	return e.find(t.name)
}
