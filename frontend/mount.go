package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/solver"
)

// mounts lowers the mounts of RUN, in the order in which they are made: what is mounted in a mount comes after it, however
// it is written. What they mount from becomes part of in.
func (s *state) mounts(c *instructions.RunCommand, sources []*stage, in *inputs) ([]solver.Mount, error) {
	var mounts []solver.Mount
	sockets := 0
	for i, m := range instructions.GetMounts(c) {
		lowered, err := s.mount(c, m, sources[i], in)
		if err != nil {
			return nil, err
		}
		if m.Type == instructions.MountTypeSSH {
			if lowered.Target == "" {
				lowered.Target = "/run/buildkit/ssh_agent." + strconv.Itoa(sockets)
			}
			sockets++
		}
		mounts = append(mounts, lowered)
	}
	slices.SortStableFunc(mounts, func(a, b solver.Mount) int { return strings.Compare(a.Target, b.Target) })
	return mounts, nil
}

func (s *state) mount(c *instructions.RunCommand, m *instructions.Mount, source *stage, in *inputs) (solver.Mount, error) {
	switch m.Type {
	case instructions.MountTypeBind:
		return s.bindMount(m, source, in)
	case instructions.MountTypeCache:
		return s.cacheMount(m, source, in)
	case instructions.MountTypeTmpfs:
		return s.tmpfsMount(m)
	case instructions.MountTypeSecret:
		return s.secretMount(c, m)
	case instructions.MountTypeSSH:
		return s.sshMount(c, m)
	}
	return solver.Mount{}, fmt.Errorf("unsupported mount type %q", m.Type)
}

func (s *state) bindMount(m *instructions.Mount, source *stage, in *inputs) (solver.Mount, error) {
	target, err := s.mountTarget(m)
	if err != nil {
		return solver.Mount{}, err
	}
	tree := s.req.Context
	if source != nil {
		if tree, err = s.mountSource(m, source); err != nil {
			return solver.Mount{}, err
		}
	}
	return solver.Mount{
		Type: solver.MountBind, Target: target, Input: in.number(tree), Source: path.Join("/", m.Source), ReadOnly: m.ReadOnly,
	}, nil
}

// cacheMount lowers a directory that outlives the build. It is called by its target unless it has an id, and
// begins as what is at source in the tree mounted from; then the owner and the mode are those of the source. Without a
// source, but with an owner or a mode, it begins empty all the same. Both is as with BuildKit.
func (s *state) cacheMount(m *instructions.Mount, source *stage, in *inputs) (solver.Mount, error) {
	target, err := s.mountTarget(m)
	if err != nil {
		return solver.Mount{}, err
	}
	lowered := solver.Mount{
		Type: solver.MountCache, Target: target, Source: path.Join("/", m.Source), ReadOnly: m.ReadOnly,
		ID:      cmp.Or(m.CacheID, path.Clean(m.Target)),
		Sharing: solver.Sharing(cmp.Or(m.CacheSharing, instructions.MountSharingShared)),
	}
	if lowered.Source == "/" {
		lowered.Mode, lowered.UID, lowered.GID = narrow(m.Mode), narrow(m.UID), narrow(m.GID)
	}
	if namespace := s.req.BuildArgs["BUILDKIT_CACHE_MOUNT_NS"]; namespace != "" {
		lowered.ID = namespace + "/" + lowered.ID
	}
	if source == nil {
		return lowered, nil
	}
	tree, err := s.mountSource(m, source)
	if err != nil {
		return solver.Mount{}, err
	}
	if lowered.Source != "/" || m.Mode == nil && m.UID == nil && m.GID == nil {
		lowered.Input = in.number(tree)
	}
	return lowered, nil
}

func (s *state) tmpfsMount(m *instructions.Mount) (solver.Mount, error) {
	if path.Join("/", m.Source) != "/" {
		return solver.Mount{}, errors.New("tmpfs does not support source: it begins empty")
	}
	target, err := s.mountTarget(m)
	return solver.Mount{Type: solver.MountTmpfs, Target: target, Size: m.SizeLimit, ReadOnly: m.ReadOnly}, err
}

func (s *state) secretMount(c *instructions.RunCommand, m *instructions.Mount) (solver.Mount, error) {
	id := cmp.Or(m.Source, m.CacheID)
	if id == "" {
		if m.Target == "" {
			return solver.Mount{}, errors.New("one of source, target required")
		}
		id = path.Base(m.Target)
	}
	lowered := solver.Mount{
		Type: solver.MountSecret, ID: id, Required: m.Required, ReadOnly: true,
		Mode: narrow(m.Mode), UID: narrow(m.UID), GID: narrow(m.GID),
	}
	if m.Env != nil {
		if lowered.Env = *m.Env; lowered.Env == "" {
			return solver.Mount{}, fmt.Errorf("secret %s has an env without a name", id)
		}
	}
	switch {
	case m.Target != "":
		lowered.Target = s.inWorkDir(m.Target)
	case m.Env == nil:
		lowered.Target = "/run/secrets/" + path.Base(id)
	}
	s.outline.secret(id, m.Required, c.Location())
	return lowered, nil
}

func (s *state) sshMount(c *instructions.RunCommand, m *instructions.Mount) (solver.Mount, error) {
	if m.Source != "" {
		return solver.Mount{}, errors.New("ssh does not support source")
	}
	lowered := solver.Mount{
		Type: solver.MountSSH, ID: cmp.Or(m.CacheID, "default"), Required: m.Required,
		Mode: narrow(m.Mode), UID: narrow(m.UID), GID: narrow(m.GID),
	}
	if m.Target != "" {
		lowered.Target = s.inWorkDir(m.Target)
	}
	s.outline.socket(lowered.ID, m.Required, c.Location())
	return lowered, nil
}

// mountTarget returns where m is mounted: below the working directory if its target is relative.
func (s *state) mountTarget(m *instructions.Mount) (string, error) {
	target := s.inWorkDir(m.Target)
	if target == "/" {
		return "", fmt.Errorf("invalid mount target %q", target)
	}
	return target, nil
}

// inWorkDir returns the absolute path that p is for a command.
func (s *state) inWorkDir(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(s.dir(), p)
}

// mountSource returns the tree that m is mounted from.
func (s *state) mountSource(m *instructions.Mount, source *stage) (*solver.Vertex, error) {
	st, ok := s.states[source]
	if !ok {
		return nil, fmt.Errorf("cannot mount from stage %q to %q, stage needs to be defined before current command", m.From, m.Target)
	}
	return st.tree, nil
}

// narrow returns a number that was parsed as one of 32 bits.
func narrow(n *uint64) *uint32 {
	if n == nil {
		return nil
	}
	v := uint32(*n)
	return &v
}
