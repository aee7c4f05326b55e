package frontend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-298d225e/builder/solver"
)

// CheckResult is what the checks found, in the JSON form of docker build --call=check.
type CheckResult struct {
	Warnings []CheckWarning `json:"warnings"`
	Sources  []CheckSource  `json:"sources"`
	// Error, if not nil, is what would keep the Dockerfile from being built, or the warnings if the
	// Dockerfile says that they are errors.
	Error *CheckError `json:"buildError,omitempty"`
}

// CheckWarning is a [Warning].
type CheckWarning struct {
	RuleName    string `json:"ruleName"`
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Location    *Place `json:"location,omitempty"`
}

// CheckSource is a file that was checked.
type CheckSource struct {
	Filename string `json:"filename,omitempty"`
	Data     []byte `json:"data,omitempty"`
	Language string `json:"language,omitempty"`
}

// CheckError is an error and its place.
type CheckError struct {
	Message  string `json:"message"`
	Location *Place `json:"location"`
}

// Check runs all checks on the target of req, or on all stages if it has none, and makes no graph of them.
func Check(ctx context.Context, req Request, r Resolver) *CheckResult {
	result := &CheckResult{Warnings: []CheckWarning{}}
	req.Warn = func(w Warning) {
		result.Warnings = append(result.Warnings, CheckWarning{
			RuleName: w.Rule, Description: w.Description, URL: w.URL, Detail: w.Detail, Location: newPlace(w.Location),
		})
	}
	if err := check(ctx, req, r); err != nil {
		result.Error = newCheckError(err)
	}
	req = req.withDefaults()
	result.Sources = []CheckSource{{Filename: req.Filename, Data: req.Dockerfile, Language: "Dockerfile"}}
	slices.SortStableFunc(result.Warnings, func(a, b CheckWarning) int { return a.Location.line() - b.Location.line() })
	return result
}

func check(ctx context.Context, req Request, r Resolver) error {
	l, target, err := open(ctx, req, r)
	if err != nil {
		return err
	}
	if req.Target == "" {
		return l.lower(ctx, l.stages...)
	}
	return l.lower(ctx, target)
}

func newCheckError(err error) *CheckError {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err}
	}
	return &CheckError{Message: printable(e.Err.Error()), Location: newPlace(e.Location)}
}

// Failed reports whether anything was found.
func (c *CheckResult) Failed() bool { return c.Error != nil || len(c.Warnings) > 0 }

// Print writes c as text, with the lines in question.
func (c *CheckResult) Print(w io.Writer) error {
	var b strings.Builder
	switch n := len(c.Warnings); {
	case n == 1:
		b.WriteString("Check complete, 1 warning has been found!\n")
	case n > 1:
		fmt.Fprintf(&b, "Check complete, %d warnings have been found!\n", n)
	case c.Error == nil:
		b.WriteString("Check complete, no warnings found.\n")
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "\nWARNING: %s", warning.RuleName)
		if warning.URL != "" {
			fmt.Fprintf(&b, " - %s", warning.URL)
		}
		fmt.Fprintf(&b, "\n%s\n%s", printable(warning.Detail), c.excerpt(warning.Location))
	}
	if c.Error != nil {
		if len(c.Warnings) > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n%s", c.Error.Message, c.excerpt(c.Error.Location))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *CheckResult) excerpt(p *Place) string {
	if len(p.Ranges) == 0 {
		return ""
	}
	source := c.Sources[p.SourceIndex]
	return Excerpt(source.Data, solver.Location{
		File: source.Filename, Start: p.line(), End: p.Ranges[len(p.Ranges)-1].End.Line,
	})
}
