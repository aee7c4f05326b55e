package display

import (
	"fmt"
	"strings"
	"time"
)

// ending is what a build came to: a Summary or a Failure.
type ending interface {
	// text is the ending in words.
	text(l look, s *State, now time.Time) string
	// object is the ending as a value to be written as JSON.
	object(s *State, now time.Time) any
}

// Summary is what a successful build made. How many steps ran and how long that took is known without it.
type Summary struct {
	// Images are the images, one for each platform.
	Images []Image
	// Index is the digest of the index over them; empty if there is none.
	Index string
	// Outputs say what became of it, such as "pushed to registry.example.com/app:1.2".
	Outputs []string
}

// Image is an image that was built.
type Image struct {
	// Platform is written like linux/arm64/v8, Digest like sha256:….
	Platform, Digest string
	// Size is the sum of the manifest's, the config's and the layers' bytes as stored.
	Size int64
}

func (m Summary) text(l look, s *State, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s: %s run, %d cached", l.paint(bold, "built"), durationText(now.Sub(began(s, now))),
		Plural(s.count(Done), "step"), s.count(Cached))
	if s.Warnings > 0 {
		fmt.Fprintf(&b, ", %s", l.paint(yellow, Plural(s.Warnings, "warning")))
	}
	b.WriteByte('\n')
	for _, i := range m.Images {
		fmt.Fprintf(&b, "%s %s %s\n", safe(i.Platform), safe(i.Digest), bytesText(i.Size))
	}
	if m.Index != "" {
		fmt.Fprintf(&b, "index %s\n", safe(m.Index))
	}
	for _, o := range m.Outputs {
		b.WriteString(sentence(o) + "\n")
	}
	return b.String()
}

// Failure is why a build did not succeed.
type Failure struct {
	// Vertex is the digest of the step that failed; empty if none did.
	Vertex string
	// Excerpt are the lines of the Dockerfile around the cause, ready to be shown; may be empty.
	Excerpt string
	// Message says what went wrong, on one line, beginning in lower case and without a prefix.
	Message string
	// Hints say what the user could do about it.
	Hints []string
}

func (f Failure) text(l look, s *State, now time.Time) string {
	var b strings.Builder
	if step := s.byVertex[f.Vertex]; step != nil {
		b.WriteString(l.lastWords(step, now))
	}
	if f.Excerpt != "" {
		for line := range strings.Lines(f.Excerpt) {
			b.WriteString(safe(strings.TrimRight(line, "\r\n")) + "\n")
		}
		b.WriteByte('\n')
	}
	for _, h := range f.Hints {
		fmt.Fprintf(&b, "%s %s\n", l.paint(cyan, "hint:"), sentence(h))
	}
	fmt.Fprintf(&b, "%s %s\n", l.paint(red, "builder:"), sentence(f.Message))
	return b.String()
}

// lastWords are the last lines that a failed step wrote, below its title; empty if it wrote nothing.
func (l look) lastWords(s *Step, now time.Time) string {
	lines := s.Output(l.excerpt)
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s wrote before it failed after %s:\n", s.Number, l.title(s), durationText(s.Elapsed(now)))
	for _, line := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.paint(faint, "|"), l.output(line))
	}
	b.WriteByte('\n')
	return b.String()
}

// began is when the build began, now if nothing has happened.
func began(s *State, now time.Time) time.Time {
	if s.Began.IsZero() {
		return now
	}
	return s.Began
}

// Plural is a number of things: "1 step", "2 steps".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
