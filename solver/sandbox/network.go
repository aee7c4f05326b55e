//go:build linux

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// privateNetwork is the network that commands share.
type privateNetwork struct {
	// ns is nil if there is none; why says why not.
	ns  *os.File
	why string
	// dns is where the machine's own resolver answers inside, if that listens on a loopback address only.
	dns string
}

// Private reports whether commands can have a private network, and if not, why.
func (h *Host) Private() (ok bool, why string) {
	if h.private == nil {
		return false, "without namespaces there is none"
	}
	n := h.private()
	return n.ns != nil, n.why
}

// ResolvConf returns what /etc/resolv.conf is to say to commands: what it says on this machine, except
// that resolvers on loopback addresses cannot be reached from a private network.
func (h *Host) ResolvConf(n Network) []byte {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	if n != NetworkPrivate || h.private().ns == nil {
		return text
	}
	return resolvConf(text, h.private().dns)
}

// resolvConf drops the loopback resolvers and adds dns if none is left and dns is not empty.
func resolvConf(text []byte, dns string) []byte {
	var lines []string
	servers := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "nameserver" {
			if ip := net.ParseIP(f[1]); ip != nil && ip.IsLoopback() {
				continue
			}
			servers++
		}
		lines = append(lines, line)
	}
	if servers == 0 && dns != "" {
		lines = append(lines, "nameserver "+dns+"\n")
	}
	return []byte(strings.Join(lines, ""))
}

// needsForwarder reports whether the machine has loopback resolvers only.
func needsForwarder() bool {
	text, err := os.ReadFile("/etc/resolv.conf")
	return err == nil && !bytes.Contains(resolvConf(text, ""), []byte("nameserver"))
}

// enterNetwork moves the calling thread into the network that a command is to have.
func (h *Host) enterNetwork(n Network) error {
	switch n {
	case NetworkNone:
		return newNetwork(h.GIDs)
	case NetworkPrivate:
		ns := h.private().ns
		if ns == nil {
			return nil
		}
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the network: %w", err)
		}
		return nil
	case NetworkHost:
		return nil
	}
	return nil
}

// newNetwork gives the calling thread a network with a loopback device that is up.
func newNetwork(gids []Extent) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making a network: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making a network: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing up the loopback device: %w", err)
	}
	// As in a container: ping without privileges, and low ports, for which a command's root would
	// otherwise need rights over the network. A /proc of others refuses.
	_ = os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte(pingGroups(gids)), 0)
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
	return nil
}

// pingGroups is the longest range of groups from 0 on; the kernel takes only ids that exist.
func pingGroups(gids []Extent) string {
	end := uint32(0)
	for _, e := range gids {
		if e.Inside == end {
			end += min(e.Count, math.MaxInt32-end)
		}
	}
	return fmt.Sprintf("0 %d", max(end, 1)-1)
}

// makeNetwork makes the private network of this process's commands, connected by the first program that
// the machine has and that works.
func (h *Host) makeNetwork() privateNetwork {
	why := []string{}
	for _, c := range []connector{pasta(needsForwarder()), slirp4netns()} {
		if _, err := exec.LookPath(c.name); err != nil {
			why = append(why, c.name+" is not installed")
			continue
		}
		ns, err := h.networkNamespace()
		if err == nil {
			if err = c.connect(ns); err == nil {
				return privateNetwork{ns: ns, dns: c.dns}
			}
			ns.Close()
		}
		why = append(why, err.Error())
	}
	return privateNetwork{why: strings.Join(why, "; ")}
}

// networkNamespace opens a new network namespace with a loopback device.
func (h *Host) networkNamespace() (*os.File, error) {
	var ns *os.File
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with its network
		err := newNetwork(h.GIDs)
		if err == nil {
			ns, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	return ns, <-made
}

// connector is a program that connects a network namespace to the outside through its own sockets. It is
// given the namespace as descriptor 3.
type connector struct {
	name string
	args []string
	// dns is where the machine's own resolver answers in the namespace.
	dns string
	// daemon: the program goes into the background when the network is ready. If not, it writes to
	// descriptor 4 then.
	daemon bool
}

const netnsPath = "/proc/self/fd/3"

// pasta forwards the resolver only if it must: it answers from the forwarding address then, also to who
// asked another.
func pasta(forward bool) connector {
	const dns = "169.254.1.1"
	c := connector{name: "pasta", daemon: true, args: []string{
		"--quiet", "--config-net", "--no-map-gw", "--no-netns-quit",
		"-t", "none", "-u", "none", "-T", "none", "-U", "none",
		"--runas", "0", "--netns-only", "--netns", netnsPath,
	}}
	if forward {
		c.dns = dns
		c.args = append(c.args, "--dns-forward", dns)
	}
	return c
}

func slirp4netns() connector {
	return connector{name: "slirp4netns", dns: "10.0.2.3", args: []string{
		"--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp",
		"--ready-fd=4", "--netns-type=path", netnsPath, "tap0",
	}}
}

// connect starts the program and waits until the network works. It lives as long as this process's pid
// namespace.
func (c connector) connect(ns *os.File) error {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	defer theirs.Close()
	cmd := exec.Command(c.name, c.args...) //nolint:noctx // it lives as long as this process
	var output bytes.Buffer
	cmd.Stderr = &output
	cmd.ExtraFiles = []*os.File{ns, theirs}
	cmd.WaitDelay = time.Second // what goes into the background keeps the standard error open
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	theirs.Close()
	if !c.daemon {
		if _, err = ready.Read(make([]byte, 1)); err == nil {
			return nil
		}
	}
	if err := cmd.Wait(); !c.daemon || err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w: %s", c.name, err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}
