package solver

import (
	"slices"
	"testing"
)

func TestValues(t *testing.T) {
	v := NewVertex(Vertex{Op: Exec{
		Args: []string{"sh", "-c", "echo \"a b\"\n"}, Env: []string{"TOKEN=s3cr\x00t \"x\""}, Dir: "/srv",
	}})
	got := Values(v)
	for _, want := range []string{"echo \"a b\"\n", "TOKEN", "s3cr\x00t \"x\"", "/srv"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
}
