// Package platforms knows the names of platforms: how people write them, how images write them, and which
// of the images in an index is the one for a platform asked for.
package platforms

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxName bounds the length of a platform's name; real ones are a tenth of that.
const maxName = 1024

var (
	osPart   = regexp.MustCompile(`^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$`)
	archPart = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	osOption = regexp.MustCompile(`^[A-Za-z0-9_.%+()/-]*$`)
)

// Host returns the platform of this machine, as docker's BUILDPLATFORM has it.
func Host() v1.Platform {
	return Normalize(v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH})
}

// Parse returns the normalized platform that a name stands for. The forms are those of docker:
//
//	linux/amd64    linux/arm/v7    windows(10.0.17763)/amd64    linux    arm64
//
// A name of one part is an operating system or an architecture; the other is that of this machine.
func Parse(name string) (v1.Platform, error) {
	p, err := parse(name)
	if err != nil {
		return v1.Platform{}, fmt.Errorf("invalid platform %q: %w", name, err)
	}
	return Normalize(p), nil
}

func parse(name string) (v1.Platform, error) {
	if len(name) > maxName {
		return v1.Platform{}, fmt.Errorf("longer than %d bytes", maxName)
	}
	parts := strings.Split(name, "/")
	if len(parts) > 3 {
		return v1.Platform{}, errors.New("more than os/arch/variant")
	}
	p, err := parseOS(parts[0])
	if err != nil {
		return v1.Platform{}, err
	}
	for _, part := range parts[1:] {
		if !archPart.MatchString(part) {
			return v1.Platform{}, fmt.Errorf("invalid component %q", part)
		}
	}
	switch len(parts) {
	case 1:
		return parseOne(p, parts[0])
	case 3:
		p.Variant = parts[2]
	}
	p.Architecture = parts[1]
	return p, nil
}

// parseOne completes a name of one part, which has been read as an operating system.
func parseOne(p v1.Platform, part string) (v1.Platform, error) {
	host := Host()
	if knownOS(normalOS(p.OS)) {
		p.Architecture, p.Variant = host.Architecture, host.Variant
		return p, nil
	}
	if arch, _ := normalArch(part, ""); knownArch(arch) {
		return v1.Platform{OS: host.OS, Architecture: part}, nil
	}
	return v1.Platform{}, errors.New("unknown operating system or architecture")
}

// parseOS reads OS[(VERSION[+FEATURE...])]. What would be mistaken for syntax is percent-encoded in it.
func parseOS(part string) (v1.Platform, error) {
	m := osPart.FindStringSubmatch(part)
	if m == nil {
		return v1.Platform{}, fmt.Errorf("invalid operating system %q", part)
	}
	version, err := unescape(m[2])
	if err != nil {
		return v1.Platform{}, err
	}
	p := v1.Platform{OS: m[1], OSVersion: version}
	for f := range strings.SplitSeq(m[3], "+") {
		feature, err := unescape(f)
		if err != nil {
			return v1.Platform{}, err
		}
		if feature != "" {
			p.OSFeatures = append(p.OSFeatures, feature)
		}
	}
	return p, nil
}

// Normalize returns p by the names that Go and image indexes use: aarch64 becomes arm64, macos darwin,
// arm64/v8 and amd64/v1 lose their variant, arm without a variant is arm/v7. An empty operating system
// is that of this machine.
func Normalize(p v1.Platform) v1.Platform {
	p.OS = normalOS(p.OS)
	p.Architecture, p.Variant = normalArch(p.Architecture, p.Variant)
	if len(p.OSFeatures) > 0 {
		p.OSFeatures = slices.Compact(slices.Sorted(slices.Values(p.OSFeatures)))
	}
	return p
}

func normalOS(os string) string {
	switch os = strings.ToLower(os); os {
	case "":
		return runtime.GOOS
	case "macos":
		return "darwin"
	}
	return os
}

func normalArch(arch, variant string) (string, string) {
	arch, variant = strings.ToLower(arch), strings.ToLower(variant)
	switch arch {
	case "i386":
		return "386", ""
	case "x86_64", "x86-64", "amd64":
		if variant == "v1" {
			variant = ""
		}
		return "amd64", variant
	case "aarch64", "arm64":
		return "arm64", arm64Variant(variant)
	case "armhf":
		return "arm", "v7"
	case "armel":
		return "arm", "v6"
	case "arm":
		return "arm", armVariant(variant)
	}
	return arch, variant
}

func arm64Variant(variant string) string {
	switch variant {
	case "8", "v8", "v8.0":
		return ""
	case "9", "9.0", "v9.0":
		return "v9"
	}
	return variant
}

func armVariant(variant string) string {
	switch variant {
	case "", "7":
		return "v7"
	case "5", "6", "8":
		return "v" + variant
	}
	return variant
}

// Format returns os/arch[/variant].
func Format(p v1.Platform) string {
	if p.OS == "" {
		return "unknown"
	}
	parts := []string{p.OS, p.Architecture, p.Variant}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
}

// FormatAll returns os[(version[+feature...])]/arch[/variant]. Parse reads it.
func FormatAll(p v1.Platform) string {
	if p.OS == "" || p.OSVersion == "" && len(p.OSFeatures) == 0 {
		return Format(p)
	}
	var b strings.Builder
	b.WriteString(p.OS + "(" + escape(p.OSVersion))
	for _, f := range p.OSFeatures {
		b.WriteString("+" + escape(f))
	}
	b.WriteByte(')')
	p.OS = b.String()
	return Format(p)
}

// escape encodes what would be syntax in FormatAll.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "+", "%2B", "(", "%28", ")", "%29", "/", "%2F").Replace(s)
}

// unescape undoes escape, and refuses whatever escape would not have given.
func unescape(s string) (string, error) {
	t, err := url.PathUnescape(s)
	if err != nil {
		return "", err
	}
	if !osOption.MatchString(t) {
		return "", fmt.Errorf("invalid character in %q", t)
	}
	return t, nil
}

// The names are those of go/build's syslist.go.

func knownOS(os string) bool {
	switch os {
	case "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
		"netbsd", "openbsd", "plan9", "solaris", "windows", "zos":
		return true
	}
	return false
}

func knownArch(arch string) bool {
	switch arch {
	case "386", "amd64", "amd64p32", "arm", "arm64", "arm64be", "armbe", "loong64", "mips", "mips64", "mips64le",
		"mips64p32", "mips64p32le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
		"sparc", "sparc64", "wasm":
		return true
	}
	return false
}
