//go:build linux

package fetch

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// gitError is a run of git that failed.
type gitError struct {
	verb string
	// text is what git said about it, without secrets.
	text string
	err  error
}

func (e *gitError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("git %s: %v", e.verb, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.verb, e.text)
}

// Unwrap returns the cause.
func (e *gitError) Unwrap() error { return e.err }

func (e *gitError) says(texts ...string) bool {
	for _, s := range texts {
		if strings.Contains(e.text, s) {
			return true
		}
	}
	return false
}

// Transient implements [httpclient.Verdict]: a failure of the network may be gone the next time.
func (e *gitError) Transient() (time.Duration, bool) {
	return 0, e.says("Could not resolve host", "Temporary failure in name resolution", "Connection reset",
		"early EOF", "unexpected disconnect", "RPC failed", "timed out", "hung up unexpectedly", "SSL_ERROR_SYSCALL",
		"gnutls_handshake", "Empty reply from server", "transfer closed", "Operation too slow",
		"returned error: 408", "returned error: 429", "returned error: 5") && !e.says("returned error: 501")
}

// messages takes what git writes to its standard error: progress is told, the end of the rest is kept.
type messages struct {
	secrets  []string
	progress func(current int64)

	line  []byte
	lines []string
}

// Of so many lines so many bytes are kept.
const (
	keptLines = 12
	keptBytes = 400
)

// Write implements io.Writer.
func (m *messages) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			m.add(rest)
			break
		}
		m.add(rest[:i])
		m.end()
		rest = rest[i+1:]
	}
	return len(p), nil
}

func (m *messages) add(p []byte) {
	m.line = append(m.line, p[:min(len(p), keptBytes-len(m.line))]...)
}

// received is how far a fetch is: Receiving objects:  50% (1/2), 1.20 MiB | 3.00 MiB/s.
var (
	received = regexp.MustCompile(`^Receiving objects: .*, ([0-9.]+) (bytes|KiB|MiB|GiB) \|`)
	counting = regexp.MustCompile(`^(remote: )?[A-Z][a-z]+ (objects|deltas|files|references): `)
)

func (m *messages) end() {
	line := strings.TrimSpace(string(m.line))
	m.line = m.line[:0]
	if n := received.FindStringSubmatch(line); n != nil && m.progress != nil {
		m.progress(parseSize(n[1], n[2]))
	}
	if line == "" || counting.MatchString(line) {
		return
	}
	if m.lines = append(m.lines, line); len(m.lines) > keptLines {
		m.lines = m.lines[1:]
	}
}

func parseSize(number, unit string) int64 {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return int64(n * map[string]float64{"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit])
}

// text returns the messages on one line, without secrets and what would move a cursor.
func (m *messages) text() string {
	m.end()
	text := redact(strings.Join(m.lines, "; "))
	for _, s := range m.secrets {
		text = strings.ReplaceAll(text, s, "xxxxx")
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
