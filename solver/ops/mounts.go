//go:build linux

package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/inroot"
	"github.com/seed-298d225e/builder/ownership"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// mounts returns what the command sees beside its tree: the names of hosts and resolvers, and the mounts
// of the instruction.
func (r *run) mounts(ctx context.Context, v *solver.Vertex) ([]sandbox.Mount, error) {
	dir, err := os.MkdirTemp(r.worker.Scratch, "run-")
	if err != nil {
		return nil, err
	}
	r.undo = append(r.undo, func() { _ = os.RemoveAll(dir) })
	hosts, err := r.file(dir, "hosts", hostsFile(r.op.Hostname, r.op.Hosts), 0o644)
	if err != nil {
		return nil, err
	}
	resolv, err := r.file(dir, "resolv.conf", r.worker.Host.ResolvConf(network(r.op.Network)), 0o644)
	if err != nil {
		return nil, err
	}
	mounts := []sandbox.Mount{
		{Target: "/etc/hosts", Source: hosts, ReadOnly: true, Furniture: true},
		{Target: "/etc/resolv.conf", Source: resolv, ReadOnly: true, Furniture: true},
	}
	if err := r.caches(ctx, v); err != nil {
		return nil, err
	}
	for i, m := range r.op.Mounts {
		if reserved(m.Target) {
			return nil, fmt.Errorf("mounting %s: nothing can be mounted there", m.Target)
		}
		made, err := r.mount(ctx, v, m, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return nil, fmt.Errorf("mounting %s: %w", cmpOr(m.Target, m.ID), err)
		}
		mounts = append(mounts, made...)
	}
	return mounts, nil
}

// reserved reports whether a path belongs to the sandbox.
func reserved(target string) bool {
	switch target {
	case "/", "/dev", "/proc", "/sys":
		return true
	}
	return strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/")
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// hostsFile is /etc/hosts.
func hostsFile(hostname string, entries []solver.HostEntry) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname)
	for _, e := range entries {
		fmt.Fprintf(&b, "%s\t%s\n", e.IP, e.Name)
	}
	return []byte(b.String())
}

// file makes a file in memory and opens it for reference.
func (r *run) file(dir, name string, content []byte, mode os.FileMode) (*os.File, error) {
	at := filepath.Join(dir, name)
	if err := os.WriteFile(at, content, mode); err != nil {
		return nil, err
	}
	if err := os.Chmod(at, mode); err != nil {
		return nil, err
	}
	return r.reference(at)
}

// reference opens what is at a path of ours for reference.
func (r *run) reference(at string) (*os.File, error) {
	f, err := os.OpenFile(at, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return r.keep(f), nil
}

// mount makes one mount of the instruction. scratch is a path in memory that it may use.
func (r *run) mount(ctx context.Context, v *solver.Vertex, m solver.Mount, scratch string) ([]sandbox.Mount, error) {
	var source *os.File
	var err error
	switch m.Type {
	case solver.MountTmpfs:
		return []sandbox.Mount{{Target: m.Target, Size: m.Size, Mode: 0o1777, ReadOnly: m.ReadOnly}}, nil
	case solver.MountSecret:
		return r.secret(m, scratch)
	case solver.MountSSH:
		return r.agent(ctx, m, scratch)
	case solver.MountCache:
		source, err = r.cached(ctx, v, m)
	case solver.MountBind:
		source, err = r.bind(ctx, m)
	default:
		err = fmt.Errorf("unknown type %q", m.Type)
	}
	if err != nil {
		return nil, err
	}
	return []sandbox.Mount{{Target: m.Target, Source: source, ReadOnly: m.ReadOnly}}, nil
}

// bind opens the source of a bind mount. What a command writes to it is thrown away.
func (r *run) bind(ctx context.Context, m solver.Mount) (*os.File, error) {
	t, source, err := r.mountable(ctx, m)
	if err != nil {
		return nil, err
	}
	tree, err := r.worker.Store.Prepare(t)
	if err != nil {
		return nil, err
	}
	r.undo = append(r.undo, tree.Discard)
	dir, err := tree.Attach()
	if err != nil {
		return nil, err
	}
	f, err := inroot.Open(dir, source, unix.O_PATH)
	if err != nil {
		return nil, missing(err, m.Source)
	}
	return r.keep(f), nil
}

func missing(err error, name string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: not found", name)
	}
	return err
}

// mountable returns the tree that m mounts from as layers, and where in them the source is. Of a tree that
// is not made of layers it makes one, of the source only: a command never sees the user's own files.
func (r *run) mountable(ctx context.Context, m solver.Mount) ([]*snapshot.Layer, string, error) {
	t := r.inputs[m.Input]
	if t.Local == nil {
		ours, err := layers(t)
		return ours, m.Source, err
	}
	fsys, err := r.worker.fs(t)
	if err != nil {
		return nil, "", err
	}
	top, err := find(fsys, m.Source, true)
	if err != nil {
		return nil, "", missing(err, m.Source)
	}
	l, err := r.worker.Store.Keep(ctx, rooted(mounted(fsys, m), top.entry))
	return []*snapshot.Layer{l}, mountedName(top.entry), err
}

// mountedName is where in a layer made for a mount its source is: the root, or a file.
func mountedName(top *snapshot.Entry) string {
	if top.Kind == snapshot.Directory {
		return "/"
	}
	return "/file"
}

// rooted names a source that is not a directory.
func rooted(entries snapshot.Entries, top *snapshot.Entry) snapshot.Entries {
	if top.Kind == snapshot.Directory {
		return entries
	}
	return func(yield func(*snapshot.Entry, error) bool) {
		for e, err := range entries {
			if err == nil {
				named := *e
				named.Path = "file"
				e = &named
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// give gives a file of ours the owner and mode that the mount asks for. Where the machine cannot give it to
// somebody, that is recorded, except of sockets, which hold no records.
func give(name string, m solver.Mount, mode uint32) error {
	uid, gid := valueOr(m.UID, 0), valueOr(m.GID, 0)
	err := unix.Chown(name, int(uid), int(gid))
	if errors.Is(err, unix.EINVAL) {
		if err = ownership.Set(name, ownership.Record{UID: uid, GID: gid}); errors.Is(err, unix.EPERM) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("giving it to user %d and group %d: %w", uid, gid, err)
	}
	return unix.Chmod(name, valueOr(m.Mode, mode))
}

func valueOr(p *uint32, otherwise uint32) uint32 {
	if p == nil {
		return otherwise
	}
	return *p
}

// secret puts a secret into a file in memory, the environment, or both.
func (r *run) secret(m solver.Mount, scratch string) ([]sandbox.Mount, error) {
	value, err := r.worker.Secret(m.ID)
	if errors.Is(err, fs.ErrNotExist) {
		if m.Required {
			return nil, fmt.Errorf("secret %s: not found: give it with --secret id=%s,src=FILE or env=NAME", m.ID, m.ID)
		}
		if m.Env != "" {
			r.env = append(r.env, m.Env+"=")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Env != "" {
		r.env = append(r.env, m.Env+"="+string(value))
	}
	if m.Target == "" {
		return nil, nil
	}
	if err := os.WriteFile(scratch, value, 0o400); err != nil {
		return nil, err
	}
	if err := give(scratch, m, 0o400); err != nil {
		return nil, err
	}
	source, err := r.reference(scratch)
	if err != nil {
		return nil, err
	}
	return []sandbox.Mount{{Target: m.Target, Source: source, ReadOnly: true, Secret: true}}, nil
}
