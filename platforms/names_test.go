package platforms

import (
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		want v1.Platform
		// formatted is what FormatAll makes of it; empty means name.
		formatted string
	}{
		{name: "linux/amd64", want: v1.Platform{OS: "linux", Architecture: "amd64"}},
		{name: "linux/amd64/v1", want: v1.Platform{OS: "linux", Architecture: "amd64"}, formatted: "linux/amd64"},
		{name: "linux/amd64/v3", want: v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v3"}},
		{name: "Linux/x86_64", want: v1.Platform{OS: "linux", Architecture: "amd64"}, formatted: "linux/amd64"},
		{name: "linux/x86-64", want: v1.Platform{OS: "linux", Architecture: "amd64"}, formatted: "linux/amd64"},
		{name: "linux/i386", want: v1.Platform{OS: "linux", Architecture: "386"}, formatted: "linux/386"},
		{name: "linux/arm64", want: v1.Platform{OS: "linux", Architecture: "arm64"}},
		{name: "linux/arm64/v8", want: v1.Platform{OS: "linux", Architecture: "arm64"}, formatted: "linux/arm64"},
		{name: "linux/aarch64", want: v1.Platform{OS: "linux", Architecture: "arm64"}, formatted: "linux/arm64"},
		{name: "linux/arm64/9", want: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v9"}, formatted: "linux/arm64/v9"},
		{name: "linux/arm", want: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, formatted: "linux/arm/v7"},
		{name: "linux/arm/v7", want: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}},
		{name: "linux/arm/6", want: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, formatted: "linux/arm/v6"},
		{name: "linux/armhf", want: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, formatted: "linux/arm/v7"},
		{name: "linux/armel", want: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, formatted: "linux/arm/v6"},
		{name: "macOS/arm64", want: v1.Platform{OS: "darwin", Architecture: "arm64"}, formatted: "darwin/arm64"},
		{name: "windows/amd64", want: v1.Platform{OS: "windows", Architecture: "amd64"}},
		{name: "windows(10.0.17763)/amd64", want: v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763"}},
		{
			name: "windows(10.0.17763+win32k)/amd64",
			want: v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763", OSFeatures: []string{"win32k"}},
		},
		{
			name:      "linux(+simd+gpu+gpu)/amd64",
			want:      v1.Platform{OS: "linux", Architecture: "amd64", OSFeatures: []string{"gpu", "simd"}},
			formatted: "linux(+gpu+simd)/amd64",
		},
		{name: "windows(1%2B2)/amd64", want: v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "1+2"}},
		{name: "s390x", want: v1.Platform{OS: runtime.GOOS, Architecture: "s390x"}, formatted: runtime.GOOS + "/s390x"},
		{name: "armel", want: v1.Platform{OS: runtime.GOOS, Architecture: "arm", Variant: "v6"}, formatted: runtime.GOOS + "/arm/v6"},
		{
			name:      "freebsd",
			want:      v1.Platform{OS: "freebsd", Architecture: Host().Architecture, Variant: Host().Variant},
			formatted: "freebsd/" + runtime.GOARCH,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equals(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			want := tt.formatted
			if want == "" {
				want = tt.name
			}
			if f := FormatAll(got); f != want {
				t.Errorf("formatted %q, want %q", f, want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, name := range []string{
		"", "/linux/arm", "linux/arm/", "linux /arm", "linux/&arm", "linux/arm/foo/bar", "*", "linux/*", "nonsense",
		"windows(10.0/amd64", "windows(%zz)/amd64", "linux(+%zz)/amd64", "linux/" + strings.Repeat("a", maxName),
	} {
		if p, err := Parse(name); err == nil {
			t.Errorf("%q gave %+v", name, p)
		} else if !strings.Contains(err.Error(), "invalid platform") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFormat(t *testing.T) {
	p := v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1"}
	if got := Format(p); got != "windows/amd64" {
		t.Errorf("got %q", got)
	}
	if got := FormatAll(v1.Platform{Architecture: "amd64"}); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"linux/amd64", "arm64", "linux/arm/v7", "windows(10.0.17763+win32k)/amd64", "linux(%25)/a/b", "x86_64",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := Parse(name)
		if err != nil {
			return
		}
		again, err := Parse(FormatAll(p))
		if err != nil {
			t.Fatalf("%q is %+v, written %q: %v", name, p, FormatAll(p), err)
		}
		if !again.Equals(p) {
			t.Errorf("%q is %+v, written %q, which is %+v", name, p, FormatAll(p), again)
		}
		if !Match(p, p) {
			t.Errorf("%q does not match itself", name)
		}
	})
}
