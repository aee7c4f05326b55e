package solver

import (
	"context"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Account tells of one build: what its steps were, and why those that ran did.
type Account struct {
	Time  time.Time     `json:"time"`
	Steps []StepAccount `json:"steps"`
}

// StepAccount tells of one step of a build.
type StepAccount struct {
	Stage    string `json:"stage"`
	Index    int    `json:"index"`
	Total    int    `json:"total"`
	Step     string `json:"step"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Platform string `json:"platform,omitempty"`
	// Outcome is what became of the step, Reason why it was not cached.
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	// Op is the part of both keys that says what is done. Definition and Content are the texts of the keys; they are
	// empty if they were not worked out.
	Op         string `json:"op"`
	Definition string `json:"definition,omitempty"`
	Content    string `json:"content,omitempty"`
	// Inputs say what the inputs are, for people.
	Inputs []string `json:"inputs,omitempty"`
	// Before is the step in the last build that was most like this one, if this one ran.
	Before *StepAccount `json:"before,omitempty"`
}

// Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	// OutcomeCached: its result was known.
	OutcomeCached Outcome = "cached"
	// OutcomeRan: it ran.
	OutcomeRan Outcome = "ran"
	// OutcomeFailed: it failed, or was stopped.
	OutcomeFailed Outcome = "failed"
	// OutcomeUnneeded: nothing that had to be done needed it.
	OutcomeUnneeded Outcome = "unneeded"
)

// Diary remembers builds, so that the next one can say what has changed.
type Diary interface {
	// Last returns the account of the last build of the same thing; nil if there is none.
	Last() *Account
	// Write remembers the account of this one.
	Write(a Account)
	// Files returns the files with a digest that Worker.Digest gave, nil if they are not known.
	Files(digest v1.Hash) map[string]string
	// WriteFiles remembers them.
	WriteFiles(digest v1.Hash, files map[string]string)
}

// account tells of the build when it has ended.
func (b *build) account(nodes []*node) Account {
	a, last := Account{Time: time.Now()}, b.Diary.Last()
	for _, n := range nodes {
		if n.v.Source() {
			continue
		}
		s := n.account()
		if before := last.most(&s); s.Outcome == OutcomeUnneeded && before != nil && before.Op == s.Op {
			s.Definition, s.Content = before.Definition, before.Content // as it was when it was needed
		}
		a.Steps = append(a.Steps, s)
	}
	return a
}

func (n *node) account() StepAccount {
	s := n.describe()
	n.told.Lock()
	defer n.told.Unlock()
	s.Outcome, s.Reason, s.Before = n.outcome, n.reason, n.before
	s.Content = n.content
	if s.Outcome == "" {
		s.Outcome = OutcomeUnneeded
		return s
	}
	if d, err := n.definition(); err == nil && s.Outcome != OutcomeFailed {
		s.Definition = d.String()
	}
	return s
}

// describe returns what is known of a step before anything is done.
func (n *node) describe() StepAccount {
	step := n.v.Step
	s := StepAccount{
		Stage: step.Stage, Index: step.Index, Total: step.Total, Step: step.Text, File: step.Location.File,
		Line: step.Location.Start, Platform: platformText(n.v.Platform), Op: string(opText(n.v)),
	}
	for _, in := range n.inputs {
		s.Inputs = append(s.Inputs, in.v.title())
	}
	return s
}

func platformText(p v1.Platform) string {
	if p.OS == "" {
		return ""
	}
	return p.String()
}

// title says what a vertex is, for people.
func (v *Vertex) title() string {
	switch op := v.Op.(type) {
	case Scratch:
		return "scratch"
	case Image:
		return op.Ref
	case Local:
		return op.Name
	case HTTP:
		return op.URL
	case Git:
		return op.Remote + "#" + op.Commit
	case Inline:
		return "a here-document"
	case Exec, Copy, Mkdir:
	}
	return v.Step.Text
}

// worked notes the text of the content key, once it was worked out.
func (n *node) worked(content string) {
	n.told.Lock()
	defer n.told.Unlock()
	n.content = content
}

// tell notes what became of a step.
func (n *node) tell(o Outcome) {
	n.told.Lock()
	defer n.told.Unlock()
	n.outcome = o
}

// keepFiles remembers the files that n reads of a directory, so that the next build can say which have changed.
func (b *build) keepFiles(ctx context.Context, n *node, inputs []Tree) {
	if b.Diary == nil {
		return
	}
	for i := 1; i < len(inputs); i++ {
		if !n.inputs[i].v.Source() || n.inputs[i].v.definite() {
			continue
		}
		digest, err := n.contents[i]()
		if err != nil || b.Diary.Files(digest) != nil {
			continue
		}
		if files, err := b.Worker.Files(ctx, n.v, i, inputs[i]); err == nil && files != nil {
			b.Diary.WriteFiles(digest, files)
		}
	}
}

// most returns the step of the account that is most like s: the same instruction, or else what stands in its place.
// It is nil if there is none, or no account.
func (a *Account) most(s *StepAccount) *StepAccount {
	var best *StepAccount
	most := 0
	if a == nil {
		return nil
	}
	for i := range a.Steps {
		if score := a.Steps[i].like(s); score > most {
			best, most = &a.Steps[i], score
		}
	}
	return best
}

// like says how much a step is like another one of the same stage and platform; 0 is not at all.
func (s *StepAccount) like(other *StepAccount) int {
	if s.Platform != other.Platform || s.Stage != other.Stage || s.Op == "" {
		return 0
	}
	score := 0
	if s.Step == other.Step {
		score += 4
	}
	if s.Op == other.Op {
		score += 2
	}
	if s.Index == other.Index && instruction(s.Step) == instruction(other.Step) {
		score++
	}
	return score
}

// instruction is the first word of a step.
func instruction(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
