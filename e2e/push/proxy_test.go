//go:build e2e

package push

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fault is something that goes wrong with requests.
type fault struct {
	// method and part are what a request must have, part in its path.
	method, part string
	// skip is how many of such requests go well first, times with how many it happens; negative is all.
	skip, times int
	do          func(p *proxy, w http.ResponseWriter, r *http.Request)
}

// proxy stands before a registry and injects faults.
type proxy struct {
	address string
	next    *httputil.ReverseProxy

	mu     sync.Mutex
	faults []*fault
	// hit counts the faults that happened, sent the bytes of bodies that came.
	hit  int
	sent int64
}

func newProxy(t *testing.T, registry string, faults ...fault) *proxy {
	t.Helper()
	p := &proxy{next: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registry})}
	p.next.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	for _, f := range faults {
		p.faults = append(p.faults, &f)
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.address = strings.TrimPrefix(s.URL, "http://")
	return p
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = &counted{r.Body, p}
	if f := p.fault(r); f != nil {
		f.do(p, w, r)
		return
	}
	p.next.ServeHTTP(w, r)
}

func (p *proxy) fault(r *http.Request) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if f.method != r.Method || !strings.Contains(r.URL.Path, f.part) || f.times == 0 {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		f.times--
		p.hit++
		return f
	}
	return nil
}

// counts returns how many faults happened and how many bytes of bodies came.
func (p *proxy) counts() (hit int, sent int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit, p.sent
}

// counted counts what is read of a body.
type counted struct {
	io.ReadCloser
	proxy *proxy
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.sent += int64(n)
	return n, err
}

// reset cuts the connection without an answer.
func reset(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// resetAfter lets so much of the body through to the registry, and cuts the connection.
func resetAfter(n int64) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		part := r.Clone(r.Context())
		part.Body, part.ContentLength = io.NopCloser(io.LimitReader(r.Body, n)), n
		part.Header.Del("Content-Range")
		p.next.ServeHTTP(httptest.NewRecorder(), part)
		reset(p, w, r)
	}
}

// afterwards lets the registry do what is asked for, and cuts the connection instead of telling.
func afterwards(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.next.ServeHTTP(httptest.NewRecorder(), r)
	reset(p, w, r)
}

// status answers with a status and headers, given as name and value in turn.
func status(code int, headers ...string) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// changed gives the registry's answer with another body or other headers.
func changed(change func(h http.Header, body []byte) []byte) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		p.next.ServeHTTP(answer, r)
		body := change(answer.Header(), answer.Body.Bytes())
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body) // the server cuts the connection if it is shorter than its Content-Length
	}
}

// drip reads the body slowly.
func drip(p *proxy, w http.ResponseWriter, r *http.Request) {
	r.Body = &slow{r.Body}
	p.next.ServeHTTP(w, r)
}

type slow struct{ io.ReadCloser }

func (s *slow) Read(b []byte) (int, error) {
	time.Sleep(2 * time.Millisecond)
	return s.ReadCloser.Read(b[:min(len(b), 64<<10)])
}
