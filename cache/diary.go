//go:build linux

package cache

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/wholefile"
)

// Diary keeps the account of the last build of every thing that is built with a store.
//
//	builds/ID    the account of the last build of one thing
//	lists/HASH   the files with a digest, as solver.Worker names them
type Diary struct {
	path string
	told Told
	last func() *solver.Account
}

// Told is an account with what it is about.
type Told struct {
	// Context is what was built, an absolute path if it is a directory; File and Target are as they were given.
	Context string `json:"context"`
	File    string `json:"file,omitempty"`
	Target  string `json:"target,omitempty"`
	solver.Account
}

// NewDiary returns the diary of builds of what t says, in the store at path.
func NewDiary(path string, t Told) *Diary {
	d := &Diary{path: path, told: t}
	d.last = sync.OnceValue(func() *solver.Account {
		t, err := readTold(d.accountPath())
		if err != nil {
			return nil
		}
		return &t.Account
	})
	return d
}

func (d *Diary) accountPath() string {
	return filepath.Join(d.path, "builds", hexSum([]byte(d.told.Context+"\x00"+d.told.File+"\x00"+d.told.Target)))
}

func (d *Diary) filesPath(digest v1.Hash) string { return filepath.Join(d.path, "lists", digest.Hex) }

// Last implements solver.Diary.
func (d *Diary) Last() *solver.Account { return d.last() }

// Write implements solver.Diary. What cannot be written is not remembered.
func (d *Diary) Write(a solver.Account) {
	d.told.Account = a
	d.write(d.accountPath(), d.told)
}

// Files implements solver.Diary.
func (d *Diary) Files(digest v1.Hash) map[string]string {
	raw, err := readFile(d.filesPath(digest), maxIndex)
	if err != nil {
		return nil
	}
	var files map[string]string
	if err := json.Unmarshal(raw, &files); err != nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(d.filesPath(digest), now, now) // when it was last used
	return files
}

// WriteFiles implements solver.Diary.
func (d *Diary) WriteFiles(digest v1.Hash, files map[string]string) {
	d.write(d.filesPath(digest), files)
}

func (d *Diary) write(name string, v any) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err == nil {
		_ = wholefile.Write(name, 0o600, raw)
	}
}

// Accounts returns the accounts in the store at path. What cannot be read is left out.
func Accounts(path string) ([]Told, error) {
	names, err := filepath.Glob(filepath.Join(path, "builds", "*"))
	if err != nil {
		return nil, err
	}
	var all []Told
	for _, name := range names {
		if t, err := readTold(name); err == nil {
			all = append(all, *t)
		}
	}
	return all, nil
}

func readTold(name string) (*Told, error) {
	raw, err := readFile(name, maxIndex)
	if err != nil {
		return nil, err
	}
	var t Told
	return &t, json.Unmarshal(raw, &t)
}
