package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// env prints the environment, or runs a command in a changed one: NAME=VALUE sets, -u unsets, -i empties.
func env(c *call) error {
	environ := os.Environ()
	args := c.args
	for len(args) > 0 {
		switch {
		case args[0] == "-i":
			environ = nil
		case args[0] == "-u" && len(args) > 1:
			environ = slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, args[1]+"=") })
			args = args[1:]
		case strings.Contains(args[0], "="):
			environ = append(environ, args[0])
		default:
			return replace(args, environ)
		}
		args = args[1:]
	}
	for _, v := range environ {
		fmt.Fprintln(c.out, v)
	}
	return nil
}

// replace becomes another program.
func replace(args, environ []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return statusError(127)
	}
	return &os.PathError{Op: "exec", Path: path, Err: syscall.Exec(path, args, environ)}
}

// setsid starts a command in a session of its own and does not wait for it, unless told so by -w.
func setsid(c *call) error {
	args := c.args
	wait := len(args) > 0 && args[0] == "-w"
	if wait {
		args = args[1:]
	}
	if len(args) == 0 {
		return usagef("want a command")
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...) // nobody ends it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil || !wait {
		return err
	}
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return statusError(exit.ExitCode())
	}
	return err
}

// kill sends a signal, TERM if none is named, to processes.
func kill(c *call) error {
	args := c.args
	sig := unix.SIGTERM
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && len(args) > 1 {
		name := strings.TrimPrefix(args[0], "-")
		args = args[1:]
		if name == "s" {
			name, args = args[0], args[1:]
		}
		if sig = signalOf(name); sig < 0 {
			return usagef("unknown signal %s", name)
		}
	}
	return c.each(args, func(arg string) error {
		pid, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		if err := unix.Kill(pid, sig); err != nil {
			return fmt.Errorf("%d: %w", pid, err)
		}
		return nil
	})
}

// signalOf returns the signal of a number or a name; -1 if there is none.
func signalOf(name string) unix.Signal {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 {
		return unix.Signal(n)
	}
	if s := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")); s != 0 {
		return s
	}
	return -1
}

// ps lists the processes that /proc shows: id, parent, user, state, command.
func ps(c *call) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, "PID PPID USER STAT COMMAND")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			c.process(pid)
		}
	}
	return nil
}

// process prints a line about a process, if it is still there.
func (c *call) process(pid int) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return
	}
	field := func(name string) string {
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				return strings.Fields(value)[0]
			}
		}
		return "?"
	}
	command := "[" + field("Name") + "]"
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(line) > 0 {
		command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	user := field("Uid")
	if uid, err := strconv.Atoi(user); err == nil {
		user = userName(uid)
	}
	fmt.Fprintf(c.out, "%d %s %s %s %s\n", pid, field("PPid"), user, field("State"), command)
}

// sleep takes seconds, with a fraction, or a unit: s, m, h.
func sleep(c *call) error {
	var total time.Duration
	for _, arg := range c.args {
		if arg == "infinity" {
			select {}
		}
		if strings.ContainsAny(arg[max(0, len(arg)-1):], "0123456789.") {
			arg += "s"
		}
		d, err := time.ParseDuration(arg)
		if err != nil {
			return usagef("%v", err)
		}
		total += d
	}
	time.Sleep(total)
	return nil
}

func hostname(c *call) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, name)
	return nil
}

// uname prints the system, or with -m -n -r -v -s those parts of what it says about itself, with -a all.
func uname(c *call) error {
	o, err := parse(c.args, "asnrvm", "")
	if err != nil {
		return err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	var parts []string
	for _, p := range []struct {
		flag string
		text []byte
	}{{"s", u.Sysname[:]}, {"n", u.Nodename[:]}, {"r", u.Release[:]}, {"v", u.Version[:]}, {"m", u.Machine[:]}} {
		if o.has(p.flag+"a") || p.flag == "s" && len(o.flags) == 0 {
			parts = append(parts, unix.ByteSliceToString(p.text))
		}
	}
	fmt.Fprintln(c.out, strings.Join(parts, " "))
	return nil
}

// date prints the time in UTC: +%s in seconds since 1970, else as RFC 3339.
func date(c *call) error {
	now := time.Now().UTC()
	switch {
	case len(c.args) == 0:
		fmt.Fprintln(c.out, now.Format(time.RFC3339))
	case len(c.args) == 1 && strings.HasPrefix(c.args[0], "+"):
		text := strings.NewReplacer(
			"%s", strconv.FormatInt(now.Unix(), 10), "%N", fmt.Sprintf("%09d", now.Nanosecond()),
			"%Y", now.Format("2006"), "%m", now.Format("01"), "%d", now.Format("02"),
			"%H", now.Format("15"), "%M", now.Format("04"), "%S", now.Format("05"), "%F", now.Format(time.DateOnly),
			"%T", now.Format(time.TimeOnly),
		).Replace(c.args[0][1:])
		fmt.Fprintln(c.out, text)
	default:
		return usagef("want nothing or +FORMAT")
	}
	return nil
}
