package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Runner runs a program of this machine and waits for it. Its error is exec.ErrNotFound if there is none.
type Runner func(ctx context.Context, command []string, stdin io.Reader, stdout, stderr io.Writer) error

// Run is the Runner that runs programs as children of this process.
func Run(ctx context.Context, command []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // that is what it is for
	cmd.WaitDelay = time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	return cmd.Run()
}

// errNoHelper says that a credential helper is not installed.
var errNoHelper = errors.New("it is not installed")

// helper is a program docker-credential-NAME, which speaks the protocol of the docker-credential-helpers project:
// a request on standard input, JSON or a complaint on standard output.
type helper struct {
	name string
	run  Runner
}

// ask has the helper do something. Its answer may be empty.
func (h helper) ask(ctx context.Context, what, input string) (string, error) {
	const longest = time.Minute
	if h.name == "" || strings.ContainsAny(h.name, `/\`) {
		return "", fmt.Errorf("%q is not the name of a credential helper", h.name)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	program := "docker-credential-" + h.name
	var stdout, stderr bytes.Buffer
	switch err := h.run(ctx, []string{program, what}, strings.NewReader(input), &stdout, &stderr); {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("running %s: %w", program, errNoHelper)
	case err != nil && strings.Contains(stdout.String(), "credentials not found"):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("running %s: %w: %s", program, err, oneLine(stdout.String()+" "+stderr.String()))
	}
	return stdout.String(), nil
}

// get asks for the credentials of a server. Without an error they may be empty.
func (h helper) get(ctx context.Context, server string) (authn.AuthConfig, error) {
	text, err := h.ask(ctx, "get", server)
	if err != nil || text == "" {
		return authn.AuthConfig{}, err
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return authn.AuthConfig{}, fmt.Errorf("running docker-credential-%s: its answer is not the JSON of credentials", h.name)
	}
	if answer.Username == "<token>" {
		return authn.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return authn.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}

// store gives the credentials of a server to the helper.
func (h helper) store(ctx context.Context, server, user, secret string) error {
	request, err := json.Marshal(struct{ ServerURL, Username, Secret string }{server, user, secret})
	if err == nil {
		_, err = h.ask(ctx, "store", string(request))
	}
	return err
}

// erase has the helper forget the credentials of a server.
func (h helper) erase(ctx context.Context, server string) error {
	_, err := h.ask(ctx, "erase", server)
	return err
}
