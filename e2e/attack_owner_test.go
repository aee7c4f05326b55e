//go:build e2e

package e2e

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// s-forge: a command that is not root cannot record that a file of its own is root's, on any rung: in the image it
// would be, with its setuid bit. Copies of a file with a record are the copier's.
func TestForgedOwners(t *testing.T) {
	registry := startRegistry(t)
	pushToybox(t, registry+"/toybox")
	for _, sandbox := range []string{"userns", "single"} {
		t.Run(sandbox, func(t *testing.T) {
			a := newAttempt(t, registry)
			forge := []string{"forge", "/own"}
			if sandbox == "single" {
				forge = append(forge, "refused")
			}
			tag := registry + "/forged-" + sandbox
			a.built(a.build("FROM TOYBOX\nRUN mkdir /own && chown 1000:1000 /own && touch /given && chown 33:44 /given\nUSER 1000:1000\n"+
				attackStep(forge...)+attackStep("attributes", "/own/path")+"USER 0\nRUN mkdir /roots\n"+attackStep(append([]string{"forge", "/roots"}, forge[2:]...)...)+attackStep("attributes", "/roots/path"), "--sandbox", sandbox, "-t", tag))
			ref, err := name.ParseReference(tag)
			if err != nil {
				t.Fatal(err)
			}
			image, err := remote.Image(ref, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			files := filesOf(t, image)
			for _, way := range []string{"path", "link", "file", "race", "at"} {
				h := files["own/"+way].header
				if h == nil || h.Uid != 1000 || h.Gid != 1000 {
					t.Errorf("%s: the file is %+v, want it to belong to 1000:1000", way, h)
				}
			}
			if h := files["given"].header; h == nil || h.Uid != 33 || h.Gid != 44 {
				t.Errorf("what root gave away is %+v", h)
			}
		})
	}
}
