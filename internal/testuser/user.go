package testuser

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Name is what the user is called that root makes for the tests.
const Name = "builder-test"

// account is a user of this machine.
type account struct {
	uid, gid uint32
}

// ordinary returns the account of the tests' user, which has subordinate ids. If there is none it is made.
func ordinary() (account, error) {
	unlock, err := lock()
	if err != nil {
		return account{}, err
	}
	defer unlock()
	u, err := osuser.Lookup(Name)
	if _, unknown := errors.AsType[osuser.UnknownUserError](err); unknown {
		if err = command("useradd", "--create-home", "--shell", "/bin/sh", Name); err == nil {
			u, err = osuser.Lookup(Name)
		}
	}
	if err != nil {
		return account{}, fmt.Errorf("making the user %s: %w", Name, err)
	}
	if !hasRange(u.Username, u.Uid) {
		if err := command("usermod", "--add-subuids", freeRange, "--add-subgids", freeRange, Name); err != nil {
			return account{}, fmt.Errorf("giving %s subordinate ids: %w", Name, err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return account{uint32(uid), uint32(gid)}, err
}

// freeRange is far above what useradd gives to others.
const freeRange = "1879048192-1879113727"

// lock keeps other test binaries from making the user at the same time.
func lock() (unlock func(), err error) {
	f, err := os.OpenFile("/run/lock/"+Name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil { //nolint:noctx // it is short
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// checkRange finds out whether the user who runs the tests has what the program needs.
func checkRange() error {
	u, err := osuser.Current()
	if err != nil {
		return err
	}
	if !hasRange(u.Username, u.Uid) {
		return fmt.Errorf("%s has no subordinate ids; as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
			u.Username, u.Username)
	}
	return nil
}

// hasRange reports whether a user has subordinate ids. Both files name users or their numbers.
func hasRange(name, uid string) bool {
	return listed("/etc/subuid", name, uid) && listed("/etc/subgid", name, uid)
}

func listed(file, name, uid string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if owner, _, _ := strings.Cut(s.Text(), ":"); owner == name || owner == uid {
			return true
		}
	}
	return false
}

// own gives all files below dir to the user.
func (a account) own(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}
