package frontend

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// OutlineResult is what can be passed to the build of a target, in the JSON form of
// docker build --call=outline.
type OutlineResult struct {
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Args        []OutlineArg    `json:"args,omitempty"`
	Secrets     []OutlineSecret `json:"secrets,omitempty"`
	SSH         []OutlineSecret `json:"ssh,omitempty"`
	// Sources holds the text of the Dockerfile.
	Sources [][]byte `json:"sources,omitempty"`
}

// OutlineArg is a build argument.
type OutlineArg struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Value       string `json:"value,omitempty"`
	Location    *Place `json:"location,omitempty"`
}

// OutlineSecret is a secret or an SSH agent.
type OutlineSecret struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Location *Place `json:"location,omitempty"`
}

// Outline finds out what the build of the target of req can be given.
func Outline(ctx context.Context, req Request, r Resolver) (*OutlineResult, error) {
	l, target, err := open(ctx, req, r)
	if err != nil {
		return nil, err
	}
	if err := l.lower(ctx, target); err != nil {
		return nil, err
	}
	c := outlineCollector{
		lowerer: l, stages: map[*stage]bool{}, args: map[string]bool{}, secrets: map[string]bool{}, sockets: map[string]bool{},
		result: OutlineResult{
			Name: target.from.Name, Description: target.from.DocComment, Sources: [][]byte{l.file.text},
		},
	}
	c.collect(target)
	slices.SortStableFunc(c.result.Args, func(a, b OutlineArg) int { return a.Location.line() - b.Location.line() })
	for _, list := range [][]OutlineSecret{c.result.Secrets, c.result.SSH} {
		slices.SortStableFunc(list, func(a, b OutlineSecret) int { return a.Location.line() - b.Location.line() })
	}
	return &c.result, nil
}

// Print writes o as text.
func (o *OutlineResult) Print(w io.Writer) error {
	name := o.Name
	if name == "" {
		name = "(default)"
	}
	var head, args [][]string
	if o.Name != "" || o.Description != "" {
		head = append(head, []string{"TARGET:", name})
	}
	if o.Description != "" {
		head = append(head, []string{"DESCRIPTION:", o.Description})
	}
	for _, a := range o.Args {
		args = append(args, []string{a.Name, a.Value, a.Description})
	}
	if err := printTable(w, 1, nil, head); err != nil {
		return err
	}
	if err := printTable(w, 3, []string{"BUILD ARG", "VALUE", "DESCRIPTION"}, args); err != nil {
		return err
	}
	if err := printTable(w, 3, []string{"SECRET", "REQUIRED"}, secretRows(o.Secrets)); err != nil {
		return err
	}
	return printTable(w, 3, []string{"SSH", "REQUIRED"}, secretRows(o.SSH))
}

func secretRows(list []OutlineSecret) [][]string {
	var rows [][]string
	for _, s := range list {
		required := ""
		if s.Required {
			required = "true"
		}
		rows = append(rows, []string{s.Name, required})
	}
	return rows
}

// printTable writes rows in columns and an empty line, or nothing if there are no rows.
func printTable(w io.Writer, space int, head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, space, ' ', 0)
	if head != nil {
		rows = append([][]string{head}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			fmt.Fprint(tw, printable(cell), end)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
