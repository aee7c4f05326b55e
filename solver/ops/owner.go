//go:build linux

package ops

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	mode9 "github.com/tonistiigi/dchapes-mode"

	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// owner is a user and a group by number.
type owner struct {
	uid, gid uint32
}

// checkOwner fails if the owner that spec names cannot be looked up because the step is the first of a stage
// that begins from nothing.
func checkOwner(v *solver.Vertex, spec string) error {
	if _, ok := v.Inputs[0].Op.(solver.Scratch); !ok {
		return nil
	}
	user, group, _ := strings.Cut(spec, ":")
	for _, name := range []string{user, group} {
		if name == "" {
			continue
		}
		if _, err := parseID(name); err != nil {
			return fmt.Errorf("%q cannot be looked up in a stage that begins from scratch: use a number", name)
		}
	}
	return nil
}

// copyOwner returns the owner that --chown names, nil if it names none. A name that the tree does not know
// is root, as in BuildKit, and a warning.
func copyOwner(tree snapshot.FS, spec string, emit func(solver.Event)) (*owner, error) {
	if spec == "" {
		return nil, nil
	}
	userName, groupName, _ := strings.Cut(spec, ":")
	var o owner
	if id, err := parseID(userName); err == nil {
		o = owner{id, id}
	} else {
		u, err := findAccount(tree, passwdFile, func(a account) bool { return a.name == userName })
		if err != nil {
			return nil, err
		}
		if u.name == "" {
			emit(solver.Event{Action: solver.ActionWarning, Text: fmt.Sprintf("the image has no user %q: root is used instead", userName)})
		}
		o = owner{u.id, u.group}
	}
	if groupName == "" {
		return &o, nil
	}
	if id, err := parseID(groupName); err == nil {
		o.gid = id
		return &o, nil
	}
	g, err := findAccount(tree, groupFile, func(a account) bool { return a.name == groupName })
	if err != nil {
		return nil, err
	}
	if g.name == "" {
		emit(solver.Event{Action: solver.ActionWarning, Text: fmt.Sprintf("the image has no group %q: that of the user is used instead", groupName)})
		return &o, nil
	}
	o.gid = g.id
	return &o, nil
}

func parseID(s string) (uint32, error) {
	if s == "root" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if n == 1<<32-1 {
		return 0, fmt.Errorf("%s is not an id", s)
	}
	return uint32(n), err
}

// The files that name users and groups, see passwd(5) and group(5).
const (
	passwdFile = "etc/passwd"
	groupFile  = "etc/group"
)

// account is a line of one of those files.
type account struct {
	name string
	id   uint32
	// group and home are those of a user, members those of a group.
	group   uint32
	home    string
	members []string
}

// Limits on files that an image brings.
const (
	maxAccounts    = 10 << 20
	maxAccountLine = 64 << 10
)

// findAccount returns the first account in a file that fits, the zero account if none does or if there is
// no such file.
func findAccount(tree snapshot.FS, file string, fits func(account) bool) (account, error) {
	var found account
	err := eachAccount(tree, file, func(a account) bool {
		if fits(a) {
			found = a
			return false
		}
		return true
	})
	return found, err
}

// eachAccount calls visit for every account until it returns false.
func eachAccount(tree snapshot.FS, file string, visit func(account) bool) error {
	at, err := snapshot.Resolve(tree, file, true)
	if err != nil {
		return err
	}
	e, err := tree.Lstat(at)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Kind != snapshot.Regular {
		return fmt.Errorf("/%s of the image is not a regular file", file)
	}
	if e.Size > maxAccounts {
		return fmt.Errorf("/%s of the image has %d bytes, more than %d", file, e.Size, maxAccounts)
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewScanner(io.LimitReader(r, maxAccounts))
	lines.Buffer(nil, maxAccountLine)
	for lines.Scan() {
		if a, ok := parseAccount(lines.Text(), file); ok && !visit(a) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading /%s of the image: %w", file, err)
	}
	return nil
}

func parseAccount(line, file string) (a account, ok bool) {
	f := strings.Split(strings.TrimSpace(line), ":")
	if len(f) < 3 || strings.HasPrefix(line, "#") {
		return a, false
	}
	id, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return a, false
	}
	a.name, a.id = f[0], uint32(id)
	if file == groupFile {
		if len(f) > 3 && f[3] != "" {
			a.members = strings.Split(f[3], ",")
		}
		return a, true
	}
	if len(f) > 3 {
		group, err := strconv.ParseUint(f[3], 10, 32)
		if err != nil {
			return a, false
		}
		a.group = uint32(group)
	}
	if len(f) > 5 {
		a.home = f[5]
	}
	return a, true
}

