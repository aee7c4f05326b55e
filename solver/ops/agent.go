//go:build linux

package ops

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"sync"

	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// agent gives the command a socket that passes requests on to an SSH agent, as long as it runs.
func (r *run) agent(ctx context.Context, m solver.Mount, scratch string) ([]sandbox.Mount, error) {
	agent, err := r.worker.Agent(m.ID)
	if errors.Is(err, fs.ErrNotExist) {
		if m.Required {
			return nil, fmt.Errorf("SSH agent %s: not found: give it with --ssh %s", m.ID, m.ID)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !r.worker.Host.Mounts() { // it has to be on the file system that it is moved to
		scratch = filepath.Join(r.worker.Store.Temporary(), filepath.Base(filepath.Dir(scratch))+".socket")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", scratch)
	if err != nil {
		return nil, err
	}
	p := &agentProxy{agent: agent}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.serve(ctx, listener)
	}()
	r.undo = append(r.undo, func() {
		_ = listener.Close()
		p.close()
		<-done
	})
	if err := give(scratch, m, 0o600); err != nil {
		return nil, err
	}
	r.env = append(r.env, "SSH_AUTH_SOCK="+m.Target)
	source, err := r.reference(scratch)
	if err != nil {
		return nil, err
	}
	return []sandbox.Mount{{Target: m.Target, Source: source}}, nil
}

// agentProxy passes on those requests of a command that use the keys of an agent, and refuses those that
// would change it. See draft-miller-ssh-agent.
type agentProxy struct {
	// agent is the path of the agent's socket.
	agent string

	mu    sync.Mutex
	conns []net.Conn
}

// Message types of the agent protocol.
const (
	agentFailure           = 5
	agentRequestIdentities = 11
	agentSignRequest       = 13
	// maxAgentMessage bounds a message, as OpenSSH does.
	maxAgentMessage = 256 << 10
)

func (p *agentProxy) serve(ctx context.Context, l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			p.track(c)
			_ = p.pass(ctx, c) // an agent that does not answer is the command's concern
		})
	}
}

func (p *agentProxy) track(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

func (p *agentProxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
}

// pass passes on the messages of one connection.
func (p *agentProxy) pass(ctx context.Context, command net.Conn) error {
	agent, err := (&net.Dialer{}).DialContext(ctx, "unix", p.agent)
	if err != nil {
		return err
	}
	defer func() { _ = agent.Close() }()
	p.track(agent)
	for {
		request, err := readMessage(command)
		if err != nil {
			return err
		}
		answer := []byte{0, 0, 0, 1, agentFailure}
		if len(request) > 4 && slices.Contains([]byte{agentRequestIdentities, agentSignRequest}, request[4]) {
			if _, err := agent.Write(request); err != nil {
				return err
			}
			if answer, err = readMessage(agent); err != nil {
				return err
			}
		}
		if _, err := command.Write(answer); err != nil {
			return err
		}
	}
}

// readMessage reads a message with its length.
func readMessage(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxAgentMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, 4+n)
	copy(message, length[:])
	_, err := io.ReadFull(r, message[4:])
	return message, err
}
