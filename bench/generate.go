package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// generator writes the contexts of the scenarios.
type generator struct {
	*author
	// dir is where they are written, base the repository prefix of the base images.
	dir, base string
	// bigMiB is the size of the large context.
	bigMiB int
	// err is the first error; after it nothing is written.
	err error
}

// file writes a file of a context.
func (g *generator) file(name, content string) {
	if g.err != nil {
		return
	}
	name = filepath.Join(g.dir, name)
	if g.err = os.MkdirAll(filepath.Dir(name), 0o755); g.err == nil {
		g.err = os.WriteFile(name, []byte(content), 0o644) //nolint:gosec // others build it
	}
}

// generate writes all contexts.
func (g *generator) generate() error {
	for _, write := range []func(){g.s1, g.s2, g.s3, g.s5, g.s6, g.s7, g.s8, g.s9, g.s10} {
		write()
	}
	if g.err != nil {
		return fmt.Errorf("writing the contexts: %w", g.err)
	}
	return nil
}

// s1: twelve steps in four stages, 1,200 source files, 500 more that are ignored.
func (g *generator) s1() {
	for i := range 1200 {
		g.file(fmt.Sprintf("s1/src/pkg%d/file%d.js", i%60, i), g.between(500, 18000))
	}
	for i := range 500 {
		g.file(fmt.Sprintf("s1/.git/objects/%02x/%038x", i%64, i), g.noise(500+g.IntN(29500)))
	}
	g.file("s1/.dockerignore", ".git\n**/*.log\n")
	g.file("s1/package.json", `{"name":"app"}`+"\n")
	g.file("s1/package-lock.json", g.text(30000))
	g.file("s1/Dockerfile", g.dockerfile(`FROM BASE/debian:bookworm AS base
ENV APP_ENV=production LANG=C.UTF-8
WORKDIR /app
RUN echo base > /base.txt

FROM base AS deps
COPY package.json package-lock.json ./
RUN mkdir node_modules && for i in $(seq 200); do echo "module $i" > node_modules/$i.js; done

FROM base AS build
COPY --from=deps /app/node_modules ./node_modules
COPY src ./src
RUN find src -name '*.js' | sort | xargs cat > bundle.js
RUN sha256sum bundle.js > bundle.sum

FROM BASE/debian:bookworm
WORKDIR /srv
RUN useradd -r app
COPY --from=build /app/bundle.js /app/bundle.sum ./
COPY package.json ./
USER app
CMD ["cat", "/srv/bundle.sum"]
`))
}

// dockerfile puts in where the base images are.
func (g *generator) dockerfile(text string) string { return strings.ReplaceAll(text, "BASE", g.base) }

// s2: a command that makes 1,000 files, and 200 that are copied.
func (g *generator) s2() {
	for i := range 200 {
		g.file(fmt.Sprintf("s2/files/d%d/f%d.txt", i%10, i), g.between(200, 20000))
	}
	g.file("s2/Dockerfile", g.dockerfile(`FROM BASE/debian:bookworm
RUN mkdir -p /data && i=0; while [ $i -lt 1000 ]; do echo "line $i" > /data/f$i; i=$((i+1)); done
COPY files /app/files
`))
}

// s3: a Go program of 120 packages and three modules.
func (g *generator) s3() {
	g.file("s3/go.mod", `module example.com/app

go 1.26

require (
	github.com/spf13/cobra v1.9.1
	golang.org/x/text v0.25.0
	gopkg.in/yaml.v3 v3.0.1
)
`)
	g.file("s3/cmd/app/main.go", `package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	"golang.org/x/text/language"
	"gopkg.in/yaml.v3"

	"example.com/app/internal/p0"
)

func main() {
	c := &cobra.Command{Use: "app", Run: func(*cobra.Command, []string) {
		b, _ := yaml.Marshal(map[string]string{"lang": language.English.String()})
		fmt.Println(string(b), p0.F(3), http.StatusOK)
	}}
	_ = c.Execute()
}
`)
	for p := range goPackages {
		g.file(fmt.Sprintf("s3/internal/p%d/p.go", p), g.goPackage(p))
	}
	g.file("s3/Dockerfile", g.dockerfile(`FROM BASE/golang:1.26 AS build
WORKDIR /src
ARG GOPROXY
ARG GOFLAGS=-mod=mod
ARG GOSUMDB=off
COPY go.mod ./
RUN --mount=type=cache,target=/root/.cache/go-build /usr/local/go/bin/go mod download
COPY . .
RUN --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 /usr/local/go/bin/go build -trimpath -ldflags "-s -w" -o /out/app ./cmd/app
FROM BASE/debian:bookworm
COPY --from=build /out/app /usr/local/bin/app
ENTRYPOINT ["/usr/local/bin/app"]
`))
}

