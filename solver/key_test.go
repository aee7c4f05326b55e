package solver

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the texts of keys, if keyVersion was raised or operations were added")

// sampleOps are operations by name, in which all that an operation can say is said.
func sampleOps() map[string]Op {
	mode, uid, gid, epoch := uint32(0o600), uint32(10), uint32(20), int64(1700000000)
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}
	return map[string]Op{
		"scratch":  Scratch{},
		"image":    Image{Ref: "example.com/base@sha256:1", Digest: digest, DiffIDs: []v1.Hash{digest}, Layout: "/layout"},
		"local":    Local{Name: "context", Dir: "/home/me/src", Exclude: []string{"*.o", "!a.o"}, Epoch: &epoch},
		"http":     HTTP{URL: "https://example.com/a", Filename: "b"},
		"http-sum": HTTP{URL: "https://example.com/a", Filename: "b", Checksum: digest},
		"git":      Git{Remote: "https://example.com/r.git", Ref: "main", Commit: "c0ffee", Subdir: "sub", SkipSubmodules: true, CommitTime: true},
		"git-dir":  Git{Remote: "https://example.com/r.git", Ref: "main", Commit: "c0ffee", KeepGitDir: true},
		"inline":   Inline{Files: []InlineFile{{Path: "script", Mode: 0o755, Data: []byte("echo\n")}}},
		"exec": Exec{
			Args: []string{"sh", "-c", "a\nb"}, Env: []string{"B=2", "A=1"}, Proxy: []string{"http_proxy=x"}, Dir: "/d", User: "u",
			Hostname: "h", Hosts: []HostEntry{{Name: "other", IP: "10.0.0.1"}}, Network: NetworkNone, Insecure: true,
			Mounts: []Mount{
				{Type: MountBind, Target: "/src", Input: 1, Source: "/sub", ReadOnly: true},
				{Type: MountCache, Target: "/cache", Source: "/s", ID: "c", Sharing: SharingLocked, Mode: &mode, UID: &uid, GID: &gid},
				{Type: MountSecret, Target: "/run/secrets/s", ID: "s", Env: "SECRET", Required: true},
				{Type: MountTmpfs, Target: "/tmp", Size: 1 << 20},
			},
			Limits: Limits{
				ShmSize: 1 << 20, Ulimits: []Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}, CgroupParent: "/p", Memory: 1, MemorySwap: 2,
				CPUShares: 3, CPUPeriod: 4, CPUQuota: 5, CpusetCpus: "0", CpusetMems: "1", Pids: 6,
			},
		},
		"exec-least": Exec{Args: []string{"true"}, Dir: "/", Network: NetworkDefault},
		"copy": Copy{
			Sources: []CopySource{{
				Input: 1, Path: "/a", Wildcards: true, Contents: true, Follow: true, Include: []string{"i"}, Exclude: []string{"e"},
				Required: []string{"r"}, Unpack: true,
			}},
			Dest: "/b/", Owner: "u:g", Mode: "0644", Link: true,
		},
		"copy-least": Copy{Sources: []CopySource{{Input: 1, Path: "/a"}}, Dest: "/b"},
		"mkdir":      Mkdir{Path: "/w", Mode: 0o755, Owner: "u"},
	}
}

func sampleText(op Op) string {
	epoch := int64(1700000000)
	return string(opText(NewVertex(Vertex{Op: op, Platform: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, Epoch: &epoch})))
}

