//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// results are what was measured, in the order of the scenarios.
type results struct {
	Date      time.Time         `json:"date"`
	Machine   string            `json:"machine"`
	Missing   map[string]string `json:"missing,omitempty"`
	Scenarios []*result         `json:"scenarios"`
	names     []string
}

// result is one scenario.
type result struct {
	ID    string               `json:"id"`
	Title string               `json:"title"`
	Peers map[string]*measured `json:"peers"`
	// Ratio is the best peer's median wall clock divided by builder's; 0 if one of them is not there.
	Ratio float64 `json:"ratio,omitempty"`
}

// measured is what was measured of one peer in one scenario: the median, and what it is the median of.
type measured struct {
	Median  sample   `json:"median"`
	Samples []sample `json:"samples,omitempty"`
	Failure string   `json:"failure,omitempty"`
}

func newResults(b *bench) *results {
	r := &results{Date: time.Now().UTC().Truncate(time.Second), Machine: machine(), Missing: b.missing}
	for _, p := range b.peers {
		r.names = append(r.names, p.name())
	}
	return r
}

// keep takes over what was measured before.
func (r *results) keep(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var before results
	if err := json.Unmarshal(text, &before); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	r.Scenarios = before.Scenarios
	for _, s := range r.Scenarios {
		for name := range s.Peers {
			if !slices.Contains(r.names, name) {
				r.names = append(r.names, name)
			}
		}
	}
	slices.SortFunc(r.names, func(a, b string) int { return slices.Index(peerNames(), a) - slices.Index(peerNames(), b) })
	return nil
}

// forget drops what was measured of peers in a scenario.
func (r *results) forget(id string, peers []peer) {
	if s := r.scenario(id); s != nil {
		for _, p := range peers {
			delete(s.Peers, p.name())
		}
	}
}

// sorted puts the scenarios in order.
func (r *results) sorted() {
	slices.SortFunc(r.Scenarios, func(a, b *result) int { return a.number() - b.number() })
}

func (s *result) number() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(s.ID, "S"))
	return n
}

// machine describes this machine.
func machine() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release = []byte("?")
	}
	return fmt.Sprintf("Linux %s, %s, %d processors", strings.TrimSpace(string(release)), runtime.GOARCH, runtime.NumCPU())
}

// scenario returns the result of a scenario, nil if nothing was measured.
func (r *results) scenario(id string) *result {
	i := slices.IndexFunc(r.Scenarios, func(s *result) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return r.Scenarios[i]
}

// failed reports whether a peer could not do a scenario.
func (r *results) failed(id, peer string) bool {
	s := r.scenario(id)
	return s != nil && s.Peers[peer] != nil && s.Peers[peer].Failure != ""
}

// add takes in one run.
func (r *results) add(s scenario, peer string, run sample, err error) {
	of := r.scenario(s.id)
	if of == nil {
		of = &result{ID: s.id, Peers: map[string]*measured{}}
		r.Scenarios = append(r.Scenarios, of)
	}
	of.Title = s.title
	m := of.Peers[peer]
	if m == nil {
		m = &measured{}
		of.Peers[peer] = m
	}
	if err != nil {
		m.Failure = err.Error()
		if !errors.Is(err, errCannot) {
			fmt.Fprintf(os.Stderr, "%s: %s: %v\n", s.id, peer, err)
		}
		return
	}
	fmt.Fprintf(os.Stderr, "%s %s: %.3f s, %.2f s CPU, %d MB, %d kB down, %d kB up\n", s.id, peer, run.Wall, run.CPU, run.RSS/1e6, run.Down/1000, run.Up/1000)
	m.Samples = append(m.Samples, run)
	m.Median = medians(m.Samples)
	of.compare()
}

// medians returns the median of every figure by itself; of memory the highest.
func medians(samples []sample) (m sample) {
	m.Wall = median(samples, func(s sample) float64 { return s.Wall })
	m.CPU = median(samples, func(s sample) float64 { return s.CPU })
	m.Down = median(samples, func(s sample) int64 { return s.Down })
	m.Up = median(samples, func(s sample) int64 { return s.Up })
	for _, s := range samples {
		m.RSS = max(m.RSS, s.RSS)
	}
	return m
}

func median[T int64 | float64](samples []sample, figure func(sample) T) T {
	all := make([]T, len(samples))
	for i, s := range samples {
		all[i] = figure(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// compare sets the ratio.
func (s *result) compare() {
	ours := s.Peers["builder"]
	if ours == nil || len(ours.Samples) == 0 {
		return
	}
	best := 0.0
	for name, m := range s.Peers {
		if name != "builder" && len(m.Samples) > 0 && (best == 0 || m.Median.Wall < best) {
			best = m.Median.Wall
		}
	}
	s.Ratio = best / ours.Median.Wall
}

// print writes a table.
func (r *results) print(w io.Writer) {
	r.sorted()
	fmt.Fprintln(w, r.Machine)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\twall s / CPU s / peak MB / MB down / MB up")
	fmt.Fprintln(t, "\t"+strings.Join(r.names, "\t")+"\tratio")
	for _, s := range r.Scenarios {
		fmt.Fprint(t, s.ID)
		for _, name := range r.names {
			fmt.Fprint(t, "\t", s.Peers[name])
		}
		fmt.Fprintf(t, "\t%.1f\n", s.Ratio)
	}
	_ = t.Flush() // it is only shown
}

// String is a cell of the table.
func (m *measured) String() string {
	if m == nil || len(m.Samples) == 0 {
		return "–"
	}
	s := m.Median
	return fmt.Sprintf("%.2f / %.2f / %.0f / %.1f / %.1f", s.Wall, s.CPU, float64(s.RSS)/1e6, float64(s.Down)/1e6, float64(s.Up)/1e6)
}

func (r *results) writeJSON(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644) //nolint:gosec // for all to read
}
