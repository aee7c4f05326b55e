package frontend

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-298d225e/builder/solver"
)

// scriptDir is where a here-document that says what runs it is mounted.
const scriptDir = "/dev/pipes"

// script is what RUN runs, before the shell is put before it.
type script struct {
	args []string
	// file is mounted in scriptDir, if not nil.
	file *solver.InlineFile
	// summary tells what is in a here-document.
	summary string
}

// readScript puts the here-documents of RUN where they belong. If there is nothing else, the document is the
// script: it is run as a file if it says what runs it, else by the shell as if it had been written after RUN,
// so that shells can have it which know no here-documents. In a longer command they are left to the shell.
func readScript(c *instructions.RunCommand, system string) (script, error) {
	if len(c.Files) == 0 {
		return script{args: c.CmdLine}, nil
	}
	if len(c.CmdLine) != 1 || !c.PrependShell {
		return script{}, fmt.Errorf("parsing produced an invalid run command: %v", c.CmdLine)
	}
	if parser.MustParseHeredoc(c.CmdLine[0]) == nil {
		var b strings.Builder
		b.WriteString(c.CmdLine[0])
		for _, f := range c.Files {
			b.WriteString("\n" + f.Data + f.Name)
		}
		return script{args: []string{b.String()}}, nil
	}
	f := c.Files[0]
	sc := script{summary: " (" + summarize(f.Data) + ")"}
	if f.Chomp {
		f.Data = parser.ChompHeredocContent(f.Data)
	}
	if system == windows || !strings.HasPrefix(f.Data, "#!") {
		sc.args = []string{f.Data}
		return sc, nil
	}
	if err := checkFileName(f.Name); err != nil {
		return script{}, err
	}
	sc.args = []string{scriptDir + "/" + f.Name}
	sc.file = &solver.InlineFile{Path: f.Name, Mode: 0o755, Data: []byte(f.Data)}
	return sc, nil
}

// checkFileName makes sure that a here-document can be a file by the name of its delimiter.
func checkFileName(name string) error {
	if name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return fmt.Errorf("a here-document cannot be a file by the name %q", name)
	}
	return nil
}

// summarize returns the first line of a document.
func summarize(document string) string {
	line, _, more := strings.Cut(strings.TrimSpace(document), "\n")
	line = strings.TrimSuffix(line, "\r")
	if more {
		line += "..."
	}
	return line
}

// inline returns the source of files that stand in the Dockerfile.
func inline(files ...solver.InlineFile) *solver.Vertex {
	return solver.NewVertex(solver.Vertex{Op: solver.Inline{Files: files}})
}
