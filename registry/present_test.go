package registry

import (
	"slices"
	"strings"
	"testing"
)

// What is under the tag already is neither asked for nor sent again; what is under another is sent.
func TestLook(t *testing.T) {
	r := newRegistry(t, nil)
	img := testImage(t)
	if err := pushImage(t.Context(), newPusher(t, r, impatient()), img, "v1"); err != nil {
		t.Fatal(err)
	}
	p := newPusher(t, r, impatient())
	p.Look(t.Context(), "v1", "none")
	r.requests() // forgets them
	if err := pushImage(t.Context(), p, img, "v1"); err != nil {
		t.Fatal(err)
	}
	if got := r.requests(); len(got) != 0 {
		t.Errorf("pushing the same again asked for %q", got)
	}
	if err := pushImage(t.Context(), p, img, "v2"); err != nil {
		t.Fatal(err)
	}
	sent := slices.DeleteFunc(r.requests(), func(line string) bool { return !strings.HasPrefix(line, "PUT ") })
	if len(sent) != 1 || !strings.HasPrefix(sent[0], "PUT /v2/app/manifests/v2") {
		t.Errorf("pushing the same under another tag sent %q", sent)
	}
	wantPushed(t, r, img, "v2")
}
