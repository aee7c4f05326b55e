package guard

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// Memory remembers in a file which layers a guard has found nothing in, so that they need not be read again.
// The file says of the secrets no more than 16 bits of a hash over all of them: enough to tell that others
// were looked for, too little to find out what they are.
type Memory struct {
	path        string
	fingerprint string

	mu    sync.Mutex
	clean map[string]bool
}

// memorySize is the size of the file in bytes above which it is begun anew.
const memorySize = 1 << 20

// Memory returns the memory in a file, which need not exist. A file that cannot be read is an empty one.
func (g *Guard) Memory(path string) *Memory {
	h := sha256.New()
	for _, p := range g.search.patterns {
		sum := sha256.Sum256(p.text)
		h.Write(sum[:])
	}
	m := &Memory{path: path, fingerprint: hex.EncodeToString(h.Sum(nil)[:2]), clean: map[string]bool{}}
	f, err := os.Open(path)
	if err != nil {
		return m
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m.clean[lines.Text()] = true
	}
	return m
}

// Clean reports whether nothing was found in what id names.
func (m *Memory) Clean(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clean[m.line(id)]
}

// Remember notes down that nothing was found in what id names.
func (m *Memory) Remember(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	line := m.line(id)
	if m.clean[line] {
		return nil
	}
	m.clean[line] = true
	if info, err := os.Stat(m.path); err == nil && info.Size() > memorySize {
		if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n") // one write: lines of several processes do not mix
	return errors.Join(err, f.Close())
}

func (m *Memory) line(id string) string { return m.fingerprint + " " + id }
