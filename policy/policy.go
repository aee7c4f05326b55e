package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Policy is a list of rules.
type Policy struct {
	// Version is 1, or 0 if it is not said.
	Version int    `json:"version"`
	Rules   []Rule `json:"rules"`
}

// Rule says what happens to the sources that it selects.
type Rule struct {
	Action   Action   `json:"action"`
	Selector Selector `json:"selector"`
	// Updates are what a conversion changes.
	Updates *Updates `json:"updates"`
}

// Updates are what a source becomes. An empty Identifier leaves it as it is.
type Updates struct {
	Identifier string            `json:"identifier"`
	Attrs      map[string]string `json:"attrs"`
}

// Action is what a rule does.
type Action string

// The actions.
const (
	Allow   Action = "ALLOW"
	Deny    Action = "DENY"
	Convert Action = "CONVERT"
)

// UnmarshalJSON implements json.Unmarshaler: an action is a name, or its number in BuildKit's definition.
func (a *Action) UnmarshalJSON(text []byte) error { return enum(a, text, Allow, Deny, Convert) }

// enum reads one of names, or its number.
func enum[T ~string](to *T, text []byte, names ...T) error {
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		var number int
		if err := json.Unmarshal(text, &number); err != nil || number < 0 || number >= len(names) {
			return fmt.Errorf("%s is not one of %v", text, names)
		}
		*to = names[number]
		return nil
	}
	for _, n := range names {
		if strings.EqualFold(name, string(n)) {
			*to = n
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %v", name, names)
}

// Parse reads a policy and checks it. What is not known is an error: a rule that does nothing is not one.
func Parse(text []byte) (*Policy, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	p := &Policy{}
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if p.Version != 0 && p.Version != 1 {
		return nil, fmt.Errorf("version %d is not known, only 1 is", p.Version)
	}
	for i := range p.Rules {
		if err := p.Rules[i].prepare(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (r *Rule) prepare() error {
	switch r.Action {
	case Allow, Deny:
	case Convert:
		if r.Updates == nil {
			return errors.New("a conversion needs updates")
		}
	case "":
		r.Action = Allow
	}
	return r.Selector.prepare()
}
