//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/cmd/builder/display"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/policy"
	"github.com/seed-298d225e/builder/sign"
	"github.com/seed-298d225e/builder/snapshot"
	"github.com/seed-298d225e/builder/solver"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

// buildOptions are the flags of build, understood and checked as far as that needs no build.
type buildOptions struct {
	buildFlags
	// context is what the argument names.
	context string
	// platforms are those asked for; implicit: nobody asked, it is that of this machine.
	platforms []v1.Platform
	implicit  bool
	buildArgs map[string]string
	labels    map[string]string
	contexts  map[string]string
	// service is what --for names; nil if it is not given.
	service *preset
	secrets map[string]secretSource
	agents  map[string]string
	// keys are the files with private keys that an agent is to be made of.
	keys      map[string][]string
	hosts     []solver.HostEntry
	limits    solver.Limits
	resources sandbox.Resources
	network   solver.Network
	outputs   []outputSpec
	// verify, if not nil, is what the result is compared with instead of being put anywhere.
	verify *verification
	// contextEpoch is the time of the files of directories, nil if they have their own.
	contextEpoch *int64
	// cacheFrom and cacheTo are the shared caches.
	cacheFrom, cacheTo []cacheSpec
	progress           display.Mode
	rung               sandbox.Rung
	driver             snapshot.Driver
	// allowInsecure, allowHostNetwork and allowLeaks are what --allow permits.
	allowInsecure, allowHostNetwork, allowLeaks bool
	attest                                      attestOptions
	// policies say what may be fetched, key signs what is pushed; nil does not.
	policies []*policy.Policy
	key      *sign.Key
	// method is what --call asks for, json that it be JSON.
	method string
	json   bool
}

// options understands the flags.
func (f *buildFlags) options(args []string) (*buildOptions, error) {
	if len(args) != 1 {
		return nil, usagef("build needs one argument, the context (usually \".\"), and not %d", len(args))
	}
	o := &buildOptions{buildFlags: *f, context: args[0]}
	for _, understand := range []func() error{
		o.readPlatforms, o.readArgs, o.readSecrets, o.readAgents, o.readHosts, o.readLimits, o.readNetwork,
		o.readAllow, o.readAttestations, o.readPolicies, o.readOutputs, o.readKey, o.readCaches, o.readMaxStorage, o.readProgress, o.readCall, o.readMachine,
	} {
		if err := understand(); err != nil {
			return nil, &usageError{err}
		}
	}
	return o, nil
}

func (o *buildOptions) readPlatforms() error {
	for _, list := range o.buildFlags.platforms {
		for name := range strings.SplitSeq(list, ",") {
			p := platforms.Host()
			if name != "local" {
				var err error
				if p, err = platforms.Parse(strings.TrimSpace(name)); err != nil {
					return fmt.Errorf("--platform: %w", err)
				}
			}
			if !slices.ContainsFunc(o.platforms, func(other v1.Platform) bool { return platforms.FormatAll(other) == platforms.FormatAll(p) }) {
				o.platforms = append(o.platforms, p)
			}
		}
	}
	if len(o.platforms) == 0 {
		o.platforms, o.implicit = []v1.Platform{platforms.Host()}, true
	}
	return nil
}

func (o *buildOptions) readArgs() (err error) {
	o.buildArgs = map[string]string{}
	for _, a := range o.buildFlags.buildArgs {
		name, value, given := strings.Cut(a, "=")
		if name == "" {
			return fmt.Errorf("--build-arg %q: it has no name", a)
		}
		if !given {
			if value, given = os.LookupEnv(name); !given {
				continue // as docker does: the default of the Dockerfile counts
			}
		}
		o.buildArgs[name] = value
	}
	if _, ok := o.buildArgs["SOURCE_DATE_EPOCH"]; !ok {
		if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
			o.buildArgs["SOURCE_DATE_EPOCH"] = epoch
		}
	}
	if o.labels, err = pairs("--label", o.buildFlags.labels); err != nil {
		return err
	}
	if o.contexts, err = pairs("--build-context", o.buildFlags.contexts); err != nil {
		return err
	}
	lower := make(map[string]string, len(o.contexts))
	for name, value := range o.contexts {
		lower[strings.ToLower(name)] = value
	}
	o.contexts = lower
	return nil
}

