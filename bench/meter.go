//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// meter passes connections on to the registry and counts what goes through them. The kernel moves the bytes, so
// that it costs next to nothing.
type meter struct {
	listener net.Listener
	to       string
	// delay is how long a request takes on its way, in nanoseconds.
	delay atomic.Int64

	mu   sync.Mutex
	live map[*link]bool
	// past is what went through connections that have ended.
	past traffic
}

// traffic is bytes moved, seen from the builder.
type traffic struct {
	Down int64 `json:"down"`
	Up   int64 `json:"up"`
}

// link is one connection of a builder.
type link struct {
	client, server *net.TCPConn
	// answered: the server spoke last, so that what the client says next is a new request.
	answered atomic.Bool
}

// newMeter listens on address and passes on to the address to.
func newMeter(ctx context.Context, address, to string) (*meter, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for the builders: %w", err)
	}
	m := &meter{listener: l, to: to, live: map[*link]bool{}}
	go m.serve(ctx)
	return m, nil
}

func (m *meter) serve(ctx context.Context) {
	for {
		c, err := m.listener.Accept()
		if err != nil {
			return
		}
		go m.pass(ctx, c)
	}
}

// pass connects a client with the registry until both have ended.
func (m *meter) pass(ctx context.Context, c net.Conn) {
	defer func() { _ = c.Close() }()
	s, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.to)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	client, ok1 := c.(*net.TCPConn)
	server, ok2 := s.(*net.TCPConn)
	if !ok1 || !ok2 {
		return
	}
	l := &link{client: client, server: server}
	l.answered.Store(true)
	m.mu.Lock()
	m.live[l] = true
	m.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { m.request(l); _ = l.server.CloseWrite() })
	both.Go(func() { m.answer(l); _ = l.client.CloseWrite() })
	both.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.live, l)
	m.past = m.past.plus(l.traffic())
}

// request passes on what the client says, late if there is a delay.
func (m *meter) request(l *link) {
	if m.delay.Load() == 0 {
		_, _ = io.Copy(l.server, l.client)
		return
	}
	b := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(b)
		if n > 0 && l.answered.Swap(false) {
			time.Sleep(time.Duration(m.delay.Load()))
		}
		if _, writing := l.server.Write(b[:n]); err != nil || writing != nil {
			return
		}
	}
}

// answer passes on what the registry says.
func (m *meter) answer(l *link) {
	if m.delay.Load() == 0 {
		_, _ = io.Copy(l.client, l.server)
		return
	}
	b := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(b)
		l.answered.Store(true)
		if _, writing := l.client.Write(b[:n]); err != nil || writing != nil {
			return
		}
	}
}

// traffic asks the kernel what went through a connection.
func (l *link) traffic() traffic {
	raw, err := l.client.SyscallConn()
	if err != nil {
		return traffic{}
	}
	var t traffic
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			t = traffic{Down: int64(info.Bytes_acked), Up: int64(info.Bytes_received)}
		}
	})
	return t
}

// total is what has been moved so far.
func (m *meter) total() traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.past
	for l := range m.live {
		t = t.plus(l.traffic())
	}
	return t
}

func (t traffic) plus(o traffic) traffic { return traffic{t.Down + o.Down, t.Up + o.Up} }

func (t traffic) minus(o traffic) traffic { return traffic{t.Down - o.Down, t.Up - o.Up} }
