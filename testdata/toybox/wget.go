package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxRedirects is how many times a download may be sent elsewhere.
const maxRedirects = 10

// wget downloads http URLs to the file named by -O ("-" is the standard output), else to one named like
// the URL. It uses http_proxy. -q is accepted. It speaks HTTP/1.0, so that bodies are plain.
func wget(c *call) error {
	o, err := parse(c.args, "q", "OT")
	if err != nil {
		return err
	}
	address, err := o.one("URL")
	if err != nil {
		return err
	}
	timeout, err := o.number('T', 60)
	if err != nil {
		return err
	}
	name, ok := o.values['O']
	if !ok {
		name = base(address)
	}
	for range maxRedirects {
		next, err := c.download(address, name, time.Duration(timeout)*time.Second)
		if err != nil || next == "" {
			return err
		}
		address = next
	}
	return fmt.Errorf("%s: too many redirects", address)
}

// download writes what is at an address to a file, or returns where it says it has gone.
func (c *call) download(address, name string, timeout time.Duration) (next string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" {
		return "", fmt.Errorf("%s: only http is spoken here", address)
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(context.Background(), "tcp", serverOf(u))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // all was read
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: toybox\r\n\r\n", resource(u), u.Host); err != nil {
		return "", err
	}
	r := textproto.NewReader(bufio.NewReader(conn))
	status, err := r.ReadLine()
	if err != nil {
		return "", err
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return "", err
	}
	_, code, _ := strings.Cut(status, " ")
	if location := header.Get("Location"); strings.HasPrefix(code, "3") && location != "" {
		to, err := u.Parse(location)
		if err != nil {
			return "", err
		}
		return to.String(), nil
	}
	if !strings.HasPrefix(code, "200") {
		return "", fmt.Errorf("%s: server returned error: %s", address, code)
	}
	return "", c.save(name, r.R)
}

// proxy is the proxy to be used for http; nil if there is none.
func proxy(u *url.URL) *url.URL {
	for host := range strings.SplitSeq(os.Getenv("no_proxy"), ",") {
		if host != "" && (host == "*" || strings.HasSuffix(u.Hostname(), host)) {
			return nil
		}
	}
	p, err := url.Parse(os.Getenv("http_proxy"))
	if err != nil || p.Host == "" {
		return nil
	}
	return p
}

// serverOf is the address to connect to.
func serverOf(u *url.URL) string {
	if p := proxy(u); p != nil {
		u = p
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}

// resource is what to ask the server for.
func resource(u *url.URL) string {
	if proxy(u) != nil {
		return u.String()
	}
	return u.RequestURI()
}

func (c *call) save(name string, r io.Reader) error {
	if name == "-" {
		_, err := io.Copy(c.out, r)
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Close()
}
