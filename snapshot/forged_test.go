//go:build linux

package snapshot

import (
	"os"
	"testing"

	"github.com/seed-298d225e/builder/ownership"
)

// A user of an image cannot make a file root's, or a device, by recording that itself.
func TestForgedRecords(t *testing.T) {
	us := uint32(os.Geteuid())
	for _, c := range []struct {
		name  string
		owner uint32
		r     ownership.Record
		want  bool
	}{
		{"ours, given to root", us, ownership.Record{}, false},
		{"ours, a device", us, ownership.Record{Device: 'b'}, false},
		{"another's, given to root", us + 1000, ownership.Record{}, true},
		{"another's, a device", us + 1000, ownership.Record{UID: 5, Device: 'c'}, true},
		{"another's, given to a third", us + 1000, ownership.Record{UID: 70000, GID: 70000}, false},
	} {
		if got := forged(&Entry{UID: c.owner}, c.r); got != c.want {
			t.Errorf("%s: forged %v, want %v", c.name, got, c.want)
		}
	}
}
