package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	mode "github.com/tonistiigi/dchapes-mode"

	"github.com/seed-298d225e/builder/solver"
)

// transfer is a COPY or an ADD on its way to a vertex.
type transfer struct {
	op solver.Copy
	in inputs
	// exclude are the patterns that are not copied from any of the sources.
	exclude []string
	// words are what the history says.
	words []string
}

// copy lowers COPY.
func (s *state) copy(c *instructions.CopyCommand, sources []*stage) error {
	tree := s.req.Context
	if len(sources) > 0 {
		st, ok := s.states[sources[0]]
		if !ok {
			return fmt.Errorf("cannot copy from stage %q, it needs to be defined before current stage %q", c.From, s.stage.label())
		}
		tree = st.tree
	}
	t := &transfer{words: []string{"COPY"}, exclude: c.ExcludePatterns}
	readSource := localSource
	if c.Parents {
		readSource = parentsSource
		t.words = append(t.words, "--parents")
	}
	if err := s.openTransfer(t, c.DestPath, c.Chown, c.Chmod, c.Link); err != nil {
		return err
	}
	for _, p := range c.SourcePaths {
		if err := refuseRemote(p); err != nil {
			return err
		}
		if len(sources) == 0 {
			s.lintIgnored(c, "Copy", p)
		}
		source, err := readSource(p, s.platform.OS)
		if err != nil {
			return err
		}
		t.add(tree, source, p)
	}
	code := c.String()
	if strings.Contains(c.From, "$") {
		code = strings.Replace(code, c.From, sources[0].label(), 1)
	}
	return s.closeTransfer(t, c, code, c.SourcesAndDest)
}

// refuseRemote fails for sources that only ADD takes.
func refuseRemote(p string) error {
	g, isGit, err := ParseGitRef(p)
	switch {
	case err != nil:
		return err
	case isGit && !g.Ambiguous:
		return errors.New("source can't be a git ref for COPY")
	case isURL(p):
		return errors.New("source can't be a URL for COPY")
	}
	return nil
}

// openTransfer reads what COPY and ADD have in common.
func (s *state) openTransfer(t *transfer, dest, chown, chmod string, link bool) (err error) {
	if t.op.Dest, err = destination(s.dir(), dest, s.platform.OS); err != nil {
		return err
	}
	if chown != "" {
		if link && !numericOwner(chown) {
			return fmt.Errorf("--chown=%s: user and group names can't be resolved when used with --link, "+
				"use numeric uid[:gid] instead", chown)
		}
		t.op.Owner = wholeOwner(chown)
		t.words = append(t.words, "--chown="+chown)
	}
	if chmod != "" {
		if err := checkMode(chmod); err != nil {
			return err
		}
		t.op.Mode = chmod
		t.words = append(t.words, "--chmod="+chmod)
	}
	// A mode can be relative to that of a directory that exists, so the base has to be looked at.
	t.op.Link = link && chmod == ""
	return nil
}

// closeTransfer adds the here-documents and makes the vertex.
func (s *state) closeTransfer(t *transfer, c instructions.Command, code string, p instructions.SourcesAndDest) error {
	if err := s.addDocuments(t, p.SourceContents); err != nil {
		return err
	}
	s.push(t.op, s.step(c, s.expand.display(code, s.env)), t.in)
	return s.commit(strings.Join(append(t.words, p.DestPath), " ")+" # buildkit", true)
}

// add adds a source in tree, which the history calls word.
func (t *transfer) add(tree *solver.Vertex, source solver.CopySource, word string) {
	source.Input = t.in.number(tree)
	source.Exclude = t.exclude
	t.op.Sources = append(t.op.Sources, source)
	t.words = append(t.words, word)
}

// addDocuments adds the here-documents, each of which is a file by the name of its delimiter.
func (s *state) addDocuments(t *transfer, documents []instructions.SourceContent) error {
	if len(documents) == 0 {
		return nil
	}
	var files []solver.InlineFile
	seen := map[string]bool{}
	for _, d := range documents {
		if err := checkFileName(d.Path); err != nil {
			return err
		}
		if !seen[d.Path] {
			files = append(files, solver.InlineFile{Path: d.Path, Mode: 0o644, Data: []byte(d.Data)})
		}
		seen[d.Path] = true
	}
	tree := inline(files...)
	for _, d := range documents {
		t.add(tree, solver.CopySource{Path: "/" + d.Path}, "<<"+d.Path)
	}
	return nil
}

// localSource returns what a path in a tree means as a source.
func localSource(p, system string) (solver.CopySource, error) {
	root, err := absolute("/", p, system)
	return solver.CopySource{Path: path.Clean(root), Wildcards: true, Contents: true, Follow: true}, err
}

// parentsSource returns what a path means of which the directories are copied too: it is a pattern below the
// root, or below what stands before /./ in it. The root itself is an empty pattern, which nothing fits.
func parentsSource(p, system string) (solver.CopySource, error) {
	root, pattern, ok := strings.Cut(p, "/./")
	if !ok {
		root, pattern = "/", p
	}
	source, err := localSource(root, system)
	if err != nil {
		return source, err
	}
	if pattern, err = absolute("/", pattern, system); err != nil {
		return source, err
	}
	pattern = path.Clean(pattern)
	source.Include = []string{strings.TrimPrefix(pattern, "/")}
	if !hasWildcards(root) && !hasWildcards(pattern) {
		source.Required = []string{path.Join(source.Path, pattern)}
	}
	return source, nil
}

// hasWildcards reports whether p is a pattern.
func hasWildcards(p string) bool {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// wholeOwner returns USER[:GROUP] for an owner, which may lack the user, who is root then, or the group.
func wholeOwner(owner string) string {
	user, group, _ := strings.Cut(owner, ":")
	user = cmp.Or(user, "0")
	if group == "" {
		return user
	}
	return user + ":" + group
}

// numericOwner reports whether USER[:GROUP] can be understood without looking into an image.
func numericOwner(owner string) bool {
	user, group, _ := strings.Cut(owner, ":")
	for _, id := range []string{user, group} {
		if id == "" || id == "root" {
			continue
		}
		if _, err := strconv.ParseInt(id, 10, 32); err != nil {
			return false
		}
	}
	return true
}

// checkMode makes sure that --chmod is an octal number or something like u=rwX,go=rX.
func checkMode(chmod string) error {
	notOctal := fmt.Errorf("invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", chmod)
	if n, err := strconv.ParseUint(chmod, 8, 32); err == nil {
		if n > 0o7777 {
			return notOctal
		}
		return nil
	}
	_, err := mode.Parse(chmod)
	if _, ok := errors.AsType[*strconv.NumError](err); ok {
		return notOctal
	}
	return err
}
