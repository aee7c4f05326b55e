package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// traceEvent is what is used of an event of a trace, as builder build --trace writes it. Times are in microseconds.
type traceEvent struct {
	Name     string `json:"name"`
	Category string `json:"cat"`
	Phase    string `json:"ph"`
	Time     int64  `json:"ts"`
	Duration int64  `json:"dur"`
}

// summarizeTrace prints what took at least a fiftieth of the time of a trace.
func summarizeTrace(w io.Writer, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var trace struct {
		Events []traceEvent `json:"traceEvents"`
	}
	if err := json.Unmarshal(text, &trace); err != nil {
		return fmt.Errorf("reading the trace %s: %w", file, err)
	}
	events := slices.DeleteFunc(trace.Events, func(e traceEvent) bool { return e.Phase != "X" })
	slices.SortStableFunc(events, func(a, b traceEvent) int { return cmp.Compare(a.Time, b.Time) })
	var end int64
	for _, e := range events {
		end = max(end, e.Time+e.Duration)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "from ms\tfor ms\twhat\t")
	for _, e := range events {
		if e.Duration >= end/50 {
			fmt.Fprintf(t, "%.0f\t%.0f\t%s\t%.80s\n", float64(e.Time)/1e3, float64(e.Duration)/1e3, e.Category, e.Name)
		}
	}
	return t.Flush()
}
