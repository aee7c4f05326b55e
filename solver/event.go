package solver

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Event is one thing that happened during a build. It is flat, so that it can be written as one JSON
// object a line and replayed.
type Event struct {
	Time   time.Time
	Action Action
	// Vertex is the digest of the step the event is about; zero for events of the whole build.
	Vertex v1.Hash
	// Step and Platform describe the vertex; set with ActionStart and ActionCached.
	Step     Step
	Platform v1.Platform
	// Text is what the action is about: the reason of a miss, a warning, the name of a transfer.
	Text string
	// Output is what the step's command wrote, in whole lines where it wrote whole lines.
	Output []byte
	// Current and Total are bytes of a transfer; Total is 0 as long as it is unknown.
	Current, Total int64
	// Err says why the step failed.
	Err string
}

// Action says what happened.
type Action string

// The actions.
const (
	// ActionStart: the step began to run; Text says why it was not cached.
	ActionStart Action = "start"
	// ActionCached: the result of the step was taken from the cache.
	ActionCached Action = "cached"
	// ActionOutput: the command of the step wrote Output.
	ActionOutput Action = "output"
	// ActionDone: the step ended well.
	ActionDone Action = "done"
	// ActionFailed: the step failed with Err.
	ActionFailed Action = "failed"
	// ActionProgress: Current of Total bytes of the transfer Text have been moved. A transfer ends
	// when they are equal.
	ActionProgress Action = "progress"
	// ActionWarning: something the user should know about, in Text.
	ActionWarning Action = "warning"
	// ActionNotice: something the user may want to know about, in Text.
	ActionNotice Action = "notice"
)
