package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"
)

// sha256sum prints digests, or checks those listed in files with -c.
func sha256sum(c *call) error {
	o, err := parse(c.args, "c", "")
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(name string, r io.Reader) error {
		if o.has("c") {
			return c.checkSums(r)
		}
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%x  %s\n", h.Sum(nil), name)
		return nil
	})
}

func (c *call) checkSums(r io.Reader) error {
	s := bufio.NewScanner(r)
	var failed error
	for s.Scan() {
		want, name, ok := strings.Cut(s.Text(), "  ")
		data, err := os.ReadFile(name)
		if !ok || err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != want {
			fmt.Fprintf(c.out, "%s: FAILED\n", name)
			failed = statusError(1)
			continue
		}
		fmt.Fprintf(c.out, "%s: OK\n", name)
	}
	if failed != nil {
		return failed
	}
	return s.Err()
}
