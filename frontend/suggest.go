package frontend

import (
	"fmt"
	"maps"
	"slices"

	"github.com/moby/buildkit/util/suggest"
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
	const longest, furthest = 100, 3 // suggest.Search takes no more than two changes
	if len(name) > longest {
		return ""
	}
	names = slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		return max(len(name), len(other))-min(len(name), len(other)) >= furthest
	})
	match, _ := suggest.Search(name, names, true)
	return match
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