// pairs reads NAME=VALUE arguments.
func pairs(flag string, list []string) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, s := range list {
		name, value, _ := strings.Cut(s, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %q: it has no name", flag, s)
		}
		m[name] = value
	}
	return m, nil
}

// secretSource is where the value of a secret comes from: a file or a variable.
type secretSource struct {
	file, env string
}

// read returns the value.
func (s secretSource) read() ([]byte, error) {
	if s.env != "" {
		value, ok := os.LookupEnv(s.env)
		if !ok {
			return nil, fmt.Errorf("the environment variable %s is not set", s.env)
		}
		return []byte(value), nil
	}
	return os.ReadFile(s.file)
}

// maxSecret is the size of a secret in bytes that BuildKit allows too.
const maxSecret = 500 << 10

func (o *buildOptions) readSecrets() error {
	o.secrets = map[string]secretSource{}
	for _, s := range o.buildFlags.secrets {
		fields, err := csvFields(s, "id", "src", "source", "env", "type")
		if err != nil {
			return fmt.Errorf("--secret %q: %w", s, err)
		}
		id := fields["id"]
		source := secretSource{file: first(fields["src"], fields["source"]), env: fields["env"]}
		switch {
		case id == "":
			return fmt.Errorf("--secret %q: it needs an id", s)
		case source.file != "" && source.env != "":
			return fmt.Errorf("--secret %q: it can come from a file or from the environment, not from both", s)
		case fields["type"] == "env" && source.env == "":
			source = secretSource{env: first(source.file, id)}
		case source == secretSource{}:
			source.file = id
			if _, ok := os.LookupEnv(id); ok && fields["type"] != "file" {
				source = secretSource{env: id}
			}
		}
		if err := source.check(); err != nil {
			return fmt.Errorf("--secret id=%s: %w", id, err)
		}
		o.secrets[id] = source
	}
	return nil
}

