package display

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// frameTime is the time from one frame to the next, and how long text may wait to be written.
const frameTime = 100 * time.Millisecond

// Options say where and how to draw.
type Options struct {
	// Mode must not be Auto; see Choose.
	Mode Mode
	// Out is what all text goes to.
	Out io.Writer
	// Terminal says that Out is a terminal, which must not be given control characters.
	Terminal bool
	// Colour allows colours. JSON has none.
	Colour bool
	// Size gives the size of the terminal in cells; needed for TTY. It is asked before each frame.
	Size func() (width, height int)
	// Observe, if not nil, is told every event.
	Observe func(solver.Event)
	// Platform is the only one that was asked for, which need not be mentioned; empty if there are several.
	Platform string
	// Held: nothing is written before Release or the end.
	Held bool
}

// drawing turns events into text. Its methods are called one at a time.
type drawing interface {
	// event returns what is to be written because of e, which made change c to s.
	event(s *State, e solver.Event, c Change) string
	// frame returns what is to be written because time has passed.
	frame(s *State, now time.Time) string
	// end returns what is left to be written, the result last.
	end(s *State, now time.Time, result ending) string
}

// Display draws a build. It must be ended with Finish or Fail.
type Display struct {
	queue   *queue
	observe func(solver.Event)
	// stop ends the goroutine that writes, which then closes stopped.
	stop, stopped chan struct{}

	mu      sync.Mutex
	state   State
	drawing drawing
	ended   bool
	// lost is how many pieces of output were not drawn because nobody read them.
	lost int
}

// Start begins to draw. The build begins now.
func Start(o Options) *Display {
	d := &Display{queue: newQueue(o.Out), observe: o.Observe, stop: make(chan struct{}), stopped: make(chan struct{})}
	d.state.Began = time.Now()
	d.choose(o)
	if o.Held {
		close(d.stopped)
	} else {
		go d.run()
	}
	return d
}

// Release begins to write what was held back. It must be called at most once, before the end.
func (d *Display) Release() {
	d.stopped = make(chan struct{})
	go d.run()
}

// choose sets the drawing that was asked for.
func (d *Display) choose(o Options) {
	l := look{colour: o.Colour, terminal: o.Terminal, platform: o.Platform, excerpt: maxTailLines}
	switch o.Mode {
	case TTY:
		l.terminal = true
		d.drawing = &tty{look: l, size: o.Size}
	case JSON:
		d.drawing = objects{}
	case Quiet:
		d.drawing = quiet{l}
	case Plain, Auto:
		l.excerpt = 10 // more of it stands above
		d.drawing = newPlain(l)
	}
}

// Emit takes in an event. It may be called by many goroutines at once. It does not wait for the
// text to be written unless a lot has piled up, and then for no more than a second; of a reader that does not
// read at all, only output and progress are kept back.
func (d *Display) Emit(e solver.Event) {
	if d.observe != nil {
		d.observe(e)
	}
	drop := !essential(e.Action) && !d.queue.room()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	c := d.state.Apply(e)
	if drop {
		d.lost++
		return
	}
	d.regret(e.Time)
	d.queue.add(d.drawing.event(&d.state, e, c))
}

// essential reports whether a drawing cannot do without an action.
func essential(a solver.Action) bool {
	return a != solver.ActionOutput && a != solver.ActionProgress
}

// regret tells what was not drawn.
func (d *Display) regret(now time.Time) {
	if d.lost == 0 {
		return
	}
	e := solver.Event{
		Time: now, Action: solver.ActionNotice,
		Text: fmt.Sprintf("%d pieces of output are missing here because nobody read them", d.lost),
	}
	d.lost = 0
	d.queue.add(d.drawing.event(&d.state, e, d.state.Apply(e)))
}

// Finish ends the display of a build that succeeded. It returns when everything is written.
func (d *Display) Finish(s Summary) { d.end(s) }

// Fail ends the display of a build that did not. It returns when everything is written.
func (d *Display) Fail(f Failure) { d.end(f) }

// end ends the display; events that come later are ignored. Only the first end counts.
func (d *Display) end(result ending) {
	d.mu.Lock()
	if d.ended {
		d.mu.Unlock()
		return
	}
	d.ended = true
	now := time.Now()
	d.regret(now)
	d.queue.add(d.drawing.end(&d.state, now, result))
	d.mu.Unlock()
	close(d.stop)
	<-d.stopped
	d.queue.write()
}

// run writes what is queued, and lets the drawing see time pass, until the display ends.
func (d *Display) run() {
	defer close(d.stopped)
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.frame(time.Now())
		case <-d.queue.filled:
		case <-d.stop:
			return
		}
		d.queue.write()
	}
}

func (d *Display) frame(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.queue.add(d.drawing.frame(&d.state, now))
	}
}