const goPackages = 120

// goPackage returns the source of a package that imports the next one.
func (g *generator) goPackage(n int) string {
	imported, call := "", "\treturn x\n"
	if n+1 < goPackages {
		imported = fmt.Sprintf("\t\"example.com/app/internal/p%d\"\n", n+1)
		call = fmt.Sprintf("\treturn x + p%d.F(x)\n", n+1)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "package p%d\n\nimport (\n\t\"strings\"\n%s)\n\n", n, imported)
	for i := range 30 {
		comment, _, _ := strings.Cut(strings.TrimSpace(g.text(60)), "\n")
		fmt.Fprintf(&b, "// %s\nfunc f%d(s string) string { return strings.Repeat(s, %d) + \"%d\" }\n\n", comment, i, i+1, n)
	}
	fmt.Fprintf(&b, "func F(x int) int {\n\t_ = f0(\"x\")\n%s}\n", call)
	return b.String()
}

// s5: 50,000 files, then half of them gone, then one changed.
func (g *generator) s5() {
	g.file("s5/Dockerfile", g.dockerfile(`FROM BASE/debian:bookworm
RUN mkdir /many && d=0; while [ $d -lt 500 ]; do mkdir /many/d$d; f=0; while [ $f -lt 100 ]; do echo "content $d $f" > /many/d$d/f$f; f=$((f+1)); done; d=$((d+1)); done
RUN d=0; while [ $d -lt 250 ]; do rm -rf /many/d$d; d=$((d+1)); done
RUN chmod 600 /many/d300/f5
`))
}

// s6: a large context, half noise in large files, half text in small ones.
func (g *generator) s6() {
	half := g.bigMiB / 2
	for i := range half / 8 {
		g.file(fmt.Sprintf("s6/data/rand/r%03d.bin", i), g.noise(8<<20))
	}
	texts := make([]string, 24)
	for i := range texts {
		texts[i] = g.text(256 << 10)
	}
	for i := range half * 4 {
		t := texts[i%len(texts)]
		cut := g.IntN(len(t))
		g.file(fmt.Sprintf("s6/data/text/t%02d/f%05d.txt", i%32, i), (t[cut:] + g.text(2048) + t[:cut])[:256<<10])
	}
	g.file("s6/Dockerfile", g.dockerfile("FROM BASE/busybox:1\nCOPY data /data\n"))
}

// s7: a command and a copy for two platforms.
func (g *generator) s7() {
	g.file("s7/app.conf", g.text(2000))
	g.file("s7/Dockerfile", g.dockerfile(`FROM BASE/debian:bookworm
ARG TARGETARCH
RUN sh -c 'seq 1 20000 | sha256sum > /sum' && mkdir /d && i=0; while [ $i -lt 500 ]; do echo "x $i" > /d/f$i; i=$((i+1)); done; uname -m > /arch
COPY app.conf /etc/app.conf
`))
}

// s8: one small file on a large base.
func (g *generator) s8() {
	g.file("s8/hello.txt", "hello\n")
	g.file("s8/Dockerfile", g.dockerfile("FROM BASE/golang:1.26\nCOPY hello.txt /hello.txt\n"))
}

// s9: four stages that each take three seconds.
func (g *generator) s9() {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "FROM BASE/busybox:1 AS p%d\nRUN sleep 3 && echo %d > /out%d\n", i, i, i)
	}
	b.WriteString("FROM BASE/busybox:1\n")
	for i := range 4 {
		fmt.Fprintf(&b, "COPY --from=p%d /out%d /out%d\n", i, i, i)
	}
	g.file("s9/Dockerfile", g.dockerfile(b.String()))
}

// s10: ten chains of ten small commands.
func (g *generator) s10() { g.file("s10/Dockerfile", g.dockerfile(chains(10, 10))) }

// chains returns a Dockerfile of chains of stages, each stage one small command, and one that takes the last
// file of each chain.
func chains(width, depth int) string {
	var b strings.Builder
	for c := range width {
		for d := range depth {
			from := "BASE/busybox:1"
			if d > 0 {
				from = fmt.Sprintf("s%d_%d", c, d-1)
			}
			fmt.Fprintf(&b, "FROM %s AS s%d_%d\nRUN echo %d.%d > /f%d_%d\n", from, c, d, c, d, c, d)
		}
	}
	b.WriteString("FROM BASE/busybox:1\n")
	for c := range width {
		fmt.Fprintf(&b, "COPY --from=s%d_%d /f%d_%d /f%d\n", c, depth-1, c, depth-1, c)
	}
	return b.String()
}
