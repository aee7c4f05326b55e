//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// examineInside enters the sandbox as a build would and prints, for the process outside, what is possible there.
func (f *doctorFlags) examineInside(ctx context.Context, best sandbox.Rung, store string) error {
	w, err := enter(best, store, display.Options{Mode: display.Quiet, Out: io.Discard}, nil) //nolint:contextcheck // L0 has none
	if err != nil {
		return err
	}
	in := inside{Host: w.host}
	noStore := errors.New("no store is named")
	if store != "" {
		noStore = w.openStore(snapshot.DriverAuto)
	}
	in.Sections = []section{
		ask("sandbox", func() []sandbox.Probe {
			trial := w.trial(ctx, noStore)
			in.Runs = trial[len(trial)-1].OK
			return append(describeHost(w.host), trial...)
		}),
		ask("network of commands", w.askPrivate),
		ask("programs for other platforms", w.askEmulation),
		ask("limits for commands", w.host.ProbeCgroups),
	}
	if err := w.close(); err != nil {
		return err
	}
	return printJSON(in)
}

func describeHost(h *sandbox.Host) []sandbox.Probe {
	ids := uint64(0)
	for _, e := range h.UIDs {
		ids += uint64(e.Count)
	}
	probes := []sandbox.Probe{}
	if ids > 0 {
		probes = append(probes, sandbox.Probe{Name: "user ids", OK: true, Found: fmt.Sprintf("%d", ids)})
	}
	return probes
}

// trial prepares a tree as for a step and runs a command on it: this program, which needs nothing else. The
// last probe says whether that worked.
func (w *workshop) trial(ctx context.Context, noStore error) []sandbox.Probe {
	const name = "a command on a tree"
	if noStore != nil {
		return []sandbox.Probe{{Name: name, Found: noStore.Error(), Errno: sandbox.ErrnoName(noStore), Fix: "a store on a writable disk: --root or $BUILDER_ROOT"}}
	}
	if w.host.Rung == sandbox.RungNone {
		return []sandbox.Probe{{Name: name, Found: "not tried: there is no sandbox for it"}}
	}
	tree, err := w.store.Prepare(nil)
	if err != nil {
		return []sandbox.Probe{{
			Name: "writable trees", Found: err.Error(), Errno: sandbox.ErrnoName(err),
			Fix: "a store on a file system that overlayfs accepts, not itself an overlay: --root or $BUILDER_ROOT",
		}}
	}
	defer tree.Discard()
	trees := sandbox.Probe{Name: "writable trees", OK: true, Found: "overlayfs"}
	if choice, err := w.store.Driver(); err == nil && choice.Driver == snapshot.DriverPlain {
		trees.Found = "plain directories, because overlayfs does not work: " + choice.Why
		if !w.host.Mounts() {
			trees.Found = "plain directories, because nothing can be mounted"
		}
	}
	began := time.Now()
	err = w.runSelf(ctx, tree.Root())
	run := sandbox.Probe{Name: name, OK: err == nil, Errno: sandbox.ErrnoName(err)}
	if err != nil {
		run.Found = err.Error()
	} else {
		run.Found = fmt.Sprintf("ran in %d ms", time.Since(began).Milliseconds())
	}
	return []sandbox.Probe{trees, run}
}

// runSelf runs a copy of this program in root.
func (w *workshop) runSelf(ctx context.Context, root *os.File) error {
	const program = "/builder"
	if err := copyProgram(fmt.Sprintf("/proc/self/fd/%d%s", root.Fd(), program)); err != nil {
		return err
	}
	var output bytes.Buffer
	err := w.host.Run(ctx, sandbox.Spec{
		Root: root, Args: []string{program, "version"}, Env: []string{"PATH=/"}, Dir: "/", Hostname: "builder",
		Network: sandbox.NetworkHost, Stdout: &output, Stderr: &output,
	})
	if err != nil && output.Len() > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(output.String()))
	}
	return err
}

func copyProgram(to string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(self)
	return errors.Join(err, f.Close())
}

func (w *workshop) askPrivate() []sandbox.Probe {
	p := sandbox.Probe{Name: "a network of their own", OK: true, Found: "yes: they reach out, but not to this machine's loopback addresses"}
	if ok, why := w.host.Private(); !ok {
		p.OK, p.Found = false, "no, they share that of this machine: "+why
		p.Fix = "it takes a sandbox with namespaces, see above"
		if w.host.Mounts() {
			p.Fix = "Debian, Ubuntu: apt-get install passt (or slirp4netns); it needs /dev/net/tun: docker run --device /dev/net/tun"
		}
	}
	return []sandbox.Probe{p}
}

// askEmulation tries for every platform that is common whether its programs can be made to run.
func (w *workshop) askEmulation() []sandbox.Probe {
	dir, err := os.MkdirTemp("", "builder-binfmt-")
	if err != nil && w.store != nil {
		dir, err = filepath.Join(w.store.Temporary(), "binfmt"), nil
	}
	if err != nil {
		return []sandbox.Probe{{Name: "emulation", Found: err.Error(), Errno: sandbox.ErrnoName(err)}}
	}
	e := newEmulator(dir)
	defer func() { _ = errors.Join(e.Close(), os.Remove(dir)) }()
	var probes []sandbox.Probe
	for _, p := range []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
		{OS: "linux", Architecture: "386"},
		{OS: "linux", Architecture: "riscv64"},
		{OS: "linux", Architecture: "ppc64le"},
		{OS: "linux", Architecture: "s390x"},
	} {
		probes = append(probes, emulation(e, p))
	}
	return probes
}

func emulation(e *platforms.Emulator, p v1.Platform) sandbox.Probe {
	answer := sandbox.Probe{Name: platforms.Format(p)}
	program, missing := e.LookPath(p.Architecture)
	err := e.Enable(p)
	var unsupported *platforms.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		answer.Found, answer.Errno = unsupported.Why, sandbox.ErrnoName(err)
	case err != nil:
		answer.Found = err.Error()
	case platforms.Native(p):
		answer.OK, answer.Found = true, "runs natively"
	case missing != nil:
		answer.OK, answer.Found = true, "runs by what this machine has registered with binfmt_misc"
	default:
		answer.OK, answer.Found = true, "runs under "+program
	}
	return answer
}
