//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// The plot: for every scenario a group of bars, one a peer, as long as the wall clock on a logarithmic scale.
const (
	barHeight   = 13
	groupGap    = 16
	labelWidth  = 330
	plotWidth   = 560
	marginTop   = 56
	marginRight = 110
	// shortest is where the scale begins, in seconds.
	shortest = 0.01
)

// colours of the peers, in the order in which they are measured.
func colours() []string { return []string{"#1a7f37", "#0969da", "#54aeff", "#bf8700", "#8250df"} }

// writeSVG draws the results.
func (r *results) writeSVG(name string) error {
	var body strings.Builder
	y := marginTop
	for _, s := range r.Scenarios {
		fmt.Fprintf(&body, `<text x="8" y="%d" class="id">%s</text><text x="44" y="%d">%s</text>`+"\n", y+11, s.ID, y+11, s.Title)
		for i, peer := range r.names {
			m := s.Peers[peer]
			if m == nil || len(m.Samples) == 0 {
				continue
			}
			width := barLength(m.Median.Wall)
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y, width, barHeight-2, colours()[i%len(colours())])
			fmt.Fprintf(&body, `<text x="%.1f" y="%d" class="figure">%s s</text>`+"\n", labelWidth+width+5, y+10, shortFigure(m.Median.Wall))
			y += barHeight
		}
		y += groupGap
	}
	text := r.head(y) + body.String() + "</svg>\n"
	return os.WriteFile(name, []byte(text), 0o644) //nolint:gosec // for all to read
}

// head begins the drawing with the legend.
func (r *results) head(height int) string {
	var b strings.Builder
	width := labelWidth + plotWidth + marginRight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	b.WriteString("<style>.id{font-weight:bold}.figure{font-size:10px;fill:#555}</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="8" y="18">Wall clock, medians, logarithmic. %s, %s</text>`+"\n", r.Machine, r.Date.Format("2006-01-02"))
	for i, peer := range r.names {
		fmt.Fprintf(&b, `<rect x="%d" y="28" width="12" height="12" fill="%s"/><text x="%d" y="38">%s</text>`+"\n", 8+i*120, colours()[i%len(colours())], 24+i*120, peer)
	}
	return b.String()
}

// barLength is how long the bar of a time in seconds is.
func barLength(seconds float64) float64 {
	const longest = 100
	return max(2, plotWidth*math.Log(seconds/shortest)/math.Log(longest/shortest))
}

func shortFigure(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3f", seconds)
	}
	return fmt.Sprintf("%.1f", seconds)
}
