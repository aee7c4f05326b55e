package registry

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// ProbeScheme finds out how a registry is spoken to of which the user said that it may be insecure: "https" if it
// answers to that, whatever its certificate, else "http".
func ProbeScheme(ctx context.Context, registry string) string {
	const longest = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	address := registry
	if _, _, err := net.SplitHostPort(registry); err != nil {
		address = net.JoinHostPort(registry, "443")
	}
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} //nolint:gosec // nothing is sent
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return "http"
	}
	_ = conn.Close() // that it answers was all
	return "https"
}
