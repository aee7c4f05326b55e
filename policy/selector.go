package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Selector selects sources.
type Selector struct {
	Identifier string `json:"identifier"`
	// MatchType says what Identifier is; Wildcard if nothing is said.
	MatchType   MatchType    `json:"match_type"`
	Constraints []Constraint `json:"constraints"`

	// pattern is Identifier as an expression; nil if it is to be taken literally.
	pattern *regexp.Regexp
}

// MatchType is how an identifier is compared.
type MatchType string

// The ways to compare.
const (
	// Wildcard takes each "*" for any text.
	Wildcard MatchType = "WILDCARD"
	Exact    MatchType = "EXACT"
	// Regex is an expression that the identifier contains.
	Regex MatchType = "REGEX"
)

// UnmarshalJSON implements json.Unmarshaler.
func (m *MatchType) UnmarshalJSON(text []byte) error { return enum(m, text, Wildcard, Exact, Regex) }

// Constraint is what an attribute must be.
type Constraint struct {
	Key       string    `json:"key"`
	Value     string    `json:"value"`
	Condition Condition `json:"condition"`

	pattern *regexp.Regexp
}

// Condition is how an attribute is compared.
type Condition string

// The conditions.
const (
	Equal    Condition = "EQUAL"
	NotEqual Condition = "NOTEQUAL"
	// Matches takes the value for an expression.
	Matches Condition = "MATCHES"
)

// UnmarshalJSON implements json.Unmarshaler.
func (c *Condition) UnmarshalJSON(text []byte) error { return enum(c, text, Equal, NotEqual, Matches) }

func (s *Selector) prepare() (err error) {
	if s.Identifier == "" {
		return errors.New("the selector needs an identifier")
	}
	switch s.MatchType {
	case Exact:
	case Regex:
		s.pattern, err = regexp.Compile(s.Identifier)
	case Wildcard, "":
		if strings.Contains(s.Identifier, "**") {
			return fmt.Errorf("the wildcard %q has ** in it", s.Identifier)
		}
		s.pattern, err = regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(s.Identifier), `\*`, "(.*)") + "$")
	}
	for i := range s.Constraints {
		if c := &s.Constraints[i]; err == nil && c.Condition == Matches {
			c.pattern, err = regexp.Compile(c.Value)
		}
	}
	return err
}

// selects reports whether a source is among those selected.
func (s *Selector) selects(source Source) bool {
	for _, c := range s.Constraints {
		if !c.holds(source.Attrs[c.Key]) {
			return false
		}
	}
	return s.Identifier == source.Identifier || s.pattern != nil && s.pattern.MatchString(source.Identifier)
}

func (c Constraint) holds(value string) bool {
	switch c.Condition {
	case NotEqual:
		return value != c.Value
	case Matches:
		return c.pattern.MatchString(value)
	case Equal:
	}
	return value == c.Value
}

// rewrite returns what a selected identifier becomes. In to, $1 or ${1} is what the first wildcard or group
// stands for.
func (s *Selector) rewrite(identifier, to string) string {
	match := s.pattern
	if match == nil {
		return to
	}
	if s.MatchType == Regex {
		return match.ReplaceAllString(identifier, to)
	}
	at := match.FindStringSubmatchIndex(identifier)
	if at == nil {
		return identifier
	}
	return string(match.ExpandString(nil, to, identifier, at))
}
