//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
)

// detach takes what is open at source, with all that is mounted below it, as a mount attached nowhere.
// It must be called where source is mounted: later, in the sandbox's own mount namespace, the kernel
// would refuse.
func detach(source *os.File, attributes uint64) (*os.File, error) {
	fd, err := unix.OpenTree(int(source.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("taking %s: %w", source.Name(), err)
	}
	f := os.NewFile(uintptr(fd), source.Name())
	if err := setAttributes(f, attributes); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// setAttributes adds MOUNT_ATTR_ flags to a mount and all below it.
func setAttributes(mount *os.File, attributes uint64) error {
	if attributes == 0 {
		return nil
	}
	attr := unix.MountAttr{Attr_set: attributes}
	if err := unix.MountSetattr(int(mount.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("restricting the mount of %s: %w", mount.Name(), err)
	}
	return nil
}

// newMount makes a file system that is attached nowhere. Options are name=value, or a name alone.
func newMount(fstype string, attributes int, options ...[2]string) (*os.File, error) {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a %s file system: %w", fstype, err)
	}
	defer func() { _ = unix.Close(ctx) }()
	for _, o := range options {
		if o[1] == "" {
			err = unix.FsconfigSetFlag(ctx, o[0])
		} else {
			err = unix.FsconfigSetString(ctx, o[0], o[1])
		}
		if err != nil {
			return nil, fmt.Errorf("making a %s file system: option %s=%s: %w", fstype, o[0], o[1], err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, fmt.Errorf("making a %s file system: %w", fstype, err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return nil, fmt.Errorf("making a %s file system: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// attach puts a detached mount upon target.
func attach(mount, target *os.File) error {
	err := unix.MoveMount(int(mount.Fd()), "", int(target.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mounting %s: %w", mount.Name(), err)
	}
	return nil
}

const (
	nosuid = unix.MOUNT_ATTR_NOSUID
	nodev  = unix.MOUNT_ATTR_NODEV
	noexec = unix.MOUNT_ATTR_NOEXEC
	rdonly = unix.MOUNT_ATTR_RDONLY
)

// devices are those of the machine that a command gets.
func devices() []string { return []string{"null", "zero", "full", "random", "urandom", "tty"} }

// hostParts is what is taken from the machine before its root is given up, all of it detached.
type hostParts struct {
	// root is the root directory of the spec.
	root    *os.File
	devices []*os.File
	// masks hide parts of /proc: /dev/null for a file, an empty directory for a directory.
	masks map[string]*os.File
	// readOnly are the names of the parts of /proc that are to be protected.
	readOnly []string
	// mounts are those of the spec, in its order.
	mounts []*os.File
}

func (p *hostParts) close() {
	for _, f := range slices.Concat([]*os.File{p.root}, p.devices, p.mounts, slices.Collect(maps.Values(p.masks))) {
		f.Close()
	}
}

// take takes what s needs from the machine.
func take(s *Spec) (p *hostParts, err error) {
	p = &hostParts{masks: map[string]*os.File{}, readOnly: existing(readOnlyProc())}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.root, err = takeRoot(s.Root); err != nil {
		return p, err
	}
	for _, name := range devices() {
		// Not nodev: that would keep the device from being opened.
		f, err := takeDevice(name)
		if err != nil {
			return p, err
		}
		p.devices = append(p.devices, f)
	}
	for _, name := range existing(maskedFiles()) {
		if p.masks[name], err = takeDevice("null"); err != nil {
			return p, err
		}
	}
	for _, name := range existing(maskedDirs()) {
		if p.masks[name], err = newMount("tmpfs", nosuid|nodev|noexec|rdonly, [2]string{"mode", "555"}); err != nil {
			return p, err
		}
	}
	for _, m := range s.Mounts {
		f, err := m.take()
		if err != nil {
			return p, fmt.Errorf("mounting %s: %w", m.Target, err)
		}
		p.mounts = append(p.mounts, f)
	}
	return p, nil
}

func takeDevice(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/"+name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("taking /dev/%s: %w", name, err)
	}
	source := os.NewFile(uintptr(fd), "/dev/"+name)
	defer source.Close()
	return detach(source, nosuid|noexec)
}

// take makes the mount, attached nowhere yet.
func (m *Mount) take() (*os.File, error) {
	attributes := uint64(nosuid | nodev)
	if m.ReadOnly {
		attributes |= rdonly
	}
	if m.Source != nil {
		return detach(m.Source, attributes)
	}
	options := [][2]string{{"mode", strconv.FormatUint(uint64(m.Mode), 8)}}
	if m.Size > 0 {
		options = append(options, [2]string{"size", strconv.FormatInt(m.Size, 10)})
	}
	return newMount("tmpfs", int(attributes), options...)
}

// takeRoot takes the root directory of a command, which is a mount that is attached nowhere, or a directory.
func takeRoot(root *os.File) (*os.File, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(root.Fd()), "", unix.AT_EMPTY_PATH, 0, &st); err != nil {
		return nil, err
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return detach(root, nodev)
	}
	fd, err := unix.FcntlInt(root.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), root.Name()), nil
}

// existing returns the names that this kernel has in /proc.
func existing(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := os.Lstat("/proc/" + name)
		return err != nil
	})
}

// maskedFiles are files of /proc that tell about the machine or reach into it, maskedDirs directories.
func maskedFiles() []string {
	return []string{"kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "interrupts"}
}

func maskedDirs() []string { return []string{"acpi", "asound", "scsi"} }

// readOnlyProc are the parts of /proc that a command may only read.
func readOnlyProc() []string { return []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} }

// dev mounts /dev and fills it.
func (r *root) dev(p *hostParts, limits Limits) error {
	target, err := r.directory("dev")
	if err != nil {
		return err
	}
	defer target.Close()
	dev, err := newMount("tmpfs", nosuid|noexec, [2]string{"mode", "755"}, [2]string{"size", "65536k"})
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := attach(dev, target); err != nil {
		return err
	}
	fd := int(dev.Fd())
	for i, name := range devices() {
		if err := placeDevice(fd, name, p.devices[i]); err != nil {
			return err
		}
	}
	for _, l := range [][2]string{
		{"/proc/self/fd", "fd"},
		{"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"},
		{"/proc/self/fd/2", "stderr"},
		{"pts/ptmx", "ptmx"},
		{"/proc/kcore", "core"},
	} {
		if err := unix.Symlinkat(l[0], fd, l[1]); err != nil {
			return fmt.Errorf("making /dev/%s: %w", l[1], err)
		}
	}
	return devMounts(dev, limits)
}

func placeDevice(dev int, name string, device *os.File) error {
	if err := unix.Mknodat(dev, name, unix.S_IFREG|0o666, 0); err != nil {
		return fmt.Errorf("making /dev/%s: %w", name, err)
	}
	err := unix.MoveMount(int(device.Fd()), "", dev, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mounting /dev/%s: %w", name, err)
	}
	return nil
}

// devMounts mounts pts, shm and mqueue in /dev.
func devMounts(dev *os.File, limits Limits) error {
	shm := "65536k"
	if limits.ShmSize > 0 {
		shm = strconv.FormatInt(limits.ShmSize, 10)
	}
	ptmx := [][2]string{{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}}
	pts, err := newMount("devpts", nosuid|noexec, append(ptmx, [2]string{"gid", "5"})...)
	if err != nil { // gid 5, tty, is not mapped
		pts, err = newMount("devpts", nosuid|noexec, ptmx...)
	}
	if err != nil {
		return err
	}
	defer pts.Close()
	memory, err := newMount("tmpfs", nosuid|nodev|noexec, [2]string{"mode", "1777"}, [2]string{"size", shm})
	if err != nil {
		return err
	}
	defer memory.Close()
	mounts := []struct {
		name  string
		mount *os.File
	}{{"pts", pts}, {"shm", memory}}
	if queues, err := newMount("mqueue", nosuid|nodev|noexec); err == nil { // a kernel may lack it
		defer queues.Close()
		mounts = append(mounts, struct {
			name  string
			mount *os.File
		}{"mqueue", queues})
	}
	for _, m := range mounts {
		if err := unix.Mkdirat(int(dev.Fd()), m.name, 0o755); err != nil {
			return fmt.Errorf("making /dev/%s: %w", m.name, err)
		}
		target, err := inroot.OpenReal(dev, m.name, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		err = attach(m.mount, target)
		target.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// sys mounts /sys: the real one, read-only, where the network namespace is the sandbox's own, else an
// empty directory.
func (r *root) sys() error {
	target, err := r.directory("sys")
	if err != nil {
		return err
	}
	defer target.Close()
	sys, err := newMount("sysfs", nosuid|nodev|noexec|rdonly)
	if err != nil {
		sys, err = emptySys()
	}
	if err != nil {
		return err
	}
	defer sys.Close()
	if err := attach(sys, target); err != nil {
		return err
	}
	if err := r.mask(sys, "firmware", "devices/virtual/powercap"); err != nil {
		return err
	}
	return mountCgroups(sys)
}

// emptySys makes a /sys with nothing in it but the place for cgroups.
func emptySys() (*os.File, error) {
	sys, err := newMount("tmpfs", nosuid|nodev|noexec, [2]string{"mode", "555"})
	if err != nil {
		return nil, err
	}
	groups, err := inroot.Directory(sys, "fs/cgroup", nil)
	if err == nil {
		groups.Close()
		err = setAttributes(sys, rdonly)
	}
	if err != nil {
		sys.Close()
		return nil, err
	}
	return sys, nil
}

// mountCgroups mounts the command's own view of the cgroups, if the machine has them in one tree.
func mountCgroups(sys *os.File) error {
	target, err := inroot.OpenReal(sys, "fs/cgroup", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer target.Close()
	groups, err := newMount("cgroup2", nosuid|nodev|noexec|rdonly)
	if err != nil {
		return nil
	}
	defer groups.Close()
	return attach(groups, target)
}

// mask hides directories below dir, those that exist.
func (r *root) mask(dir *os.File, names ...string) error {
	for _, name := range names {
		target, err := inroot.OpenReal(dir, name, unix.O_PATH|unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return err
		}
		empty, err := newMount("tmpfs", nosuid|nodev|noexec|rdonly, [2]string{"mode", "555"})
		if err == nil {
			err = attach(empty, target)
			empty.Close()
		}
		target.Close()
		if err != nil {
			return fmt.Errorf("hiding %s: %w", name, err)
		}
	}
	return nil
}

// place attaches the mounts of the spec.
func (r *root) place(mounts []Mount, taken []*os.File) error {
	for i, m := range mounts {
		info, err := taken[i].Stat()
		if err != nil {
			return err
		}
		target, err := r.target(m.Target, info.IsDir())
		if err != nil {
			return &StartError{What: "mounting " + m.Target, Err: err}
		}
		err = attach(taken[i], target)
		target.Close()
		if errors.Is(err, unix.ENOTDIR) {
			return &StartError{What: "mounting " + m.Target, Err: errors.New("one of source and target is a directory and the other is not")}
		}
		if err != nil {
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
	}
	return nil
}
