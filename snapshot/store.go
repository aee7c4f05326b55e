//go:build linux

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/filelock"
	"github.com/seed-298d225e/builder/wholefile"
)

// formatVersion is what the file "format" of a store says. A store that says anything else was made by
// another version and is not touched.
const formatVersion = "builder store 1\n"

// Store is a directory of trees and blobs. Any number of processes may use it at once.
//
//	format              the version
//	blobs/sha256/ab/…   compressed layers, manifests and configurations, named by their digest
//	mountpoints         what lies below the layers in the tree of every command
//	trees/ID/fs         unpacked layers: the chain ID of an image's layer, the content ID of ours
//	trees/ID/listing    what ours hold
//	trees/ID/inventory  what stands in the directory of an image's layer
//	layers/ID           what is known of the packed form of a layer, by content ID
//	tmp/build-…/made-…  what one process is making; locked as long as it lives
//
// What is under its final name is complete: everything is made under tmp and renamed.
type Store struct {
	path   string
	owners Owners
	// shelves keep objects of other kinds.
	shelves []Shelf
	// lookOnly: see Options.
	lookOnly bool
	driver   func() (chosenDriver, error)
	plain    *plain
	// tmp is the directory of this process, and made in it that of what it makes.
	tmp, made string
	lock      *os.File
	// leases is the file that says what this process uses, leased what stands in it.
	leases *os.File
	leased sync.Map
	boot   string
	serial atomic.Int64
	// span is told of work on layers.
	span func(what string) (end func())
	// packing has a slot for each layer that is packed at once.
	packing chan struct{}

	mu sync.Mutex
	// closing is done by Close.
	closing []func() error
}

// packLimit is how many layers are packed at once. Each uses all processors; a second one fills the gaps.
const packLimit = 2

// Options says how a store is used.
type Options struct {
	// Owners are the ids that files can be given.
	Owners Owners
	// Driver is how trees are made writable; "" is DriverAuto.
	Driver Driver
	// Shelves are other places that count as parts of the store.
	Shelves []Shelf
	// LookOnly: what dead processes have left stays, and no layer is packed: one that is not is fs.ErrNotExist.
	LookOnly bool
	// Span, if not nil, is told when work on a layer begins, and by end when it ends.
	Span func(what string) (end func())
}

// Open opens the store at path and makes it if it is missing. Close it at the end.
func Open(path string, o Options) (*Store, error) {
	s := &Store{path: path, owners: o.Owners, shelves: o.Shelves, lookOnly: o.LookOnly, boot: bootID(), packing: make(chan struct{}, packLimit)}
	if err := s.create(); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	if !o.LookOnly {
		s.removeLeftovers()
	}
	if err := s.makeTemporary(); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	s.plain = newPlain(s)
	if s.span = o.Span; s.span == nil {
		s.span = func(string) func() { return func() {} }
	}
	s.driver = sync.OnceValues(func() (chosenDriver, error) { return s.chooseDriver(o.Driver) })
	return s, nil
}

// Close saves what is to be remembered and removes what this process was making.
func (s *Store) Close() error {
	var errs []error
	for _, f := range s.closing {
		errs = append(errs, f())
	}
	errs = append(errs, os.RemoveAll(s.tmp))
	s.leases.Close()
	s.lock.Close()
	return errors.Join(errs...)
}

func (s *Store) atClose(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = append(s.closing, f)
}

// create makes the directories of the store and checks whose they are: setuid files of images in
// a directory that others can reach would run as this user (CVE-2021-41091).
func (s *Store) create() error {
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(s.path, &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to user %d", st.Uid, os.Geteuid())
	}
	if st.Mode&0o077 != 0 {
		return fmt.Errorf("others can reach it (mode %04o); it must have mode 0700", st.Mode&0o7777)
	}
	for _, dir := range []string{"blobs/sha256", "trees", "layers", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.path, dir), 0o700); err != nil {
			return err
		}
	}
	lock, err := os.OpenFile(s.pruneLock(), os.O_RDWR|os.O_CREATE, 0o600) // when the disk is full it could not be made
	if err != nil {
		return err
	}
	lock.Close()
	return s.checkFormat()
}

func (s *Store) checkFormat() error {
	name := filepath.Join(s.path, "format")
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		tag := "Signature: 8a477f597d28d172789f06886806bc55\n# Made by builder; see https://bford.info/cachedir/\n"
		if err := os.WriteFile(filepath.Join(s.path, "CACHEDIR.TAG"), []byte(tag), 0o600); err != nil {
			return err
		}
		return wholefile.Write(name, 0o600, []byte(formatVersion))
	case err != nil:
		return err
	case string(text) != formatVersion:
		return fmt.Errorf("it is of format %q, made by another version; use another directory", strings.TrimSpace(string(text)))
	}
	return nil
}

