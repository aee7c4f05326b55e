package e2e

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/testscript"
)

// exits CODE PROGRAM [ARGUMENT...] runs a program that must exit with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", args[1], got, want)
	}
}

// answer STATUS VARIABLE starts a registry that answers everything with that status, or nothing at all if it is 0, and
// sets the variable to its address.
func answer(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			<-r.Context().Done()
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(status)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[1], strings.TrimPrefix(s.URL, "http://"))
}

// patience is how long something that must happen may take.
const patience = time.Minute

// poll calls until, which returns what is still missing, until that is nothing.
func poll(ts *testscript.TestScript, until func() string) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		missing := until()
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after %s: %s", patience, missing)
		}
	}
}

// waitFor FILE PATTERN waits until a file, which need not exist at first, has a line that matches.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	poll(ts, func() string {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil || !pattern.Match(text) {
			return fmt.Sprintf("%s has no line like %q: %v\n%s", args[0], args[1], err, text)
		}
		return ""
	})
}

// gone TEXT waits until no process has TEXT in its command line and no mount has it in its path. With a ! it
// must be there.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		if holders(ts, args[0]) == "" {
			ts.Fatalf("nothing has %q", args[0])
		}
		return
	}
	poll(ts, func() string { return holders(ts, args[0]) })
}

func holders(ts *testscript.TestScript, text string) string {
	var found strings.Builder
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, file := range all {
		line, err := os.ReadFile(file)
		if spaced := strings.ReplaceAll(string(line), "\x00", " "); err == nil && strings.Contains(spaced, text) {
			fmt.Fprintf(&found, "%s: %s\n", filepath.Dir(file), spaced)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	ts.Check(err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, text) {
			found.WriteString(line)
		}
	}
	return found.String()
}

// reference returns the first argument as a reference and the options for the platform that the second names,
// if it is given and not "-".
func reference(ts *testscript.TestScript, args []string) (name.Reference, []remote.Option) {
	ref, err := name.ParseReference(args[0])
	ts.Check(err)
	if len(args) < 2 || args[1] == "-" {
		return ref, nil
	}
	p, err := v1.ParsePlatform(args[1])
	ts.Check(err)
	return ref, []remote.Option{remote.WithPlatform(*p)}
}

// validate REF checks all of an index or an image: every digest, size and type.
func validateImage(ts *testscript.TestScript, neg bool, args []string) {
	ref, _ := reference(ts, args)
	d, err := remote.Get(ref)
	if err == nil {
		err = validateDescriptor(d)
	}
	if neg != (err != nil) {
		ts.Fatalf("%s: %v", ref, err)
	}
}

func validateDescriptor(d *remote.Descriptor) error {
	if !d.MediaType.IsIndex() {
		image, err := d.Image()
		if err != nil {
			return err
		}
		return validate.Image(image)
	}
	index, err := d.ImageIndex()
	if err != nil {
		return err
	}
	return validate.Index(index)
}

// config REF [PLATFORM] prints the config of an image.
func printConfig(ts *testscript.TestScript, _ bool, args []string) {
	image := pull(ts, args)
	c, err := image.ConfigFile()
	ts.Check(err)
	text, err := json.MarshalIndent(c, "", " ")
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

func pull(ts *testscript.TestScript, args []string) v1.Image {
	ref, options := reference(ts, args)
	image, err := remote.Image(ref, options...)
	ts.Check(err)
	return image
}

// content REF PLATFORM PATH prints a file of an image. With a ! there must be no such file.
func printContent(ts *testscript.TestScript, neg bool, args []string) {
	found := false
	walk(ts, pull(ts, args), func(h *tar.Header, r io.Reader) {
		if "/"+h.Name == args[2] {
			found = true
			_, err := io.Copy(ts.Stdout(), r)
			ts.Check(err)
		}
	})
	if found == neg {
		ts.Fatalf("%s has %s: %v", args[0], args[2], found)
	}
}

// files REF [PLATFORM] lists the files of an image: mode, owner, size and path.
func printFiles(ts *testscript.TestScript, _ bool, args []string) {
	walk(ts, pull(ts, args), func(h *tar.Header, _ io.Reader) {
		fmt.Fprintf(ts.Stdout(), "%s %d:%d %d /%s\n", h.FileInfo().Mode(), h.Uid, h.Gid, h.Size, h.Name)
	})
}

// walk visits the files of an image.
func walk(ts *testscript.TestScript, image v1.Image, visit func(*tar.Header, io.Reader)) {
	r := mutate.Extract(image)
	defer r.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		visit(h, t)
	}
}
