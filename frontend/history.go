package frontend

import (
	"fmt"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// commit adds an instruction to the history; layer says whether it made one.
func (s *state) commit(text string, layer bool) error {
	s.record(text, layer)
	return s.expand.budget.spend(len(text))
}

// record is commit for what is short.
func (s *state) record(text string, layer bool) {
	h := ocispec.History{CreatedBy: text, Comment: "buildkit.dockerfile.v0", EmptyLayer: !layer}
	if s.epoch != nil {
		t := time.Unix(*s.epoch, 0).UTC()
		h.Created = &t
	}
	s.image.History = append(s.image.History, h)
}

// argHistory is how the history of RUN tells which arguments the command saw: their number, then each with
// its value.
func (s *state) argHistory() string {
	if len(s.args.names) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "|%d ", len(s.args.names))
	for _, name := range s.args.names {
		value, ok := s.env.Get(name)
		if !ok {
			value = s.args.values[name]
		}
		b.WriteString(name + "=" + value + " ")
	}
	return b.String()
}
