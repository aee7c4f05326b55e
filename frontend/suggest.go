package frontend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	keywords "github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/seed-298d225e/builder/suggest"
)

// suggestArg adds to err the name of an argument that one of those unknown may have been meant to be.
func (l *lowerer) suggestArg(err error, unknown map[string]struct{}) error {
	for _, name := range sorted(unknown) {
		if other := similar(name, l.globals.names); other != "" {
			return didYouMean(err, other)
		}
	}
	return err
}

// similar returns the one of names that name is probably a mistake for, or nothing.
func similar(name string, names []string) string {
	const longest = 100
	if len(name) > longest {
		return ""
	}
	return suggest.Nearest(name, names)
}

// unknownInstruction returns err with the instruction that was probably meant, if err is about one that does not
// exist. What the parser suggests itself differs from time to time.
func unknownInstruction(err error) error {
	unknown, ok := errors.AsType[*instructions.UnknownInstructionError](err)
	if !ok {
		return err
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(keywords.Commands)) {
		names = append(names, strings.ToUpper(name))
	}
	meant := similar(strings.ToUpper(unknown.Instruction), names)
	if unknown.Instruction != strings.ToUpper(unknown.Instruction) {
		meant = strings.ToLower(meant)
	}
	return didYouMean(unknown, meant)
}

// similar is the function of that name, as long as there is time for it.
func (x *expander) similar(name string, names []string) string {
	if x.extra.spend(16*len(names)) != nil {
		return ""
	}
	return similar(name, names)
}

// similarArg returns the global argument that name may have been meant to be, or nothing.
func (l *lowerer) similarArg(name string) string {
	if other := l.expand.similar(name, l.globals.names); other != "" {
		return other
	}
	return l.expand.similar(name, slices.Sorted(maps.Keys(l.declared)))
}

// didYouMean adds a name that may have been meant to err, if there is one.
func didYouMean(err error, other string) error {
	if other == "" {
		return err
	}
	return fmt.Errorf("%w (did you mean %s?)", err, other)
}

// stageNames returns the names of the stages that have one.
func (l *lowerer) stageNames() []string {
	var names []string
	for _, s := range l.stages {
		if s.from.Name != "" {
			names = append(names, s.from.Name)
		}
	}
	return names
}

// popularImages are what a name that is not found may have been meant to be.
func popularImages() []string {
	return []string{"alpine", "busybox", "centos", "debian", "fedora", "golang", "node", "python", "ubuntu"}
}

// unknownWord is a complaint of the parser about a word, and the words that it knows in its place.
type unknownWord struct {
	complaint string
	known     []string
}

func unknownWords(instruction string) []unknownWord {
	return []unknownWord{
		{"unknown flag: --", flagsOf(instruction)},
		{"unsupported mount type ", []string{"bind", "cache", "tmpfs", "secret", "ssh"}},
		{"unsupported sharing value ", []string{"shared", "private", "locked"}},
	}
}

// flagsOf returns the flags of an instruction.
func flagsOf(instruction string) []string {
	switch strings.ToLower(instruction) {
	case keywords.Add:
		return []string{"chown", "chmod", "link", "keep-git-dir", "checksum", "unpack", "exclude"}
	case keywords.Copy:
		return []string{"chown", "chmod", "link", "from", "parents", "exclude"}
	case keywords.From:
		return []string{"platform"}
	case keywords.Healthcheck:
		return []string{"interval", "timeout", "start-period", "start-interval", "retries"}
	case keywords.Run:
		return []string{"mount", "network", "security", "device"}
	}
	return nil
}

// suggestAgain returns a complaint of the parser about a word of an instruction with a suggestion that is the same each
// time: of several words that are equally near the parser takes any.
func suggestAgain(err error, instruction string) error {
	if err == nil {
		return nil
	}
	text, _, suggested := strings.Cut(err.Error(), " (did you mean ")
	if !suggested {
		return err
	}
	for _, u := range unknownWords(instruction) {
		if _, word, ok := strings.Cut(text, u.complaint); ok {
			return didYouMean(errors.New(text), similar(strings.Trim(word, `"`), u.known))
		}
	}
	return err
}
