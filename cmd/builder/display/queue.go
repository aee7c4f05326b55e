package display

import (
	"io"
	"sync"
	"time"
)

const (
	// maxQueued is how many bytes of text may wait before more output is asked to wait too.
	maxQueued = 1 << 20
	// maxStall is how long that lasts before the reader is given up until it reads again.
	maxStall = time.Second
)

// queue holds text until it is written, so that who reads it slowly does not hold up the build.
type queue struct {
	w io.Writer

	mu   sync.Mutex
	text []byte
	// drained is closed, and replaced, when text has been written.
	drained chan struct{}
	stalled bool
	// filled has a value when there is more than a little text.
	filled chan struct{}
}

func newQueue(w io.Writer) *queue {
	return &queue{w: w, drained: make(chan struct{}), filled: make(chan struct{}, 1)}
}

// add appends text whether there is room or not.
func (q *queue) add(text string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.text = append(q.text, text...)
	if len(q.text) > maxQueued/16 {
		select {
		case q.filled <- struct{}{}:
		default:
		}
	}
}

// room reports whether there is room for more. If there is none it waits for a while, but only once
// for a reader that has stopped reading.
func (q *queue) room() bool {
	q.mu.Lock()
	full, stalled, drained := len(q.text) >= maxQueued, q.stalled, q.drained
	q.mu.Unlock()
	if !full || stalled {
		return !full
	}
	timer := time.NewTimer(maxStall)
	defer timer.Stop()
	select {
	case <-drained:
		return true
	case <-timer.C:
		q.mu.Lock()
		defer q.mu.Unlock()
		q.stalled = len(q.text) >= maxQueued
		return !q.stalled
	}
}

// write writes what there is. Text that cannot be written is lost: a build does not fail because nobody
// looks. Only one goroutine may call it at a time.
func (q *queue) write() {
	q.mu.Lock()
	text := q.text
	q.text = nil
	q.mu.Unlock()
	if len(text) > 0 {
		_, _ = q.w.Write(text)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stalled = false
	close(q.drained)
	q.drained = make(chan struct{})
}
