package policy

import (
	"errors"
	"fmt"
	"maps"
)

// Source is something that a build wants to use.
type Source struct {
	// Identifier is its name, with a scheme.
	Identifier string
	// Attrs are what else is known, by BuildKit's names, such as http.checksum.
	Attrs map[string]string
}

// DeniedError says that a policy does not allow a source.
type DeniedError struct {
	// Identifier is the name of the source, Selector that of the rule.
	Identifier, Selector string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s is denied by the source policy (rule %q)", e.Identifier, e.Selector)
}

// maxConversions is how often a source can be converted, as with BuildKit; more must be a loop.
const maxConversions = 20

var errLoop = errors.New("the source policy converts it again and again")

// Evaluate returns what policies make of a source, or a [*DeniedError].
func Evaluate(policies []*Policy, s Source) (Source, error) {
	name := s.Identifier
	for range maxConversions {
		next, converted, err := once(policies, s)
		if err != nil || !converted {
			return next, err
		}
		s = next
	}
	return s, fmt.Errorf("%s: %w", name, errLoop)
}

// once evaluates policies until one converts the source.
func once(policies []*Policy, s Source) (Source, bool, error) {
	for _, p := range policies {
		var denied *DeniedError
		for i := range p.Rules {
			r := &p.Rules[i]
			if !r.Selector.selects(s) {
				continue
			}
			switch r.Action {
			case Allow:
				denied = nil
			case Deny:
				denied = &DeniedError{s.Identifier, r.Selector.Identifier}
			case Convert:
				if next, changed := r.convert(s); changed {
					return next, true, nil
				}
			}
		}
		if denied != nil {
			return s, false, denied
		}
	}
	return s, false, nil
}

// convert returns what a rule makes of a source, and whether that is another one.
func (r *Rule) convert(s Source) (Source, bool) {
	to := r.Updates.Identifier
	if to == "" {
		to = r.Selector.Identifier
	}
	next := Source{r.Selector.rewrite(s.Identifier, to), maps.Clone(s.Attrs)}
	if r.Updates.Identifier == "" || next.Identifier == "" {
		next.Identifier = s.Identifier
	}
	changed := next.Identifier != s.Identifier
	for key, value := range r.Updates.Attrs {
		if next.Attrs[key] == value {
			continue
		}
		if next.Attrs == nil {
			next.Attrs = map[string]string{}
		}
		next.Attrs[key] = value
		changed = true
	}
	return next, changed
}
