//go:build linux

package supervisor

import (
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// receivers is how many threads wait for calls. They are answered one after another; but a call that nobody has
// received yet can be interrupted, so that while one is answered others must be there to receive the next.
const receivers = 4

// Serve answers the calls that come from listener until all who make them have ended, and closes it.
func (s *Supervisor) Serve(file *os.File) {
	defer file.Close()
	l := newListener(file)
	var serving sync.WaitGroup
	threads := make(chan int, receivers)
	for range receivers {
		serving.Go(func() {
			runtime.LockOSThread() // the kernel switches between this thread and the command's
			defer runtime.UnlockOSThread()
			threads <- unix.Gettid()
			s.receive(l)
		})
	}
	served := make(chan struct{})
	go func() { serving.Wait(); close(served) }()
	l.ended(-1)
	wake(threads, served)
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

// wake lets threads that wait for a call find that there will be none: before Linux 6.11 the kernel does not.
func wake(threads <-chan int, served <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var all []int
	for {
		select {
		case <-served:
			return
		case id := <-threads:
			all = append(all, id)
		case <-tick.C:
			for _, id := range all {
				_ = unix.Tgkill(unix.Getpid(), id, unix.SIGURG) // the runtime has a handler for it
			}
		}
	}
}
