package solver

// A key is the SHA-256 of a text that says everything a result depends on: one component per line, its
// name and its quoted values, so that no value can be taken for another component. The text is stored
// beside the record; it can be printed, and a miss is explained by comparing two of them.
//
// In it: the operation with its variables resolved (arguments, environment, directory, user, mounts,
// here-documents, network mode, limits a command can see), the platform, the epoch, and the inputs.
// Not in it: names, comments and locations, where bytes come from, the values of secrets, ssh, what
// cache directories hold, proxy settings, and limits that only bound resources.
//
// An input is named in one of two ways, which makes the two keys of a step (see the package comment):
// by content in the content key, by definition in the definition key.
//
//   - The content of a tree of layers is the chain of the content IDs of its layers. A layer that we make
//     has a content ID: a digest over paths, types, modes, owners, link targets, extended attributes and
//     bytes, but not times. The content ID of any other layer is its diff ID.
//   - An input that is only copied or mounted from is named by the content of the paths that are read.
//   - The definition of a step is its definition key; of an image its diff IDs; of a context again the
//     content of the paths that are read, because nothing else says what is in a directory.

import (
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// keyVersion changes whenever equal texts would no longer mean equal results: when an operation comes to mean something
// else, or what it depends on is written in another way.
const keyVersion = "builder key 3"

// Text is the readable form of a key. The zero value is empty and ready to use.
type Text struct {
	b strings.Builder
}

// add appends a component, its values quoted so that they cannot run into each other.
func (t *Text) add(name string, values ...string) {
	t.b.WriteString(name)
	for _, v := range values {
		t.b.WriteByte(' ')
		t.b.WriteString(strconv.Quote(v))
	}
	t.b.WriteByte('\n')
}

// flag appends a component without values if on is true.
func (t *Text) flag(name string, on bool) {
	if on {
		t.add(name)
	}
}

// String returns the lines.
func (t *Text) String() string { return t.b.String() }

// Hash returns the key: the SHA-256 of the lines.
func (t *Text) Hash() v1.Hash { return hash([]byte(t.b.String())) }

// opText is the part of both keys that does not depend on the inputs.
func opText(v *Vertex) []byte {
	var t Text
	t.add(keyVersion)
	t.add("platform", v.Platform.OS, v.Platform.Architecture, v.Platform.Variant, v.Platform.OSVersion)
	if v.Epoch != nil {
		t.add("epoch", strconv.FormatInt(*v.Epoch, 10))
	}
	v.Op.describe(&t)
	return []byte(t.String())
}

// OpID names the operation of v without its inputs.
func OpID(v *Vertex) v1.Hash { return hash(opText(v)) }

func (Scratch) describe(t *Text) { t.add("scratch") }

func (o Image) describe(t *Text) {
	t.add("image")
	for _, d := range o.DiffIDs {
		t.add("layer", d.String())
	}
}

func (o Local) describe(t *Text) {
	t.add("local", o.Name, o.Dir)
	for _, p := range o.Exclude {
		t.add("exclude", p)
	}
	if o.Epoch != nil {
		t.add("epoch", strconv.FormatInt(*o.Epoch, 10))
	}
}

func (o HTTP) describe(t *Text) {
	t.add("http", o.Filename)
	if o.Checksum.Hex != "" {
		t.add("checksum", o.Checksum.String())
		return
	}
	t.add("url", o.URL)
}

func (o Git) describe(t *Text) {
	t.add("git", o.Commit)
	t.add("subdir", o.Subdir)
	t.flag("keep-git-dir", o.KeepGitDir)
	t.flag("skip-submodules", o.SkipSubmodules)
	t.flag("commit-time", o.CommitTime)
	if o.KeepGitDir {
		t.add("ref", o.Ref) // that HEAD is at
	}
	if o.KeepGitDir || !o.SkipSubmodules {
		t.add("remote", o.Remote) // it is written into .git, and submodules may be relative to it
	}
}

func (o Inline) describe(t *Text) {
	t.add("inline")
	for _, f := range o.Files {
		t.add("file", f.Path, strconv.FormatUint(uint64(f.Mode), 8), string(f.Data))
	}
}

func (o Exec) describe(t *Text) {
	t.add("exec")
	for _, a := range o.Args {
		t.add("arg", a)
	}
	for _, e := range o.Env { // in their order, which a command can see
		name, value, _ := strings.Cut(e, "=")
		t.add("env", name, value)
	}
	t.add("dir", o.Dir)
	t.add("user", o.User)
	t.add("hostname", o.Hostname)
	for _, h := range o.Hosts {
		t.add("host", h.Name, h.IP)
	}
	t.add("network", string(o.Network))
	t.flag("insecure", o.Insecure)
	for _, m := range o.Mounts {
		m.describe(t)
	}
	if o.Limits.ShmSize != 0 {
		t.add("shm-size", strconv.FormatInt(o.Limits.ShmSize, 10))
	}
	for _, u := range o.Limits.Ulimits {
		t.add("ulimit", u.Name, strconv.FormatInt(u.Soft, 10), strconv.FormatInt(u.Hard, 10))
	}
}

func (m Mount) describe(t *Text) {
	values := []string{string(m.Type), m.Target, "input", strconv.Itoa(m.Input), "source", m.Source}
	if m.ReadOnly {
		values = append(values, "readonly")
	}
	if m.ID != "" {
		values = append(values, "id", m.ID)
	}
	if m.Env != "" {
		values = append(values, "env", m.Env)
	}
	if m.Required {
		values = append(values, "required")
	}
	if m.Size != 0 {
		values = append(values, "size", strconv.FormatInt(m.Size, 10))
	}
	for _, n := range []struct {
		name  string
		value *uint32
	}{{"mode", m.Mode}, {"uid", m.UID}, {"gid", m.GID}} {
		if n.value != nil {
			values = append(values, n.name, strconv.FormatUint(uint64(*n.value), 8))
		}
	}
	t.add("mount", values...)
}

func (o Copy) describe(t *Text) {
	t.add("copy", o.Dest)
	t.add("owner", o.Owner)
	t.add("mode", o.Mode)
	t.flag("link", o.Link)
	for _, s := range o.Sources {
		t.add("source", strconv.Itoa(s.Input), s.Path)
		t.flag("wildcards", s.Wildcards)
		t.flag("contents", s.Contents)
		t.flag("follow", s.Follow)
		t.flag("unpack", s.Unpack)
		for _, p := range s.Include {
			t.add("include", p)
		}
		for _, p := range s.Exclude {
			t.add("exclude", p)
		}
	}
}

func (o Mkdir) describe(t *Text) {
	t.add("mkdir", o.Path, strconv.FormatUint(uint64(o.Mode), 8))
	t.add("owner", o.Owner)
}
