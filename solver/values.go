package solver

import (
	"strconv"
	"strings"
)

// Values returns every value that the cache keys of v hold of its operation: arguments, variables, paths and
// the like, as they are.
func Values(v *Vertex) []string {
	var values []string
	for line := range strings.Lines(string(opText(v))) {
		_, rest, _ := strings.Cut(line, ` "`)
		for rest = `"` + rest; ; rest = strings.TrimPrefix(rest, " ") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				break
			}
			if value, err := strconv.Unquote(quoted); err == nil {
				values = append(values, value)
			}
			rest = rest[len(quoted):]
		}
	}
	return values
}
