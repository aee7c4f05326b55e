package solver

import "fmt"

// VertexError is the failure of one step. The step's location says where it stands in the Dockerfile.
type VertexError struct {
	Vertex *Vertex
	Err    error
}

func (e *VertexError) Error() string {
	if e.Vertex.Step.Text == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Vertex.Step.Text, e.Err)
}

// Unwrap returns the cause.
func (e *VertexError) Unwrap() error { return e.Err }