// The texts of keys are as they were when keyVersion was raised last. One that is to be another, because the operation means
// something else now or is written in another way, needs another keyVersion: a record of one version is no record for another.
// Then, or when an operation that was not in the file is added, -update writes it.
func TestKeyTextsAreStable(t *testing.T) {
	const file = "testdata/keys.txtar"
	golden, err := txtar.ParseFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	now := &txtar.Archive{Comment: []byte(keyVersion + "\n")}
	ops := sampleOps()
	names := make([]string, 0, len(ops))
	for name := range ops {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		now.Files = append(now.Files, txtar.File{Name: name, Data: []byte(sampleText(ops[name]))})
	}
	if golden != nil && string(golden.Comment) == string(now.Comment) {
		for _, f := range golden.Files {
			if op, ok := ops[f.Name]; !ok || sampleText(op) != string(f.Data) {
				t.Fatalf("the text of %s is another, and keyVersion is not: raise it, then use -update\n%s", f.Name, sampleText(op))
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(now), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(txtar.Format(golden)) != string(txtar.Format(now)) {
		t.Errorf("%s is not up to date: use -update", file)
	}
}

// notInKey are the parts of operations that results do not depend on, and why.
func notInKey() map[string]string {
	return map[string]string{
		"image.Ref":                "the layers say what it holds",
		"image.Digest":             "the layers say what it holds",
		"image.Layout":             "where bytes come from",
		"http-sum.URL":             "the checksum says what it is",
		"git.Remote":               "the commit says what it is, and without .git nothing else can be seen",
		"git.Ref":                  "the commit says what it is, and without .git nothing else can be seen",
		"exec.Proxy":               "how the network is reached",
		"exec.Mounts.Sharing":      "what a cache directory holds is no part of a result",
		"exec.Limits.CgroupParent": "it bounds resources", "exec.Limits.Memory": "it bounds resources",
		"exec.Limits.MemorySwap": "it bounds resources", "exec.Limits.CPUShares": "it bounds resources",
		"exec.Limits.CPUPeriod": "it bounds resources", "exec.Limits.CPUQuota": "it bounds resources",
		"exec.Limits.CpusetCpus": "it bounds resources", "exec.Limits.CpusetMems": "it bounds resources",
		"exec.Limits.Pids":      "it bounds resources",
		"copy.Sources.Required": "without what is required there is no result",
	}
}

// Every part of every operation is in its key, unless it is known why not. What is added to an operation and forgotten here
// or there is found.
func TestKeyTextsAreComplete(t *testing.T) {
	said := map[string]bool{}
	for name, op := range sampleOps() {
		v := reflect.New(reflect.TypeOf(op)).Elem()
		v.Set(reflect.ValueOf(op))
		kind := v.Type().Name()
		eachPart(v, "", func(part string, value reflect.Value) {
			said[kind+part] = said[kind+part] || !value.IsZero()
			if value.IsZero() {
				return
			}
			before, was := sampleText(op), reflect.New(value.Type()).Elem()
			was.Set(value)
			value.SetZero()
			changed, ok := reflect.TypeAssert[Op](v)
			if !ok {
				t.Fatalf("%s is no operation", kind)
			}
			after := sampleText(changed)
			value.Set(was)
			if _, exempt := notInKey()[name+part]; exempt == (before != after) {
				t.Errorf("%s%s: in the key: %t, want %t", name, part, before != after, !exempt)
			}
		})
	}
	for name, op := range sampleOps() {
		v := reflect.New(reflect.TypeOf(op)).Elem()
		eachPart(v, "", func(part string, _ reflect.Value) {
			if !said[v.Type().Name()+part] {
				t.Errorf("no sample of %s has a %s", name, part)
			}
		})
	}
}

// eachPart calls visit for all fields of a struct and of what is in them, but not for those of digests.
func eachPart(v reflect.Value, path string, visit func(part string, value reflect.Value)) {
	for i := range v.NumField() {
		field, part := v.Field(i), path+"."+v.Type().Field(i).Name
		switch {
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[v1.Hash]():
			eachPart(field, part, visit)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && field.Type().Elem() != reflect.TypeFor[v1.Hash]():
			visit(part, field)
			for j := range field.Len() {
				eachPart(field.Index(j), part, visit)
			}
		default:
			visit(part, field)
		}
	}
}

// A text is made of lines whose values are quoted, so that no value can be taken for another line. The order of variables
// is part of it, since a command can see it; what is for people is not.
func TestKeyText(t *testing.T) {
	op := func(args string, env ...string) v1.Hash {
		return OpID(NewVertex(Vertex{Op: Exec{Args: []string{args}, Env: env}, Step: Step{Text: fmt.Sprint(t.Name(), args)}}))
	}
	if op("a", "A=1", "B=2") == op("a", "B=2", "A=1") {
		t.Error("the order of variables does not matter")
	}
	if op("a\"\narg \"b") == op("a") || op("a", "A=1\"\nenv \"B\" \"2") == op("a", "A=1", "B=2") {
		t.Error("a value can be taken for another line")
	}
	named := NewVertex(Vertex{Op: Exec{Args: []string{"a"}}, Step: Step{Text: "RUN a", Location: Location{Start: 7}}})
	if OpID(named) != op("a") {
		t.Error("the name of a step matters")
	}
}
