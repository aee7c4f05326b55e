//go:build linux

package fetch

import (
	"errors"
	"fmt"
)

// explain adds to what git says what it means here, where git does not know that.
func explain(err error) error {
	g, ok := errors.AsType[*gitError](err)
	if !ok {
		return err
	}
	for _, e := range []struct {
		meaning string
		signs   []string
	}{
		{"the repository is at another address now, and credentials are not sent there", []string{
			"returned error: 301", "returned error: 302", "returned error: 303", "returned error: 307", "returned error: 308",
		}},
		{"access denied: a secret called GIT_AUTH_TOKEN or GIT_AUTH_HEADER gives access", []string{
			"terminal prompts disabled", "Authentication failed", "returned error: 401", "returned error: 403",
		}},
		{"the key of the server is not the known one", []string{"Host key verification failed"}},
		{"access denied: an SSH agent with a key gives access", []string{"Permission denied (publickey"}},
		{"what came is damaged or too large", []string{"invalid index-pack output"}},
	} {
		if g.says(e.signs...) {
			return fmt.Errorf("%s: %w", e.meaning, err)
		}
	}
	return err
}
