//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/policy"
	"github.com/seed-298d225e/builder/solver"
)

// How a source policy names sources and what is known of them: BuildKit's schemes and attributes.
const (
	imageScheme = "docker-image://"
	gitScheme   = "git://"

	httpChecksum  = "http.checksum"
	httpFilename  = "http.filename"
	gitChecksum   = "git.checksum"
	gitURL        = "git.fullurl"
	imageChecksum = "image.checksum"
)

// readPolicies reads the source policies: that of --source-policy-file, and that of buildx.
func (o *buildOptions) readPolicies() error {
	files := o.supply.policies
	if name := os.Getenv("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"); name != "" {
		files = append(files, name)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the source policy: %w", err)
		}
		p, err := policy.Parse(text)
		if err != nil {
			return fmt.Errorf("reading the source policy %s: %w", name, err)
		}
		o.policies = append(o.policies, p)
	}
	return nil
}

// judge asks the policies about a source, and refuses changes that cannot be made: only the attributes in can.
func (b *build) judge(s policy.Source, can ...string) (policy.Source, error) {
	judged, err := policy.Evaluate(b.policies, s)
	if err != nil {
		return s, err
	}
	for key, value := range judged.Attrs {
		if value != s.Attrs[key] && !slices.Contains(can, key) {
			return s, fmt.Errorf("the source policy sets %s of %s, which cannot be done here", key, s.Identifier)
		}
	}
	if judged.Identifier != s.Identifier {
		b.noticeOnce(fmt.Sprintf("the source policy has %s used instead of %s", judged.Identifier, s.Identifier))
	}
	return judged, nil
}

// judgeImage returns the name of the image that is used for ref.
func (b *build) judgeImage(ref string) (string, error) {
	if len(b.policies) == 0 {
		return ref, nil
	}
	s, err := b.judge(policy.Source{Identifier: imageScheme + ref}, imageChecksum)
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(s.Identifier, imageScheme)
	if !ok {
		return "", fmt.Errorf("the source policy converts %s to %s, which is no image", ref, s.Identifier)
	}
	if digest := s.Attrs[imageChecksum]; digest != "" && !strings.Contains(name, "@") {
		name += "@" + digest
	}
	return name, nil
}

// judgeURL returns what is downloaded for a URL.
func (b *build) judgeURL(op solver.HTTP) (solver.HTTP, error) {
	if len(b.policies) == 0 {
		return op, nil
	}
	before := policy.Source{Identifier: op.URL, Attrs: map[string]string{httpFilename: op.Filename}}
	if op.Checksum.Hex != "" {
		before.Attrs[httpChecksum] = op.Checksum.String()
	}
	s, err := b.judge(before, httpChecksum, httpFilename)
	if err != nil {
		return op, err
	}
	if !isURL(s.Identifier) {
		return op, fmt.Errorf("the source policy converts %s to %s, which is no URL", op.URL, s.Identifier)
	}
	op.URL, op.Filename = s.Identifier, s.Attrs[httpFilename]
	if sum := s.Attrs[httpChecksum]; sum != before.Attrs[httpChecksum] {
		if op.Checksum, err = v1.NewHash(sum); err != nil {
			return op, fmt.Errorf("the source policy sets %s of %s: %w", httpChecksum, op.URL, err)
		}
	}
	return op, nil
}

// judgeGit returns what is fetched for the address of a commit.
func (b *build) judgeGit(g frontend.GitRef) (frontend.GitRef, error) {
	if len(b.policies) == 0 {
		return g, nil
	}
	before := policy.Source{Identifier: gitIdentifier(g), Attrs: map[string]string{gitURL: g.Remote, gitChecksum: g.Checksum}}
	s, err := b.judge(before, gitURL, gitChecksum)
	if err != nil {
		return g, err
	}
	if s.Identifier != before.Identifier {
		address, ok := strings.CutPrefix(s.Identifier, gitScheme)
		if !ok {
			return g, fmt.Errorf("the source policy converts %s to %s, which is no git repository", before.Identifier, s.Identifier)
		}
		remote, fragment, _ := strings.Cut(address, "#")
		g.Ref, g.Subdir, _ = strings.Cut(fragment, ":")
		if _, rest, _ := strings.Cut(g.Remote, "://"); rest != remote {
			g.Remote = "https://" + remote
		}
	}
	if s.Attrs[gitURL] != before.Attrs[gitURL] {
		g.Remote = s.Attrs[gitURL]
	}
	g.Checksum = s.Attrs[gitChecksum]
	return g, nil
}

// gitIdentifier names a commit as BuildKit does.
func gitIdentifier(g frontend.GitRef) string {
	_, address, ok := strings.Cut(g.Remote, "://")
	if !ok { // as scp has it: user@host:path
		_, address, _ = strings.Cut(g.Remote, "@")
		address = strings.Replace(address, ":", "/", 1)
	}
	if _, host, ok := strings.Cut(address, "@"); ok {
		address = host
	}
	id := gitScheme + address
	if g.Ref != "" || g.Subdir != "" {
		id += "#" + g.Ref
	}
	if g.Subdir != "" {
		id += ":" + g.Subdir
	}
	return id
}

// judgeLocal asks the policies about the directories of this machine that a graph reads.
func (b *build) judgeLocal() (err error) {
	if len(b.policies) == 0 {
		return nil
	}
	solver.Walk(b.roots(), func(v *solver.Vertex) {
		op, ok := v.Op.(solver.Local)
		if !ok || err != nil || within(op.Dir, b.path) {
			return
		}
		_, err = b.judge(policy.Source{Identifier: "local://" + op.Name})
	})
	return err
}
