package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// errNoHelper says that a credential helper is not installed.
var errNoHelper = errors.New("it is not installed")

// runHelper asks the program docker-credential-NAME for the credentials of a server, by the protocol of
// the docker-credential-helpers project: the server on standard input, JSON or a complaint on standard output.
// Without an error the credentials may be empty.
func runHelper(ctx context.Context, name, server string) (authn.AuthConfig, error) {
	const longest = time.Minute
	if name == "" || strings.ContainsAny(name, `/\`) {
		return authn.AuthConfig{}, fmt.Errorf("%q is not the name of a credential helper", name)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	program := "docker-credential-" + name
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(server)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	switch err := cmd.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return authn.AuthConfig{}, fmt.Errorf("running %s: %w", program, errNoHelper)
	case err != nil && strings.Contains(stdout.String(), "credentials not found"):
		return authn.AuthConfig{}, nil
	case err != nil:
		return authn.AuthConfig{}, fmt.Errorf("running %s: %w: %s", program, err, oneLine(stdout.String()+" "+stderr.String()))
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return authn.AuthConfig{}, fmt.Errorf("running %s: its answer is not the JSON of credentials", program)
	}
	if answer.Username == "<token>" {
		return authn.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return authn.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}
