package testuser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// dirVariable tells a test binary that was started again where the prepared directory is.
const dirVariable = "BUILDER_TEST_DIR"

// Dir returns the directory that was prepared for the tests. It is theirs alone and the tests' user owns it.
func Dir() string { return os.Getenv(dirVariable) }

// Run runs the tests of m as an ordinary user and returns the exit status for os.Exit. Whatever of the environment
// could change what the program does is taken away: variables of a CI system, colours, credentials. Then it lets prepare
// fill the directory that [Dir] then returns: that is done as the user who has started the test binary, so
// programs are built with what that user has downloaded and built before. The directory is removed at the end.
func Run(m *testing.M, prepare func(ctx context.Context, dir string) error) int {
	if Dir() != "" {
		return m.Run()
	}
	if err := clearEnvironment(); err != nil {
		fmt.Fprintln(os.Stderr, "preparing the tests:", err)
		return 1
	}
	status, err := run(m, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the tests:", err)
		return 1
	}
	return status
}

// clearEnvironment leaves the variables that say where things are, those of the go command, those of the network and
// those of the tests themselves.
func clearEnvironment() error {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if keep.MatchString(name) {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	return nil
}

var keep = regexp.MustCompile(`^(PATH|HOME|USER|LOGNAME|TMPDIR|SSL_CERT_.*|GO.*|CGO_.*|BUILDER_TEST_.*|(?i:https?_proxy|no_proxy))$`)

func run(m *testing.M, prepare func(ctx context.Context, dir string) error) (status int, err error) {
	dir, err := os.MkdirTemp("", "builder-test-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if removing := Remove(dir); err == nil {
			err = removing
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // others read what was built
		return 0, err
	}
	if err := os.Setenv(dirVariable, dir); err != nil {
		return 0, err
	}
	if err := prepare(context.Background(), dir); err != nil {
		return 0, err
	}
	if os.Geteuid() == 0 {
		return again(dir)
	}
	if err := checkRange(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// again runs a copy of this test binary as the ordinary user and returns its exit status.
func again(dir string) (int, error) {
	user, err := ordinary()
	if err != nil {
		return 0, err
	}
	binary, err := copyBinary(dir)
	if err != nil {
		return 0, err
	}
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return 0, err
	}
	if err := user.own(dir); err != nil {
		return 0, err
	}
	cmd := exec.Command(binary, arguments()...) //nolint:noctx // it ends when this process does
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(cmd.Environ(), "HOME="+home, "USER="+Name, "LOGNAME="+Name,
		"XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_RUNTIME_DIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: user.uid, Gid: user.gid},
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // that signal follows the thread
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// arguments are those of this process without the files that only root can write: the log of what the test has
// read, which lets the go command skip the test the next time, and profiles.
func arguments() []string {
	var args []string
	for _, a := range os.Args[1:] {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch name {
		case "test.testlogfile", "test.coverprofile", "test.gocoverdir":
		default:
			args = append(args, a)
		}
	}
	return args
}

// copyBinary copies this program to where the user can read it: the go command keeps it for root alone.
func copyBinary(dir string) (string, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer self.Close()
	path := filepath.Join(dir, "tests")
	copied, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755) //nolint:gosec // it is a program
	if err != nil {
		return "", err
	}
	_, err = io.Copy(copied, self)
	return path, errors.Join(err, copied.Close())
}

// Remove removes a directory in which a build may have kept files of subordinate users.
func Remove(dir string) error {
	if os.Geteuid() == 0 {
		return os.RemoveAll(dir)
	}
	cmd := exec.Command("unshare", "--map-auto", "--map-root-user", "rm", "-rf", dir) //nolint:noctx // it is short
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("removing %s: %w: %s", dir, err, out)
	}
	return nil
}
