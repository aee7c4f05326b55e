//go:build linux

package fetch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// config is a setting of git.
type config struct{ name, value string }

// settings are what git always runs with. Nothing of what a repository may hold is executed: there are no hooks,
// no filters, no helpers; what is fetched is checked; nobody is asked for a password.
func settings() []config {
	all := []config{
		{"core.hooksPath", "/dev/null"},
		{"core.fsmonitor", "false"},
		{"core.askPass", ""},
		{"core.symlinks", "true"},
		{"core.autocrlf", "false"},
		{"core.logAllRefUpdates", "false"},
		{"credential.helper", ""},
		{"protocol.allow", "never"}, // GIT_ALLOW_PROTOCOL goes before it
		{"transfer.fsckObjects", "true"},
		{"transfer.unpackLimit", "1"}, // a pack appears whole, loose objects do not
		{"gc.autoDetach", "false"},
		{"maintenance.autoDetach", "false"},
		{"http.lowSpeedLimit", "1"}, // bytes a second, for so many seconds
		{"http.lowSpeedTime", "60"},
		{"init.templateDir", ""},
		{"init.defaultBranch", "master"},
		{"submodule.recurse", "false"},
		{"advice.detachedHead", "false"},
	}
	// Old repositories are full of these, and they harm nobody.
	for _, harmless := range []string{
		"badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode", "missingEmail", "missingNameBeforeEmail",
		"badEmail", "badName", "multipleAuthors", "zeroPaddedDate", "missingTaggerEntry",
	} {
		all = append(all, config{"fetch.fsck." + harmless, "ignore"})
	}
	return all
}

// baseEnv returns the environment that every git process has. Of two values of a variable the last one counts.
func (g *Git) baseEnv() []string {
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, g.Env...)
	return append(env,
		"LC_ALL=C",
		"HOME=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=",
		"GIT_LFS_SKIP_SMUDGE=1",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_LITERAL_PATHSPECS=1",
	)
}

// environment is what a command sees beside baseEnv.
type environment struct {
	vars   []string
	config []config
	// secrets are the values that must not be shown.
	secrets []string
}

// list returns the variables, the settings among them.
func (e environment) list() []string {
	all := append(settings(), e.config...)
	vars := append(e.vars, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(all)))
	for i, c := range all {
		vars = append(vars, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, c.name), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, c.value))
	}
	return vars
}

// localEnv is for commands that have nothing to ask of anybody.
func localEnv() environment {
	return environment{vars: []string{"GIT_ALLOW_PROTOCOL=none"}}
}

// remoteEnv is for commands that talk to r, a repository that was reached from top. A redirect must not change
// the protocol, except from http to https.
func (g *Git) remoteEnv(r, top remote) (environment, error) {
	allowed := r.scheme
	if r.scheme == "http" {
		allowed = "http:https"
	}
	e := environment{vars: []string{"GIT_ALLOW_PROTOCOL=" + allowed}}
	if g.CAFile != "" {
		e.vars = append(e.vars, "GIT_SSL_CAINFO="+g.CAFile)
	}
	if r.scheme == "ssh" {
		ssh, err := g.sshVars()
		e.vars = append(e.vars, ssh...)
		return e, err
	}
	authorization, err := g.authorization(r, top)
	if err != nil || authorization == "" {
		return e, err
	}
	e.secrets = []string{authorization}
	e.config = []config{
		{"http." + r.origin + "/.extraHeader", "Authorization: " + authorization},
		// git sends the header to wherever a redirect leads.
		{"http.followRedirects", "false"},
	}
	return e, nil
}

// authorization returns what the Authorization header for r has to be, "" if there is none. Secrets without a
// host, and credentials in the address of top, are for the origin of top only; and nothing that top was not
// fetched with itself is sent where everybody can read it.
func (g *Git) authorization(r, top remote) (string, error) {
	same := r.origin == top.origin
	if r.origin == "" || r.scheme == "http" && !same {
		return "", nil
	}
	suffixes := []string{"." + r.host}
	if same {
		suffixes = append(suffixes, "")
	}
	for _, suffix := range suffixes {
		header, err := secret(g.Secret, "GIT_AUTH_HEADER"+suffix)
		if header != "" || err != nil {
			return header, err
		}
		token, err := secret(g.Secret, "GIT_AUTH_TOKEN"+suffix)
		if err != nil {
			return "", err
		}
		if token != "" {
			return basic("x-access-token", token), nil
		}
	}
	if same {
		return cmp.Or(r.basic, top.basic), nil
	}
	return r.basic, nil
}

// sshVars returns the variables for ssh, which asks nobody anything and reads no configuration.
func (g *Git) sshVars() ([]string, error) {
	known, check := g.KnownHosts, "yes"
	if known == "" {
		known, check = g.shelf.path("known_hosts"), "accept-new"
	}
	vars := []string{
		"GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes" +
			" -o StrictHostKeyChecking=" + check + " -o " + shellQuote(`UserKnownHostsFile="`+sshQuote(known)+`"`),
	}
	if g.Agent == nil {
		return vars, nil
	}
	socket, err := g.Agent("default")
	if errors.Is(err, fs.ErrNotExist) {
		return vars, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reaching the SSH agent: %w", err)
	}
	return append(vars, "SSH_AUTH_SOCK="+socket), nil
}

// shellQuote quotes a word for sh.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// sshQuote quotes what stands between quotation marks in a value of ssh_config(5) with tokens.
func sshQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(s)
}
