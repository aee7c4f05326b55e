package httpclient

import (
	"fmt"
	"time"
)

// refusal is something that we do not do, however often we are asked.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// Transient implements [Verdict].
func (r *refusal) Transient() (time.Duration, bool) { return 0, false }

// Refusef formats an error that is never tried again.
func Refusef(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }
