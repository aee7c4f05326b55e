package registry

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestStatusError(t *testing.T) {
	e := &StatusError{Status: 404}
	if !errors.Is(e, fs.ErrNotExist) || errors.Is(e, fs.ErrPermission) {
		t.Errorf("404 is not fs.ErrNotExist")
	}
	e.Status = 403
	if errors.Is(e, fs.ErrNotExist) || !errors.Is(e, fs.ErrPermission) {
		t.Errorf("403 is not fs.ErrPermission")
	}
}

func TestErrorsAreOneLineOfText(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b]0;title\x07b\n\nc": "a ]0;title b c", "\xff\xfe": "", strings.Repeat("x", 400): strings.Repeat("x", 300) + "…",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
