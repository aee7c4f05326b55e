package frontend

import "fmt"

// Limits on what a Dockerfile may hold and what it may make of it. Ordinary files stay orders of magnitude
// below them; they keep a hostile one from taking all memory or never ending.
const (
	// maxFile is the size of a Dockerfile or an ignore file, maxLine that of one of its lines, in bytes.
	maxFile = 4 << 20
	maxLine = 1 << 20
	// maxInstructions counts those of the file, or the triggers of one base image.
	maxInstructions = 20_000
	// maxWord is the size of a word after its variables have been replaced, maxNesting how deep ${} may be
	// inside ${}.
	maxWord    = 1 << 20
	maxNesting = 100
	// maxVariables is the size of all variables together, maxVariable that of one: no command can be
	// started with a longer one (MAX_ARG_STRLEN of Linux).
	maxVariables = 2 << 20
	maxVariable  = 128 << 10
	// maxWork is the size of everything that is made while lowering: words, histories, environments.
	maxWork = 32 << 20
	// maxReplacing is the size of a word in which ${name//pattern/replacement} stands, with all values that it
	// refers to; maxReplacing2 if one stands inside another.
	maxReplacing  = 16 << 10
	maxReplacing2 = 1 << 10
)

// budget counts what is left of maxWork.
type budget struct {
	left int
}

// spend takes n bytes. It fails if there are not that many left.
func (b *budget) spend(n int) error {
	if n > b.left {
		return fmt.Errorf("the Dockerfile comes to more than %d MiB when its variables are replaced", maxWork>>20)
	}
	b.left -= n
	return nil
}

// abbreviate makes text fit into a message.
func abbreviate(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
