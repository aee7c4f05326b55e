package frontend

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-298d225e/builder/solver"
)

// GitRef is the address of something in a git repository, as ADD and build contexts have it:
//
//	https://host/repository.git#ref:directory
//	https://host/repository.git?ref=…&tag=…&branch=…&subdir=…&checksum=…&keep-git-dir=…&submodules=…&mtime=…
//	git@host:repository.git    git://host/repository    ssh://user@host/repository
type GitRef struct {
	// Remote is the address of the repository, for git.
	Remote string
	// Ref is a branch, a tag or a commit; empty is the default branch.
	Ref string
	// Checksum, if not empty, is how the name of the commit, or of the tag that points to it, must begin.
	Checksum string
	// Subdir is a directory of the repository, without slashes around it.
	Subdir string
	// KeepGitDir, Submodules and CommitTime are nil if the address does not say; submodules are fetched by
	// default. CommitTime gives files the time of the commit instead of that of the checkout.
	KeepGitDir, Submodules, CommitTime *bool
	// FetchByCommit: Checksum is the commit, whatever Ref is by now.
	FetchByCommit bool
	// Ambiguous: the address could be a path too, as github.com/name/repository is.
	Ambiguous bool
}

// Op returns the source of the commit that Ref was resolved to.
func (g GitRef) Op(commit string) solver.Git {
	return solver.Git{
		Remote: g.Remote, Ref: g.Ref, Commit: commit, Subdir: g.Subdir,
		KeepGitDir:     g.KeepGitDir != nil && *g.KeepGitDir,
		SkipSubmodules: g.Submodules != nil && !*g.Submodules,
		CommitTime:     g.CommitTime != nil && *g.CommitTime,
	}
}

var (
	gitScheme = regexp.MustCompile(`^[a-zA-Z0-9]+://`)
	// gitSCP is user@host:path?query#fragment, as scp and git have it.
	gitSCP = regexp.MustCompile(`^([a-zA-Z0-9-_]+@[a-zA-Z0-9.][a-zA-Z0-9-.]*:.*?)(?:\?(.*?))?(?:#(.*))?$`)
)

// ParseGitRef reads a git address. ok is false if s is none; err says what is wrong with one.
func ParseGitRef(s string) (g GitRef, ok bool, err error) {
	remote, query, fragment, ok := splitGitRef(s)
	if !ok {
		return GitRef{}, false, nil
	}
	g = GitRef{Remote: remote, Ambiguous: strings.HasPrefix(s, "github.com/")}
	g.Ref, g.Subdir, _ = strings.Cut(fragment, ":")
	if g.Subdir != "" {
		g.Subdir = strings.TrimPrefix(path.Join("/", g.Subdir), "/")
	}
	if err := g.readQuery(query); err != nil {
		return GitRef{}, true, err
	}
	if strings.HasPrefix(g.Ref, "-") {
		return GitRef{}, true, fmt.Errorf("invalid git ref %q", g.Ref)
	}
	if strings.HasPrefix(g.Remote, "-") { // git would take it for an option
		return GitRef{}, true, fmt.Errorf("invalid git address %q", g.Remote)
	}
	return g, true, nil
}

// splitGitRef takes an address apart. Over http only what ends in .git is a repository.
func splitGitRef(s string) (remote string, query url.Values, fragment string, ok bool) {
	scheme := strings.ToLower(gitScheme.FindString(s))
	switch scheme {
	case "http://", "https://", "git://", "ssh://":
	case "":
		if m := gitSCP.FindStringSubmatch(s); m != nil {
			query, err := url.ParseQuery(m[2])
			return m[1], query, m[3], err == nil
		}
		if !strings.HasPrefix(s, "github.com/") {
			return "", nil, "", false
		}
		s = "https://" + s
	default:
		return "", nil, "", false
	}
	u, err := url.Parse(s)
	if err != nil || strings.HasPrefix(u.Host, "-") {
		return "", nil, "", false
	}
	if strings.HasPrefix(scheme, "http") && !strings.HasSuffix(u.Path, ".git") {
		return "", nil, "", false
	}
	query, fragment = u.Query(), u.Fragment
	u.RawQuery, u.Fragment, u.RawFragment, u.ForceQuery = "", "", "", false
	return u.String(), query, fragment, true
}

// readQuery adds what the query says.
func (g *GitRef) readQuery(query url.Values) error {
	var tag, branch string
	for name, values := range query {
		if len(values) > 1 {
			return fmt.Errorf("query %q has multiple values", name)
		}
		if err := g.readOption(name, values[0], &tag, &branch); err != nil {
			return err
		}
	}
	switch {
	case tag != "" && branch != "":
		return errors.New("branch conflicts with tag")
	case tag != "":
		return merge(&g.Ref, "ref", withPrefix("refs/tags/", tag))
	case branch != "":
		return merge(&g.Ref, "ref", withPrefix("refs/heads/", branch))
	}
	return nil
}

func (g *GitRef) readOption(name, value string, tag, branch *string) (err error) {
	switch name {
	case "keep-git-dir":
		g.KeepGitDir, err = readFlag(name, value)
		return err
	case "submodules":
		g.Submodules, err = readFlag(name, value)
		return err
	case "fetch-by-commit":
		on, err := readFlag(name, value)
		g.FetchByCommit = err == nil && *on
		return err
	}
	if value == "" {
		return fmt.Errorf("query %q has no value", name)
	}
	switch name {
	case "ref":
		return merge(&g.Ref, name, value)
	case "subdir":
		return merge(&g.Subdir, name, strings.TrimPrefix(path.Join("/", value), "/"))
	case "tag":
		*tag = value
	case "branch":
		*branch = value
	case "checksum", "commit":
		return g.pin(value)
	case "mtime":
		commit := value == "commit"
		g.CommitTime = &commit
		if value != "commit" && value != "checkout" {
			return fmt.Errorf("invalid mtime value: %q (must be \"checkout\" or \"commit\")", value)
		}
	default:
		return fmt.Errorf("unexpected query %q", name)
	}
	return nil
}

// pin sets the checksum, unless it is another already.
func (g *GitRef) pin(checksum string) error {
	if strings.Trim(checksum, "0123456789abcdefABCDEF") != "" {
		return fmt.Errorf("invalid checksum %s for git, expected hex commit hash", checksum)
	}
	if g.Checksum != "" && g.Checksum != checksum {
		return fmt.Errorf("checksum mismatch %q != %q", checksum, g.Checksum)
	}
	g.Checksum = checksum
	return nil
}

// merge sets field to value, unless it has another one already.
func merge(field *string, name, value string) error {
	if *field != "" && *field != value {
		return fmt.Errorf("%s conflicts: %q vs %q", name, *field, value)
	}
	*field = value
	return nil
}

func withPrefix(prefix, s string) string {
	return prefix + strings.TrimPrefix(s, prefix)
}

// readFlag returns whether an option is on, which it is without a value.
func readFlag(name, value string) (*bool, error) {
	on := true
	if value != "" {
		var err error
		if on, err = strconv.ParseBool(value); err != nil {
			return nil, fmt.Errorf("invalid %s value: %q", name, value)
		}
	}
	return &on, nil
}
