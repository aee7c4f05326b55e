//go:build linux

package supervisor

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Serve answers the calls that come from listener until all who make them have ended, and closes it.
//
// One thread receives and answers them, one after another. Several would take turns, so that each has slept when it is
// needed, which makes a call take half as long again; and no fewer calls are interrupted before they are received.
func (s *Supervisor) Serve(file *os.File) {
	defer file.Close()
	l := newListener(file)
	thread, served := make(chan int, 1), make(chan struct{})
	go func() {
		defer close(served)
		runtime.LockOSThread() // the kernel switches between this thread and the command's
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		s.receive(l)
	}()
	l.ended(-1)
	wake(<-thread, served)
}

// receive receives calls and answers them.
func (s *Supervisor) receive(l listener) {
	for {
		n, err := l.receive()
		switch {
		case err == nil:
			l.answer(n.id, s.handle(l, n))
		case l.ended(0):
			return
		}
	}
}

// wake lets a thread that waits for a call find that there will be none: before Linux 6.11 the kernel does not.
func wake(thread int, served <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-served:
			return
		case <-tick.C:
			_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGURG) // the runtime has a handler for it
		}
	}
}
