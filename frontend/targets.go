package frontend

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// TargetsResult is the stages of a Dockerfile, in the JSON form of docker build --call=targets.
type TargetsResult struct {
	Targets []Target `json:"targets"`
	// Sources holds the text of the Dockerfile.
	Sources [][]byte `json:"sources"`
}

// Target is a stage that can be asked for.
type Target struct {
	Name        string `json:"name,omitempty"`
	Default     bool   `json:"default,omitempty"`
	Description string `json:"description,omitempty"`
	// Base and Platform are as FROM has them, with variables.
	Base     string `json:"base,omitempty"`
	Platform string `json:"platform,omitempty"`
	Location *Place `json:"location,omitempty"`
}

// Targets lists the stages of the Dockerfile of req. Nothing is looked up.
func Targets(req Request) (*TargetsResult, error) {
	req = req.withDefaults()
	req.Warn = nil
	f, err := parse(&req)
	if err != nil {
		return nil, err
	}
	t := &TargetsResult{Sources: [][]byte{f.text}}
	for i, s := range f.stages {
		t.Targets = append(t.Targets, Target{
			Name: s.Name, Description: s.DocComment, Default: i == len(f.stages)-1,
			Base: s.BaseName, Platform: s.Platform, Location: f.place(s.Location),
		})
	}
	return t, nil
}

// Print writes t as text.
func (t *TargetsResult) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(tw, "TARGET\tDESCRIPTION\n")
	for _, target := range t.Targets {
		name := target.Name
		switch {
		case target.Default && name == "":
			name = "(default)"
		case target.Default:
			name += " (default)"
		}
		fmt.Fprintf(tw, "%s\t%s\n", name, printable(target.Description))
	}
	return tw.Flush()
}
