//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// options are the flags.
type options struct {
	dir, out, builder, user, roots string
	only, peers, trace             string
	runs, bigMiB, scaling          int
	address                        string
}

func main() {
	var o options
	flag.StringVar(&o.dir, "work", filepath.Join(os.TempDir(), "builder-bench"), "directory for contexts, stores and the registry; what takes long to make is kept there")
	flag.StringVar(&o.out, "out", "", "write OUT.json and OUT.svg")
	flag.StringVar(&o.builder, "builder", "builder", "the program")
	flag.StringVar(&o.user, "user", "", "as root: the ordinary user that builders run as")
	flag.StringVar(&o.only, "scenarios", "", "only these, separated by commas; what OUT.json holds of others, and of peers that are not measured, stays")
	flag.StringVar(&o.peers, "peers", strings.Join(peerNames(), ","), "who is measured")
	flag.StringVar(&o.roots, "roots", "", "directory of root file systems debian-ARCH.tar (default: in the work directory)")
	flag.IntVar(&o.runs, "runs", 0, "runs of each scenario (default: 3 to 15, as long as it takes)")
	flag.IntVar(&o.bigMiB, "large", 1024, "size of the large context in MiB")
	flag.StringVar(&o.address, "listen", "127.0.0.1:5075", "address at which builders see the registry; names of images hold it")
	flag.StringVar(&o.trace, "trace", "", "only sum up what builder build --trace has written to this file")
	flag.IntVar(&o.scaling, "scaling", 0, "measure builder alone as builds grow, up to this many of anything")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	if o.trace != "" {
		return summarizeTrace(os.Stdout, o.trace)
	}
	if err := adopt(); err != nil {
		return err
	}
	b := &bench{options: *o}
	if o.scaling > 0 {
		b.options.peers, b.bigMiB = "builder", 0
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	defer b.close()
	if o.scaling > 0 {
		return b.scale(ctx, os.Stdout, o.scaling)
	}
	results := newResults(b)
	if o.only != "" {
		if err := results.keep(o.out + ".json"); err != nil {
			return err
		}
	}
	stopped := b.measureAll(ctx, results)
	results.print(os.Stdout)
	if o.out == "" {
		return stopped
	}
	return errors.Join(stopped, results.writeJSON(o.out+".json"), results.writeSVG(o.out+".svg"))
}

// bench is one run of the program.
type bench struct {
	options
	meter *meter
	peers []peer
	// missing says of the peers that are not here why.
	missing map[string]string
	modules string
	closing []func()
	serial  int
}

// prefix is the repository prefix of the base images.
func (b *bench) prefix() string { return b.address + "/base" }

// tag returns a name in the registry.
func (b *bench) tag(what string) string { return b.address + "/bench/" + what + ":latest" }

// open makes contexts, the registry, its base images and the peers.
func (b *bench) open(ctx context.Context) (err error) {
	if b.builder, err = absolute(b.builder); err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	registry, stop, err := startRegistry(ctx, filepath.Join(b.dir, "registry"))
	if err != nil {
		return err
	}
	b.closing = append(b.closing, stop)
	if b.meter, err = newMeter(ctx, b.address, registry); err != nil {
		return err
	}
	if b.roots == "" {
		b.roots = b.dir
	}
	if err := (bases{b.roots, b.prefix()}).provide(ctx); err != nil {
		return err
	}
	g := &generator{author: newAuthor(42), dir: filepath.Join(b.dir, "contexts"), base: b.prefix(), bigMiB: b.bigMiB}
	if err := os.RemoveAll(g.dir); err != nil {
		return err
	}
	if err := g.generate(); err != nil {
		return err
	}
	if b.modules, err = serveModules(ctx, b.dir); err != nil {
		return err
	}
	return b.openPeers(ctx)
}

// absolute is the path of a program given by path, else its name.
func absolute(program string) (string, error) {
	if !strings.Contains(program, "/") {
		return program, nil
	}
	return filepath.Abs(program)
}

func (b *bench) openPeers(ctx context.Context) error {
	work := place{dir: filepath.Join(b.dir, "peers"), registry: b.address}
	if b.user != "" {
		u, err := user.Lookup(b.user)
		if err != nil {
			return err
		}
		work.user = u
	}
	b.missing = map[string]string{}
	for _, p := range []peer{
		&builderPeer{work, b.builder}, &buildkit{place: work.below("buildkit")},
		&daemonless{buildkit{place: work.below("daemonless")}}, &buildah{work.below("buildah")}, &kaniko{work.below("kaniko")},
	} {
		if !slices.Contains(strings.Split(b.options.peers, ","), p.name()) {
			continue
		}
		if err := b.openPeer(ctx, p); err != nil {
			b.missing[p.name()] = err.Error()
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", p.name(), err)
			continue
		}
		b.peers = append(b.peers, p)
		b.closing = append(b.closing, p.close)
	}
	return nil
}

func (b *bench) openPeer(ctx context.Context, p peer) error {
	if d, ok := p.(interface{ prepare() error }); ok {
		if err := d.prepare(); err != nil {
			return err
		}
	}
	return p.open(ctx)
}

// close ends the peers and the registry.
func (b *bench) close() {
	for _, end := range slices.Backward(b.closing) {
		end()
	}
}

// measureAll measures all peers in all scenarios. What was measured before it was stopped counts.
func (b *bench) measureAll(ctx context.Context, r *results) error {
	for _, s := range scenarios(b.bigMiB) {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), s.id) {
			continue
		}
		if b.runs > 0 {
			s.runs = b.runs
		}
		r.forget(s.id, b.peers)
		for n := range s.runs {
			for _, p := range b.peers {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if r.failed(s.id, p.name()) {
					continue
				}
				sample, err := b.measure(ctx, s, p, n)
				r.add(s, p.name(), sample, err)
			}
		}
	}
	return nil
}

// measure measures one build.
func (b *bench) measure(ctx context.Context, s scenario, p peer, n int) (sample, error) {
	b.serial++
	j := job{
		dir: filepath.Join(b.dir, "contexts", s.context), platforms: s.platforms,
		tag: b.tag(fmt.Sprintf("%s-%s-%d-%d", strings.ToLower(s.id), p.name(), os.Getpid(), b.serial)),
	}
	if s.context == "s3" {
		j.args = []string{"GOPROXY=" + b.modules}
	}
	if err := s.before(b, ctx, p, &j, n); err != nil {
		return sample{}, err
	}
	commands, err := p.build(ctx, j)
	if err != nil {
		return sample{}, err
	}
	unix.Sync() // so that nobody pays for what others have left to write
	b.meter.delay.Store(int64(s.delay))
	defer b.meter.delay.Store(0)
	return measure(ctx, b.meter, p, commands)
}