// commandUser returns whom USER names, USER or USER:GROUP by name or number, and the user's home.
func commandUser(tree snapshot.FS, spec string) (u sandbox.User, home string, err error) {
	userName, groupName, _ := strings.Cut(spec, ":")
	if userName == "" {
		userName = "0"
	}
	id, notNumber := parseID(userName)
	entry, err := findAccount(tree, passwdFile, func(a account) bool {
		if notNumber != nil {
			return a.name == userName
		}
		return a.id == id
	})
	if err != nil {
		return u, "", err
	}
	if notNumber != nil && entry.name == "" {
		return u, "", fmt.Errorf("unable to find user %s: no matching entries in passwd file", userName)
	}
	if notNumber != nil {
		id = entry.id
	}
	u = sandbox.User{UID: id, GID: entry.group}
	if groupName != "" {
		u.GID, err = groupID(tree, groupName)
		u.Groups = []uint32{u.GID}
		return u, entry.home, err
	}
	u.Groups, err = supplementary(tree, entry.name, u.GID)
	return u, entry.home, err
}

func groupID(tree snapshot.FS, name string) (uint32, error) {
	if id, err := parseID(name); err == nil {
		return id, nil
	}
	g, err := findAccount(tree, groupFile, func(a account) bool { return a.name == name })
	if err == nil && g.name == "" {
		err = fmt.Errorf("unable to find group %s: no matching entries in group file", name)
	}
	return g.id, err
}

// supplementary returns the groups of a user, the primary one first.
func supplementary(tree snapshot.FS, name string, primary uint32) ([]uint32, error) {
	groups := []uint32{primary}
	if name == "" {
		return groups, nil
	}
	err := eachAccount(tree, groupFile, func(g account) bool {
		for _, m := range g.members {
			if m == name && g.id != primary {
				groups = append(groups, g.id)
				break
			}
		}
		return true
	})
	return groups, err
}

// mode is what --chmod asks for. The zero value leaves modes as they are.
type mode struct {
	// octal: bits is the whole mode. Otherwise symbolic, if not nil, changes it.
	octal    bool
	bits     uint32
	symbolic *mode9.Set
}

func parseMode(s string) (mode, error) {
	if s == "" {
		return mode{}, nil
	}
	if bits, err := strconv.ParseUint(s, 8, 32); err == nil {
		if bits > 0o7777 {
			return mode{}, fmt.Errorf("invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", s)
		}
		return mode{octal: true, bits: uint32(bits)}, nil
	}
	set, err := mode9.ParseWithUmask(s, 0)
	if err != nil {
		return mode{}, fmt.Errorf("invalid chmod parameter: '%s': %w", s, err)
	}
	return mode{symbolic: &set}, nil
}

// apply returns what the mode of a file becomes.
func (m mode) apply(bits uint32, dir bool) uint32 {
	switch {
	case m.octal:
		return m.bits
	case m.symbolic == nil:
		return bits
	}
	return fromFileMode(m.symbolic.Apply(toFileMode(bits, dir)))
}

// toFileMode and fromFileMode translate between the bits of chmod(2) and those of package os.
func toFileMode(bits uint32, dir bool) os.FileMode {
	m := os.FileMode(bits & 0o777)
	for bit, flag := range specialBits() {
		if bits&bit != 0 {
			m |= flag
		}
	}
	if dir {
		m |= os.ModeDir
	}
	return m
}

func fromFileMode(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	for bit, flag := range specialBits() {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

func specialBits() map[uint32]os.FileMode {
	return map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky}
}
