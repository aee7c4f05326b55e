package frontend_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/frontend"
	"github.com/seed-298d225e/builder/platforms"
	"github.com/seed-298d225e/builder/solver"
)

// printImage writes a graph, inputs before what uses them, and the config of its image.
func printImage(t *testing.T, out *strings.Builder, img *frontend.Image) {
	t.Helper()
	if err := solver.Print(out, []*solver.Vertex{img.Root}); err != nil {
		t.Fatal(err)
	}
	config := img.Config.Config
	dt, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "platform %s, config for %s/%s", platforms.FormatAll(img.Platform), img.Config.OS, img.Config.Architecture)
	if img.Base != nil {
		fmt.Fprintf(out, ", base %s", short(img.Base.Image.Ref))
	}
	if img.Epoch != nil {
		fmt.Fprintf(out, ", epoch %d", *img.Epoch)
	}
	if img.Config.Author != "" {
		fmt.Fprintf(out, ", author %s", img.Config.Author)
	}
	fmt.Fprintf(out, "\n%s\n", dt)
	for _, h := range img.Config.History {
		mark := "layer"
		if h.EmptyLayer {
			mark = "     "
		}
		if h.Created != nil {
			mark += h.Created.Format(" 2006-01-02T15:04:05Z07:00")
		}
		fmt.Fprintf(out, "history %s %q\n", mark, h.CreatedBy)
	}
}

// short cuts digests, which would hide everything else.
func short(s string) string {
	return regexp.MustCompile(`sha256:([0-9a-f]{6})[0-9a-f]+`).ReplaceAllString(s, "sha256:$1")
}
