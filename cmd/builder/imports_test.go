package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed-298d225e/builder/"

// mayImport is the architecture: which of our packages each of them may import. What has no line here must not
// exist. Tests may import more.
func mayImport() map[string][]string {
	return map[string][]string{
		"attest":                    {"solver"},
		"lockfile":                  {},
		"policy":                    {},
		"sbom":                      {},
		"sign":                      {},
		"guard":                     {},
		"inflate":                   {},
		"httpclient":                {},
		"inroot":                    {},
		"ownership":                 {},
		"platforms":                 {},
		"cloud":                     {"registry"},
		"solver":                    {},
		"suggest":                   {},
		"unxz":                      {},
		"filelock":                  {},
		"wholefile":                 {},
		"exporter":                  {"wholefile"},
		"registry":                  {"httpclient", "inflate", "wholefile"},
		"fetch":                     {"filelock", "httpclient", "inroot", "unxz"},
		"snapshot":                  {"filelock", "inflate", "inroot", "ownership", "wholefile"},
		"solver/sandbox":            {"inroot", "ownership", "solver/sandbox/supervisor", "solver/sandbox/sysnum"},
		"cache":                     {"filelock", "registry", "solver", "wholefile"},
		"cmd/builder/display":       {"solver"},
		"frontend":                  {"platforms", "solver", "suggest"},
		"solver/ops":                {"guard", "inroot", "ownership", "platforms", "snapshot", "solver", "solver/sandbox", "unxz"},
		"solver/sandbox/sysnum":     {},
		"solver/sandbox/supervisor": {"inroot", "ownership", "solver/sandbox/sysnum"},
		"cmd/builder": {
			"attest", "cache", "cloud", "cmd/builder/display", "exporter", "fetch", "frontend", "guard", "inroot", "lockfile", "platforms", "policy",
			"registry", "sbom", "sign", "snapshot", "solver", "solver/ops", "solver/sandbox", "suggest", "wholefile",
		},
		// What tests, examples and measurements are made of.
		"internal/toyimage":  {},
		"internal/testuser":  {},
		"e2e":                {},
		"e2e/attacker":       {},
		"examples/demo":      {"internal/toyimage"},
		"bench":              {"internal/toyimage", "registry"},
		"bench/environments": {},
		"e2e/push":           {},
	}
}

// onlyIn names the packages that a foreign module is for.
func onlyIn() map[string][]string {
	return map[string][]string{
		"github.com/moby/buildkit":         {"frontend"},
		"github.com/moby/profiles/seccomp": {"bench/environments", "solver/sandbox"},
		"github.com/spf13/":                {"cmd/builder"},
		"github.com/mikelolasagasti/xz":    {"unxz"},
		"golang.org/x/term":                {"cmd/builder/display"},
	}
}

func TestImports(t *testing.T) {
	table := mayImport()
	for dir, imports := range importsOf(t, "../..") {
		allowed, ok := table[dir]
		if !ok {
			t.Errorf("the package %s is not in the table", dir)
			continue
		}
		for _, path := range imports {
			if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s must not import %s", dir, ours)
			}
			for foreign, users := range onlyIn() {
				if strings.HasPrefix(path, foreign) && !slices.Contains(users, dir) {
					t.Errorf("%s must not import %s: that is for %s", dir, path, strings.Join(users, " and "))
				}
			}
		}
	}
}

// importsOf returns what the packages of the module at root import outside of their tests, by directory.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != root && (e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if found[dir] == nil {
			found[dir] = map[string]bool{}
		}
		return addImports(found[dir], path)
	})
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for dir, paths := range found {
		imports[dir] = slices.Sorted(maps.Keys(paths))
	}
	return imports
}

func addImports(to map[string]bool, file string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		to[path] = true
	}
	return nil
}

// Every module that go.mod requires for our own sake has a line that says why.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/DEPENDENCIES.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		required := len(fields) > 1 && strings.Contains(fields[0], ".") && strings.HasPrefix(fields[1], "v")
		if required && !strings.Contains(line, "// indirect") && !strings.Contains(string(text), "| "+fields[0]+" |") {
			t.Errorf("docs/DEPENDENCIES.md does not say why %s is needed", fields[0])
		}
	}
}
