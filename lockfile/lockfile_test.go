package lockfile

import (
	"strings"
	"testing"
)

const (
	digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

// What is written is read again, in the same order however it was found.
func TestFormat(t *testing.T) {
	text := Format([]Entry{
		{Kind: URL, Name: "https://example.com/a", Digest: digest},
		{Kind: Image, Name: "docker.io/library/alpine:3.20", Digest: digest},
		{Kind: Git, Name: "https://github.com/a/b.git#v1", Digest: commit},
		{Kind: Image, Name: "docker.io/library/alpine:3.20", Digest: digest},
	})
	want := "# What the names in the Dockerfile stood for, written by \"builder lock\".\nversion 1\n" +
		"git https://github.com/a/b.git#v1 " + commit + "\n" +
		"image docker.io/library/alpine:3.20 " + digest + "\n" +
		"url https://example.com/a " + digest + "\n"
	if string(text) != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	f, err := Parse("Dockerfile.lock", text)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := f.Find(Image, "docker.io/library/alpine:3.20")
	if !ok || e.Digest != digest || f.Place(e) != "Dockerfile.lock:4" {
		t.Errorf("got %+v, %v", e, ok)
	}
	if _, ok := f.Find(URL, "https://example.com/b"); ok {
		t.Error("what is not there is found")
	}
	var none *File
	if _, ok := none.Find(URL, "https://example.com/a"); ok {
		t.Error("a file that is none knows something")
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"version 2\n":                                      `l:1: it must begin with "version 1"`,
		"image a " + digest:                                "l:1: it must begin",
		"version 1\nimage a\n":                             "l:2: a line is KIND NAME DIGEST",
		"version 1\n\nfile a " + digest:                    `l:3: "file" is not one of`,
		"version 1\nimage a sha256:00\n":                   "does not identify any image",
		"version 1\ngit a#b " + digest:                     "does not identify any git",
		"version 1\nurl a " + digest + "\nurl a " + digest: "l:3: url a stands on line 2 already",
	} {
		if _, err := Parse("l", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
