//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// growth is a dimension in which a build can grow.
type growth struct {
	what  string
	sizes []int
	// write writes the context of a build of a size.
	write func(g *generator, dir string, size int)
}

// growths are the dimensions, each from what is usual to what is far beyond it.
func growths() []growth {
	return []growth{
		{"files copied", []int{1000, 10_000, 100_000, 1_000_000}, (*generator).manyFiles},
		{"MiB in a layer", []int{10, 100, 1000, 4000}, (*generator).bigLayer},
		{"RUN steps", []int{1, 10, 100, 500}, (*generator).manySteps},
		{"stages of 1,000 files", []int{1, 4, 16}, (*generator).manyStages},
	}
}

func (g *generator) manyFiles(dir string, size int) {
	for i := range size {
		g.file(fmt.Sprintf("%s/data/d%d/f%d", dir, i/1000, i), fmt.Sprintf("file %d\n", i))
	}
	g.file(dir+"/Dockerfile", g.dockerfile("FROM BASE/busybox:1\nCOPY data /data\n"))
}

func (g *generator) bigLayer(dir string, size int) {
	for i := range size / 10 {
		g.file(fmt.Sprintf("%s/data/f%d", dir, i), g.text(5<<20)+g.noise(5<<20))
	}
	g.file(dir+"/Dockerfile", g.dockerfile("FROM BASE/busybox:1\nCOPY data /data\n"))
}

func (g *generator) manySteps(dir string, size int) {
	width := min(10, size)
	g.file(dir+"/Dockerfile", g.dockerfile(chains(width, size/width)))
}

func (g *generator) manyStages(dir string, size int) {
	var b strings.Builder
	for i := range size {
		fmt.Fprintf(&b, "FROM BASE/busybox:1 AS s%d\nRUN mkdir /d && i=0; while [ $i -lt 1000 ]; do echo $i > /d/f$i; i=$((i+1)); done\n", i)
	}
	b.WriteString("FROM BASE/busybox:1\n")
	for i := range size {
		fmt.Fprintf(&b, "COPY --from=s%d /d /d%d\n", i, i)
	}
	g.file(dir+"/Dockerfile", g.dockerfile(b.String()))
}

// scale measures builds that grow, cold and then cached, of builder alone, and prints a table. Sizes above the limit
// are left out.
func (b *bench) scale(ctx context.Context, w io.Writer, limit int) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "what\tsize\tcold s\tCPU s\tpeak MB\tcached s\tCPU s\tpeak MB")
	for _, grown := range growths() {
		for _, size := range grown.sizes {
			if size > limit {
				continue
			}
			cold, cached, err := b.grow(ctx, grown, size)
			if err != nil {
				return fmt.Errorf("%d %s: %w", size, grown.what, err)
			}
			fmt.Fprintf(
				t, "%s\t%d\t%.2f\t%.2f\t%d\t%.2f\t%.2f\t%d\n", grown.what, size,
				cold.Wall, cold.CPU, cold.RSS/1e6, cached.Wall, cached.CPU, cached.RSS/1e6,
			)
			if err := t.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow measures one size.
func (b *bench) grow(ctx context.Context, grown growth, size int) (cold, cached sample, err error) {
	g := &generator{author: newAuthor(42), dir: filepath.Join(b.dir, "contexts"), base: b.prefix()}
	grown.write(g, "grown", size)
	dir := filepath.Join(g.dir, "grown")
	defer func() { _ = os.RemoveAll(dir) }()
	if g.err != nil {
		return cold, cached, g.err
	}
	p := b.peers[0]
	if err := p.reset(ctx); err != nil {
		return cold, cached, err
	}
	for _, s := range []*sample{&cold, &cached} {
		commands, err := p.build(ctx, job{dir: dir, tag: b.tag(fmt.Sprintf("grown-%d", os.Getpid()))})
		if err != nil {
			return cold, cached, err
		}
		if *s, err = measure(ctx, b.meter, p, commands); err != nil {
			return cold, cached, err
		}
	}
	return cold, cached, nil
}
