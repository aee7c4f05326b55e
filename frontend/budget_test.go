package frontend_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/solver"
)

// Hostile Dockerfiles end in an error with a line, soon and without taking all memory.
func TestBudgets(t *testing.T) {
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i+1, i)
		}
		return b.String()
	}
	const from = "FROM alpine\n"
	big := strings.Repeat("x", 100<<10)
	bigArgs := map[string]string{}
	for i := range 30 {
		bigArgs[fmt.Sprintf("A%d", i+1)] = big
	}
	for _, tt := range []struct {
		name, dockerfile, want string
	}{
		{"file", from + strings.Repeat("# x\n", 2<<20), "Dockerfile: failed to parse 8388620 bytes"},
		{"line", from + "\n" + "RUN " + strings.Repeat("x", 2<<20), "Dockerfile:3: failed to parse a line of 2097156 bytes"},
		{"line of blanks", from + "RUN x" + strings.Repeat(" ", 100<<10) + "y", "Dockerfile:2: failed to parse a line of more than 65534 bytes that has no place to fold it"},
		{"line of a heredoc", from + "RUN <<EOF\na\n" + big + "\nEOF\n", "Dockerfile:4: failed to parse a here-document with a line of more than"},
		{"comment in a heredoc", from + "COPY <<EOF /\n#" + big + "\nEOF\n", "Dockerfile:3: failed to parse a here-document with a line of more than"},
		{"instructions", from + strings.Repeat("LABEL a=b\n", 20_000), "Dockerfile:20001: failed to parse 20001 instructions"},
		{"expansion", from + "ENV A0=xxxxxxxxxxxxxxxx\n" + lines(60, "ENV A%d=$A%[2]d$A%[2]d"), "Dockerfile:15: variable A13 is longer than 128 KiB"},
		{"arguments", "ARG B0=xxxxxxxxxxxxxxxx\n" + lines(60, "ARG B%d=$B%[2]d$B%[2]d") + from, "Dockerfile:14: variable B13 is longer than 128 KiB"},
		{"word", from + "ARG A1\nLABEL a=" + strings.Repeat("$A1", 1000), `Dockerfile:3: "$A1$A1`},
		{"nesting", from + "ENV A=" + strings.Repeat("${a:-", 10_000), `Dockerfile:2: "${a:-${a:-`},
		{"nesting with a heredoc", from + "RUN << " + strings.Repeat("${a:-x", 10_000), "Dockerfile:2: failed to parse variables nested more than 100 deep"},
		{"replacement", from + "ARG A1\nENV A=${A1//x/yyyyyyyyyyyyyyy}", "Dockerfile:3: "},
		{"nested replacements", from + "ARG B=xxxxxxxxxx\nENV A=${B//x/${B//x/${B//x/$B}}}", `Dockerfile:3: "${B//x/${B//x/${B//x/$B}}}" replaces patterns in too large a word`},
		{"all variables", from + lines(21, "ARG A%d # %d"), "Dockerfile:22: the variables are larger than 2 MiB in all"},
		{"global arguments", lines(21, "ARG A%d # %d") + from, "Dockerfile:21: the variables are larger than 2 MiB in all"},
		{"histories", from + lines(15, "ARG A%d # %d") + strings.Repeat("RUN x\n", 1_000), "the Dockerfile comes to more than 32 MiB"},
		{"labels", from + "ARG A1\n" + strings.Repeat("LABEL a=$A1$A1$A1$A1$A1$A1$A1$A1\n", 1_000), "the Dockerfile comes to more than 32 MiB"},
		{"ports", from + strings.Repeat("EXPOSE 0-65535\n", 1_000), "the Dockerfile comes to more than 32 MiB"},
		{"stages", "FROM alpine AS s0\n" + lines(2_000, "FROM s%[2]d AS s%[1]d\nLABEL l%[1]d=x"), "the Dockerfile comes to more than 32 MiB"},
		{"triggers", from + strings.Repeat("ONBUILD RUN <<EOF\nEOF\n", 1_000) + strings.Repeat("FROM 0\n", 10), ""},
		{"names", from + "ENV " + strings.Repeat("a", 60_000) + "=1\nLABEL a=$" + strings.Repeat("b", 60_000), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			req := requestFor(tt.dockerfile)
			req.BuildArgs = bigArgs
			_, err := frontend.Lower(t.Context(), req, &fakeResolver{})
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %.300v\nwant %s", err, tt.want)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// Lines that are longer than the parser takes mean what they say, and those that follow keep their numbers.
func TestLongLines(t *testing.T) {
	for _, escape := range []string{"", "# escape=`\n"} {
		long := strings.Repeat("word # 'quoted' \\ ` ", 5_000)
		dockerfile := escape + "#" + long + "\nFROM alpine\nRUN echo " + long + "x\nLABEL a='" + strings.Repeat("é漢", 20_000) + "' b=c\nXYZZYX\n"
		_, err := lowerText(t, dockerfile)
		line := strings.Count(dockerfile, "\n")
		if want := fmt.Sprintf("Dockerfile:%d: unknown instruction: XYZZYX", line); err == nil || err.Error() != want {
			t.Fatalf("got %.300v\nwant %s", err, want)
		}
		img, err := lowerText(t, strings.TrimSuffix(dockerfile, "XYZZYX\n"))
		if err != nil {
			t.Fatal(err)
		}
		run, ok := img.Root.Op.(solver.Exec)
		if !ok || run.Args[2] != "echo "+long+"x" {
			t.Errorf("the command is not what was written, but %.300q", run.Args)
		}
		if got := img.Root.Step.Location; got.Start != line-2 || got.End != line-2 {
			t.Errorf("the command is said to be at %+v", got)
		}
		if got := img.Config.Config.Labels["a"]; got != strings.Repeat("é漢", 20_000) {
			t.Errorf("label is %.300q", got)
		}
	}
}

// A base image with more triggers than instructions are allowed is refused.
func TestManyTriggers(t *testing.T) {
	config := `{"config": {"OnBuild": ["RUN x"` + strings.Repeat(`, "RUN x"`, 20_000) + `]}}`
	r := &fakeResolver{images: []fakeImage{{name: "alpine", config: []byte(config)}}}
	_, err := frontend.Lower(t.Context(), requestFor("FROM alpine\n"), r)
	if want := "Dockerfile:1: the base has 20001 triggers: it may have 20000"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