func (s secretSource) check() error {
	if s.env != "" {
		return nil
	}
	info, err := os.Stat(s.file)
	if err != nil {
		return err
	}
	if info.Size() > maxSecret {
		return fmt.Errorf("%s has %d bytes, a secret at most %d", s.file, info.Size(), maxSecret)
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (o *buildOptions) readAgents() error {
	o.agents, o.keys = map[string]string{}, map[string][]string{}
	for _, s := range o.ssh {
		id, path, _ := strings.Cut(s, "=")
		if path == "" {
			path = os.Getenv("SSH_AUTH_SOCK")
		}
		if path == "" {
			return fmt.Errorf("--ssh %s: no socket is given and $SSH_AUTH_SOCK is not set", s)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
			o.agents[id] = path
			continue
		}
		o.keys[id] = strings.Split(path, ",")
	}
	return nil
}

func (o *buildOptions) readHosts() error {
	for _, s := range o.addHosts {
		name, ip, ok := strings.Cut(s, "=")
		if !ok {
			name, ip, ok = strings.Cut(s, ":")
		}
		ip = strings.Trim(ip, "[]")
		if !ok || name == "" || net.ParseIP(ip) == nil && ip != "host-gateway" {
			return fmt.Errorf("--add-host %q: it must be HOST:IP", s)
		}
		if ip == "host-gateway" {
			return fmt.Errorf("--add-host %q: commands have no gateway to the host; name its address", s)
		}
		o.hosts = append(o.hosts, solver.HostEntry{Name: name, IP: ip})
	}
	return nil
}

func (o *buildOptions) readLimits() error {
	if o.shmSize != "" {
		n, err := parseSize(o.shmSize)
		if err != nil {
			return fmt.Errorf("--shm-size: %w", err)
		}
		o.limits.ShmSize = n
	}
	var err error
	if o.resources, err = o.buildFlags.resources.read(); err != nil {
		return err
	}
	o.limits.CgroupParent = o.cgroupParent
	for _, s := range o.ulimits {
		u, err := parseUlimit(s)
		if err != nil {
			return fmt.Errorf("--ulimit %q: %w", s, err)
		}
		o.limits.Ulimits = append(o.limits.Ulimits, u)
	}
	return nil
}

func parseUlimit(s string) (u solver.Ulimit, err error) {
	name, value, ok := strings.Cut(s, "=")
	if _, known := sandbox.Resource(name); !known || !ok {
		return u, errors.New("it must be NAME=SOFT[:HARD] with a name such as nofile")
	}
	soft, hard, both := strings.Cut(value, ":")
	if !both {
		hard = soft
	}
	u.Name = name
	if u.Soft, err = strconv.ParseInt(soft, 10, 64); err != nil {
		return u, err
	}
	if u.Hard, err = strconv.ParseInt(hard, 10, 64); err != nil {
		return u, err
	}
	if u.Hard != -1 && (u.Soft > u.Hard || u.Soft == -1) {
		return u, errors.New("the soft limit is above the hard one")
	}
	return u, nil
}

// parseSize reads a number of bytes with a unit, such as 64m.
func parseSize(s string) (int64, error) {
	number := strings.TrimRight(strings.ToLower(strings.TrimSpace(s)), "kmgtib")
	unit := strings.ToLower(strings.TrimSpace(s))[len(number):]
	shift, ok := map[string]int{
		"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30, "t": 40, "tb": 40, "tib": 40,
	}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || n < 0 || n > 1<<20 && shift == 40 {
		return 0, fmt.Errorf("%q is not a size such as 64m", s)
	}
	return int64(n * float64(int64(1)<<shift)), nil
}

func (o *buildOptions) readNetwork() error {
	switch o.buildFlags.network {
	case "default", "":
		o.network = solver.NetworkDefault
	case "none":
		o.network = solver.NetworkNone
	case "host":
		o.network = solver.NetworkHost
	default:
		return fmt.Errorf("--network %q: it must be default, none or host", o.buildFlags.network)
	}
	return nil
}

func (o *buildOptions) readAllow() error {
	for _, list := range o.allow {
		for a := range strings.SplitSeq(list, ",") {
			switch a {
			case "network.host":
				o.allowHostNetwork = true
			case "security.insecure":
				o.allowInsecure = true
			case "secret-in-layer":
				o.allowLeaks = true
			default:
				return fmt.Errorf("--allow %q: it must be network.host, security.insecure or secret-in-layer", a)
			}
		}
	}
	return nil
}

func (o *buildOptions) readProgress() (err error) {
	if o.quiet {
		o.buildFlags.progress = "quiet"
	}
	if o.progress, err = display.ParseMode(first(o.buildFlags.progress, "auto")); err != nil {
		return fmt.Errorf("--progress: %w", err)
	}
	o.progress, err = display.Choose(o.progress, display.IsTerminal(os.Stderr) && os.Getenv("TERM") != "dumb", os.Getenv("CI") != "")
	return err
}

func (o *buildOptions) readCall() error {
	method, format, _ := strings.Cut(o.call, ",")
	if o.check {
		method = callCheck
	}
	o.method = strings.TrimPrefix(method, "type=")
	switch o.method {
	case callBuild, callCheck, callOutline, callTargets:
	case "lint":
		o.method = callCheck
	default:
		return fmt.Errorf("--call %q: it must be build, check, outline or targets", o.call)
	}
	switch format {
	case "", "format=text":
	case "format=json":
		o.json = true
	default:
		return fmt.Errorf("--call %q: the format must be text or json", o.call)
	}
	return nil
}

func (o *buildOptions) readMachine() (err error) {
	if o.rung, err = parseRung(o.sandbox); err != nil {
		return fmt.Errorf("--sandbox: %w", err)
	}
	if o.driver, err = snapshot.ParseDriver(o.snapshotter); err != nil {
		return fmt.Errorf("--snapshotter: %w", err)
	}
	if o.jobs < 0 {
		return errors.New("--jobs must be above zero")
	}
	if o.jobs == 0 {
		o.jobs = max(8, 4*runtime.NumCPU())
	}
	o.root, err = storePath(o.root)
	return err
}

// parseRung returns the best rung that --sandbox permits.
func parseRung(name string) (sandbox.Rung, error) {
	if name == "auto" {
		return sandbox.RungUserns, nil
	}
	return sandbox.ParseRung(name)
}

// storePath returns the absolute path of the store.
func storePath(flag string) (string, error) {
	if dir := first(flag, os.Getenv("BUILDER_ROOT")); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the store: %w; name one with --root or $BUILDER_ROOT", err)
	}
	return filepath.Join(dir, "builder"), nil
}
