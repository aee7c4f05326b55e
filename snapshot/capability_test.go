//go:build linux

package snapshot

import "testing"

// Capabilities for the root of one user namespace are those of the image's root.
func TestCapabilities(t *testing.T) {
	const bits = "\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for value, want := range map[string]string{
		"\x01\x00\x00\x02" + bits:                      "\x01\x00\x00\x02" + bits,
		"\x01\x00\x00\x03" + bits + "\xa0\x86\x01\x00": "\x01\x00\x00\x02" + bits,
		"\x00\x00\x00\x03" + bits + "\x00\x00\x00\x00": "\x00\x00\x00\x02" + bits,
		"\x01\x00\x00\x03" + bits:                      "\x01\x00\x00\x03" + bits,
		"":                                             "",
	} {
		if got := anyRoot(value); got != want {
			t.Errorf("%q is %q, want %q", value, got, want)
		}
	}
}
