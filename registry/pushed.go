package registry

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
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
type PushedFile struct{ lineFile }

// NewPushedFile returns what the file at path remembers. It need not exist.
func NewPushedFile(path string) *PushedFile {
	return &PushedFile{lineFile{path: path, most: maxPushed}}
}

// Find implements [Pushed].
func (f *PushedFile) Find(registry string, digest v1.Hash) string {
	repository := f.find(digest.String() + " " + registry)
	if checkRepository(repository) != nil {
		return ""
	}
	return repository
}

// Note implements [Pushed].
func (f *PushedFile) Note(registry, repository string, digest v1.Hash) {
	f.note(digest.String()+" "+registry, repository)
}

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
