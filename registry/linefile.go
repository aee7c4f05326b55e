package registry

import (
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/seed-298d225e/builder/wholefile"
)

// lineFile remembers things, each a key with a value, in a text file: a line "KEY VALUE" for each, the latest last. The
// key may have spaces in it. It is not read before it is needed.
type lineFile struct {
	path string
	// most is how many things are remembered.
	most int

	mu    sync.Mutex
	read  bool
	known map[string]string
	// noted are the lines that are to be added. Of two for one key the later counts.
	noted []string
}

// find returns the value of a key, "" if there is none.
func (f *lineFile) find(key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load()
	return f.known[key]
}

// load reads the file, once.
func (f *lineFile) load() {
	if f.read {
		return
	}
	f.read, f.known = true, map[string]string{}
	for _, line := range f.lines() {
		f.know(line)
	}
	for _, line := range f.noted {
		f.know(line)
	}
}

func (f *lineFile) lines() []string {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (f *lineFile) know(line string) {
	key := keyOf(line)
	f.known[key] = strings.TrimPrefix(line[len(key):], " ")
}

// keyOf is the part of a line before the value.
func keyOf(line string) string { return line[:max(0, strings.LastIndexByte(line, ' '))] }

// note remembers the value of a key. It may not have spaces in it.
func (f *lineFile) note(key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := key + " " + value
	f.noted = append(f.noted, line)
	if f.read {
		f.know(line)
	}
}

// Save writes down what was noted. Of two processes that do so at once one may have noted in vain.
func (f *lineFile) Save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, noted := f.lines(), lastOfEach(f.noted)
	f.noted = nil
	if !slices.ContainsFunc(noted, func(line string) bool { return !slices.Contains(before, line) }) {
		return nil
	}
	all := lastOfEach(slices.Concat(before, noted))
	all = all[max(0, len(all)-f.most):]
	return wholefile.Write(f.path, 0o600, []byte(strings.Join(all, "\n")+"\n"))
}

// lastOfEach returns the last line of each key, in order.
func lastOfEach(lines []string) []string {
	seen := map[string]bool{"": true} // that of a damaged line
	var all []string
	for _, line := range slices.Backward(lines) {
		if key := keyOf(line); !seen[key] {
			seen[key] = true
			all = append(all, line)
		}
	}
	slices.Reverse(all)
	return all
}
