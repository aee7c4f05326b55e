package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func cat(c *call) error {
	o, err := parse(c.args, "", "")
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(_ string, r io.Reader) error {
		_, err := io.Copy(c.out, r)
		return err
	})
}

func tee(c *call) error {
	o, err := parse(c.args, "a", "")
	if err != nil {
		return err
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if o.has("a") {
		flag = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	writers := []io.Writer{c.out}
	for _, name := range o.args {
		f, err := os.OpenFile(name, flag, 0o666)
		if err != nil {
			return err
		}
		defer f.Close()
		writers = append(writers, f)
	}
	_, err = io.Copy(io.MultiWriter(writers...), c.in)
	return err
}

// head prints the first lines with -n, or bytes with -c.
func head(c *call) error {
	o, err := parse(c.args, "q", "nc")
	if err != nil {
		return err
	}
	n, err := o.number('n', 10)
	if err != nil {
		return err
	}
	size, err := o.number('c', -1)
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(_ string, r io.Reader) error {
		if size >= 0 {
			_, err := io.CopyN(c.out, r, int64(size))
			return notEOF(err)
		}
		left := n
		return lines(r, func(line string) bool {
			if left--; left < 0 {
				return false
			}
			fmt.Fprintln(c.out, line)
			return left > 0
		})
	})
}

// tail prints the last lines, or with -n +N those from the Nth on.
func tail(c *call) error {
	o, err := parse(c.args, "q", "nc")
	if err != nil {
		return err
	}
	from, fromStart := strings.CutPrefix(o.values['n'], "+")
	if fromStart {
		o.values['n'] = from
	}
	n, err := o.number('n', 10)
	if err != nil {
		return err
	}
	size, err := o.number('c', -1)
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(_ string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if size >= 0 {
			_, err = c.out.Write(data[max(0, len(data)-size):])
			return err
		}
		all := slices.Collect(bytes.Lines(data))
		first := max(0, len(all)-n)
		if fromStart {
			first = min(len(all), max(0, n-1))
		}
		for _, line := range all[first:] {
			_, err = c.out.Write(line)
		}
		return err
	})
}

func wc(c *call) error {
	o, err := parse(c.args, "lwc", "")
	if err != nil {
		return err
	}
	return c.inputs(o.args, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		var fields []string
		for _, count := range []struct {
			flag string
			n    int
		}{{"l", bytes.Count(data, []byte("\n"))}, {"w", len(bytes.Fields(data))}, {"c", len(data)}} {
			if o.has(count.flag) || len(o.flags) == 0 {
				fields = append(fields, strconv.Itoa(count.n))
			}
		}
		if name != "-" {
			fields = append(fields, name)
		}
		fmt.Fprintln(c.out, strings.Join(fields, " "))
		return nil
	})
}
