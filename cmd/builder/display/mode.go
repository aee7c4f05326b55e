package display

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// Mode is a way to draw a build.
type Mode string

// The modes.
const (
	// Auto is TTY on a terminal that somebody watches, else Plain; see [Choose].
	Auto Mode = "auto"
	// Plain writes what happens line by line; nothing that was written changes.
	Plain Mode = "plain"
	// TTY keeps what is running in sight at the bottom of a terminal.
	TTY Mode = "tty"
	// JSON writes one object a line.
	JSON Mode = "json"
	// Quiet writes nothing unless the build fails.
	Quiet Mode = "quiet"
)

// ParseMode returns the mode of a name as users write it. "rawjson" and "none" are the names that
// docker buildx has for json and quiet; the empty name is auto.
func ParseMode(name string) (Mode, error) {
	switch name {
	case "", "auto":
		return Auto, nil
	case "plain":
		return Plain, nil
	case "tty":
		return TTY, nil
	case "json", "rawjson":
		return JSON, nil
	case "quiet", "none":
		return Quiet, nil
	}
	return "", fmt.Errorf("unknown progress %q: want auto, plain, tty, json or quiet", name)
}

// Choose returns the mode to draw in when asked was asked for: terminal says that progress goes to a
// terminal that can move its cursor, ci that the build runs where logs are kept and nobody watches.
// The result is never Auto. It is an error to ask for TTY where there is no terminal.
func Choose(asked Mode, terminal, ci bool) (Mode, error) {
	switch asked {
	case Auto:
		if terminal && !ci {
			return TTY, nil
		}
		return Plain, nil
	case TTY:
		if !terminal {
			return "", errors.New("progress tty needs a terminal")
		}
		return TTY, nil
	case Plain, JSON, Quiet:
	}
	return asked, nil
}

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// SizeOf returns a function that asks for the size of the terminal f in cells, to be used as
// Options.Size. It gives 80 by 24 when there is no answer.
func SizeOf(f *os.File) func() (width, height int) {
	return func() (width, height int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
}