// bootID names the time since the machine was started.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(id))
}

// makeTemporary makes the directory for what this process makes. It is locked before it has its name, so that
// nobody takes it for that of a dead process.
func (s *Store) makeTemporary() error {
	dir, err := os.MkdirTemp(filepath.Join(s.path, "tmp"), "new-")
	if err != nil {
		return err
	}
	s.leases, err = os.OpenFile(filepath.Join(dir, "lease"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if s.lock, err = filelock.Try(filepath.Join(dir, "lock"), filelock.Exclusive); err != nil {
		return err
	}
	s.tmp = filepath.Join(s.path, "tmp", strings.Replace(filepath.Base(dir), "new-", "build-", 1))
	s.made = s.tmp
	if !s.lookOnly {
		made, err := makeApart(dir)
		if err != nil {
			return err
		}
		s.made = filepath.Join(s.tmp, made)
	}
	return os.Rename(dir, s.tmp)
}

// makeApart makes a directory in dir and returns its name. ext4 looks for a place for it that is away from that of others,
// see the attribute T in chattr(1), and depends on its name, which hence is a new one. New files go where their directory
// is, and without a journal ext4 finds a number for one by passing all that were removed there in the last minutes: an
// overlay alone makes seven and removes most of them, for every command.
func makeApart(dir string) (name string, err error) {
	const topdir = 0x20000 // FS_TOPDIR_FL of linux/fs.h
	if parent, err := os.Open(dir); err == nil {
		if flags, err := unix.IoctlGetUint32(int(parent.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
			_ = unix.IoctlSetPointerInt(int(parent.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topdir))
		}
		parent.Close()
	}
	made, err := os.MkdirTemp(dir, "made-")
	return filepath.Base(made), err
}

// removeLeftovers removes what processes were making that have died. Errors do not matter: another
// process may be doing the same.
func (s *Store) removeLeftovers() {
	dirs, err := os.ReadDir(filepath.Join(s.path, "tmp"))
	if err != nil {
		return
	}
	for _, d := range dirs {
		dir := filepath.Join(s.path, "tmp", d.Name())
		info, err := d.Info()
		if old := err == nil && time.Since(info.ModTime()) > time.Hour; old || !strings.HasPrefix(d.Name(), "new-") {
			removeLeftover(dir, old)
		}
	}
}

// removeLeftover removes a directory of tmp unless its process lives. One without a lock is being removed by its process,
// or is old and was being made or removed by one that died.
func removeLeftover(dir string, old bool) {
	lock, err := tryExisting(filepath.Join(dir, "lock"), filelock.Exclusive)
	if err == nil {
		defer lock.Close()
	}
	if err == nil || old && errors.Is(err, fs.ErrNotExist) {
		_ = os.RemoveAll(dir)
	}
}

// temporary returns a path below tmp that was not used before.
func (s *Store) temporary(what string) string {
	return filepath.Join(s.made, what+"-"+strconv.FormatInt(s.serial.Add(1), 10))
}

// publish gives what was made its final name. If something has that name already it is as good, and what
// was made stays where it is, perhaps in use, until the end of the process.
func (s *Store) publish(made, final string) error {
	err := unix.Renameat2(unix.AT_FDCWD, made, unix.AT_FDCWD, final, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) { // the file system does not know the flag
		err = os.Rename(made, final)
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

// treePath is where the unpacked layer with an ID is.
func (s *Store) treePath(id v1.Hash) string { return filepath.Join(s.path, "trees", id.Hex) }

// ownTreePath is where it is if at treePath there is one that is of no use here, see treeRecord.Disk.
func (s *Store) ownTreePath(id v1.Hash) string {
	sum := sha256.Sum256([]byte(s.owners.Disk))
	return s.treePath(id) + "-" + hex.EncodeToString(sum[:4])
}

// BlobPath is where the blob with a digest is or would be.
func (s *Store) BlobPath(digest v1.Hash) string {
	return filepath.Join(s.path, "blobs", digest.Algorithm, digest.Hex[:2], digest.Hex)
}

// Path is the directory of the store.
func (s *Store) Path() string { return s.path }

// Temporary returns a directory that ends with the process.
func (s *Store) Temporary() string { return s.made }
