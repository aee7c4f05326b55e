package registry

import (
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/wholefile"
)

// Pushed remembers, from one process to the next, which repository of a registry a blob was pushed to, so that it can
// be mounted in another one rather than sent again. It may forget, and what it remembers may be gone: then a blob is
// sent after all.
type Pushed interface {
	// Find returns the repository of a registry that a blob was pushed to last, "" if none is known.
	Find(registry string, digest v1.Hash) string
	// Note remembers that a blob was pushed to a repository.
	Note(registry, repository string, digest v1.Hash)
}

// maxPushed is how many blobs a [PushedFile] remembers; a line is about 130 bytes long.
const maxPushed = 5000

// PushedFile is a [Pushed] in a text file: a line for each blob, "DIGEST REGISTRY REPOSITORY", the latest last. It is
// not read before it is needed.
type PushedFile struct {
	path string

	mu    sync.Mutex
	read  bool
	known map[place]string
	// noted are the lines that are to be added. Of two for one blob the later counts.
	noted []string
}

// NewPushedFile returns what the file at path remembers. It need not exist.
func NewPushedFile(path string) *PushedFile { return &PushedFile{path: path} }

// Find implements [Pushed].
func (f *PushedFile) Find(registry string, digest v1.Hash) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load()
	return f.known[place{registry, digest}]
}

// load reads the file, once. What is damaged is forgotten.
func (f *PushedFile) load() {
	if f.read {
		return
	}
	f.read, f.known = true, map[place]string{}
	for _, line := range f.lines() {
		f.know(line)
	}
	for _, line := range f.noted {
		f.know(line)
	}
}

func (f *PushedFile) lines() []string {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (f *PushedFile) know(line string) {
	fields := strings.Fields(line)
	if len(fields) != 3 || checkRepository(fields[2]) != nil {
		return
	}
	if digest, err := v1.NewHash(fields[0]); err == nil {
		f.known[place{fields[1], digest}] = fields[2]
	}
}

// Note implements [Pushed].
func (f *PushedFile) Note(registry, repository string, digest v1.Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := strings.Join([]string{digest.String(), registry, repository}, " ")
	f.noted = append(f.noted, line)
	if f.read {
		f.know(line)
	}
}

// Save writes down what was noted. Of two processes that do so at once one may have noted in vain.
func (f *PushedFile) Save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, noted := f.lines(), lastOfEach(f.noted)
	f.noted = nil
	if !slices.ContainsFunc(noted, func(line string) bool { return !slices.Contains(before, line) }) {
		return nil
	}
	all := lastOfEach(slices.Concat(before, noted))
	all = all[max(0, len(all)-maxPushed):]
	return wholefile.Write(f.path, 0o600, []byte(strings.Join(all, "\n")+"\n"))
}

// lastOfEach returns the last line about each blob, in order.
func lastOfEach(lines []string) []string {
	seen := map[string]bool{"": true} // that of a damaged line
	var all []string
	for _, line := range slices.Backward(lines) {
		if blob := blobOf(line); !seen[blob] {
			seen[blob] = true
			all = append(all, line)
		}
	}
	slices.Reverse(all)
	return all
}

// blobOf is the part of a line that says which blob of which registry it is about.
func blobOf(line string) string { return line[:max(0, strings.LastIndexByte(line, ' '))] }

// forgetful is a Pushed that remembers nothing.
type forgetful struct{}

// Find implements Pushed.
func (forgetful) Find(string, v1.Hash) string { return "" }

// Note implements Pushed.
func (forgetful) Note(string, string, v1.Hash) {}

// earlier returns the repository that an earlier process has pushed a blob to.
func (c *Client) earlier(at name.Registry, digest v1.Hash) (name.Repository, bool) {
	repository := c.config.Pushed.Find(at.RegistryStr(), digest)
	return at.Repo(repository), repository != ""
}
