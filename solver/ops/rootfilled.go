//go:build linux

package ops

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// fillsRoot reports whether the history of an image has, after the first layer, which is that of a system, an instruction
// that copied to the root what its text does not name: COPY rootfs/ /, or ADD of an archive. A config that cannot be read
// tells nothing.
func fillsRoot(config []byte) bool {
	var image struct {
		History []v1.History `json:"history"`
	}
	if json.Unmarshal(config, &image) != nil {
		return true
	}
	dir, layers := "/", 0
	for _, h := range image.History {
		word, args := instructionOf(h.CreatedBy)
		switch {
		case word == "WORKDIR" && len(args) > 0:
			dir = resolveDir(dir, args[0])
		case (word == "COPY" || word == "ADD") && len(args) > 1 && layers > 0:
			if resolveDir(dir, args[len(args)-1]) == "/" {
				return true
			}
		}
		if !h.EmptyLayer {
			layers++
		}
	}
	return false
}

// instructionOf returns the instruction that a line of a history tells of, and its arguments: sources and destination of
// COPY and ADD without flags. The builder before BuildKit wrote "/bin/sh -c #(nop) COPY dir:DIGEST in /".
func instructionOf(createdBy string) (word string, args []string) {
	if _, text, ok := strings.Cut(createdBy, "#(nop) "); ok {
		createdBy = text
	}
	fields := strings.Fields(strings.TrimSuffix(createdBy, "# buildkit"))
	if len(fields) == 0 {
		return "", nil
	}
	args = slices.DeleteFunc(fields[1:], func(arg string) bool { return strings.HasPrefix(arg, "--") || arg == "in" })
	return strings.ToUpper(fields[0]), args
}

// resolveDir returns the path that p is in the working directory dir.
func resolveDir(dir, p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}
