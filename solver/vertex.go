package solver

import (
	"crypto/sha256"
	"encoding/hex"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Vertex is one step of a build: an operation and the trees it works on. It is immutable and may be
// shared between graphs; two vertices with equal digests are the same step and run once.
type Vertex struct {
	Op       Op
	Platform v1.Platform
	// Inputs are the vertices whose trees the operation needs. Inputs[0] is the tree built upon;
	// the rest are copied or mounted from. Sources have none.
	Inputs []*Vertex
	// Epoch, if not nil, is the time in seconds since 1970 that no file of the result may be younger than.
	Epoch *int64
	// NoCache makes the step run even if its result is recorded, and with it whatever depends on what it gives.
	NoCache bool
	// Step is for people and not part of the digest.
	Step Step

	digest v1.Hash
}

// Step says where a vertex comes from, for progress and for errors.
type Step struct {
	// Stage is the name of the stage, or its number if it has none.
	Stage string
	// Index counts the instructions of the stage that make a vertex, from 1 to Total.
	// Both are 0 for what no instruction asked for.
	Index, Total int
	// Text is the instruction as a user would recognise it, on one line.
	Text string
	// Location is where the instruction stands.
	Location Location
}

// Location is a range of whole lines in a Dockerfile, counted from 1. The zero value is nowhere.
type Location struct {
	File       string
	Start, End int
}

// NewVertex returns v with its digest computed; the inputs must have come from NewVertex too.
func NewVertex(v Vertex) *Vertex {
	var t Text
	t.add("op", string(opText(&v)))
	for _, in := range v.Inputs {
		t.add("input", in.digest.Hex)
	}
	if v.NoCache {
		t.add("nocache", v.Step.Stage)
	}
	v.digest = t.Hash()
	return &v
}

// Digest identifies the step: equal digests mean equal definitions. It is not a cache key, because a
// context is in it by name and not by content.
func (v *Vertex) Digest() v1.Hash { return v.digest }

// Source reports whether v makes a tree out of nothing that the graph has.
func (v *Vertex) Source() bool {
	switch v.Op.(type) {
	case Scratch, Image, Local, HTTP, Git, Inline:
		return true
	case Exec, Copy, Mkdir:
		return false
	}
	return false
}

// Walk calls visit for every vertex reachable from roots once, inputs before what uses them.
func Walk(roots []*Vertex, visit func(*Vertex)) {
	seen := map[v1.Hash]bool{}
	var walk func(*Vertex)
	walk = func(v *Vertex) {
		if seen[v.digest] {
			return
		}
		seen[v.digest] = true
		for _, in := range v.Inputs {
			walk(in)
		}
		visit(v)
	}
	for _, v := range roots {
		walk(v)
	}
}

func hash(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}
