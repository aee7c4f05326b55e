package frontend

import (
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/solver"
)

// Place is where something stands in a Dockerfile, in the JSON form of docker build: one range for each line,
// counted from 1.
type Place struct {
	SourceIndex int          `json:"sourceIndex,omitempty"`
	Ranges      []PlaceRange `json:"ranges,omitempty"`
}

// PlaceRange is a range of a [Place].
type PlaceRange struct {
	Start PlacePosition `json:"start"`
	End   PlacePosition `json:"end"`
}

// PlacePosition is the beginning or the end of a range.
type PlacePosition struct {
	Line      int `json:"line,omitempty"`
	Character int `json:"character,omitempty"`
}

func newPlace(l solver.Location) *Place {
	p := &Place{}
	for line := l.Start; line > 0 && line <= max(l.Start, l.End); line++ {
		p.Ranges = append(p.Ranges, PlaceRange{Start: PlacePosition{Line: line}, End: PlacePosition{Line: line}})
	}
	return p
}

// place is newPlace for what the parser gives.
func (f *dockerfile) place(ranges []parser.Range) *Place { return newPlace(f.location(ranges)) }

// line returns the first line of p, 0 if there is none.
func (p *Place) line() int {
	if p == nil || len(p.Ranges) == 0 {
		return 0
	}
	return p.Ranges[0].Start.Line
}
