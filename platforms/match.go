package platforms

import (
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Match reports whether an image made for have can be used where want is asked for: the same platform, or
// one whose programs run there too, as arm/v6 does on arm/v7, amd64 on amd64/v2 and 386 on amd64.
func Match(want, have v1.Platform) bool {
	_, ok := rank(want, have)
	return ok
}

// Best returns the descriptor of the image that suits want best; ok is false if none can be used. Of two
// that suit equally well it is the first.
func Best(want v1.Platform, manifests []v1.Descriptor) (best v1.Descriptor, ok bool) {
	lowest := 0
	for _, m := range manifests {
		if m.Platform == nil {
			continue
		}
		if r, fits := rank(want, *m.Platform); fits && (!ok || r < lowest) {
			best, lowest, ok = m, r, true
		}
	}
	return best, ok
}

// rank returns how far have is from want, 0 if they are the same, and whether it can be used at all.
func rank(want, have v1.Platform) (int, bool) {
	want, have = Normalize(want), Normalize(have)
	if want.OS != have.OS || !versionFits(want, have) || !featuresFit(want, have) {
		return 0, false
	}
	r := slices.Index(compatible(want.Architecture, want.Variant), cpu{have.Architecture, have.Variant})
	return r, r >= 0
}

// versionFits: Windows runs only images made for its own build. A wanted version may be a prefix of it.
func versionFits(want, have v1.Platform) bool {
	if want.OS != "windows" || want.OSVersion == "" || have.OSVersion == "" {
		return true
	}
	return have.OSVersion == want.OSVersion || strings.HasPrefix(have.OSVersion, want.OSVersion+".")
}

// featuresFit: an image that needs a feature is not for those who do not offer it. That a Windows image
// needs win32k was never held against it.
func featuresFit(want, have v1.Platform) bool {
	for _, f := range have.OSFeatures {
		if !slices.Contains(want.OSFeatures, f) && (have.OS != "windows" || f != "win32k") {
			return false
		}
	}
	return true
}

// cpu is a normalized architecture and its variant.
type cpu struct{ arch, variant string }

// compatible lists whose programs run on a processor, best first.
func compatible(arch, variant string) []cpu {
	list := []cpu{{arch, variant}}
	switch arch {
	case "amd64":
		for v := version(variant) - 1; v >= 1; v-- {
			list = append(list, normalCPU(arch, "v"+strconv.Itoa(v)))
		}
		return append(list, cpu{"386", ""})
	case "arm":
		for v := version(variant) - 1; v >= 5; v-- {
			list = append(list, cpu{arch, "v" + strconv.Itoa(v)})
		}
	case "arm64":
		return append(append(list, olderARM64(variant)...), compatible("arm", "v8")...)
	}
	return list
}

// olderARM64 lists what arm64 of a variant includes: v9.N is v8.(N+5) and more, and every version is the
// ones before it and more (Arm Architecture Reference Manual, A1.7).
func olderARM64(variant string) []cpu {
	if variant == "" {
		return nil
	}
	major, minorText, _ := strings.Cut(strings.TrimPrefix(variant, "v"), ".")
	minor := version(minorText)
	var list []cpu
	switch {
	case minor > 9:
		return nil
	case major == "9":
		list = append(minors("9", minor-1), minors("8", min(minor+5, 9))...)
	case major == "8":
		list = minors("8", minor-1)
	}
	return list
}

// minors lists arm64/vMAJOR.N for N from minor down to 0.
func minors(major string, minor int) []cpu {
	var list []cpu
	for ; minor > 0; minor-- {
		list = append(list, cpu{"arm64", "v" + major + "." + strconv.Itoa(minor)})
	}
	if minor == 0 {
		list = append(list, normalCPU("arm64", "v"+major))
	}
	return list
}

func normalCPU(arch, variant string) cpu {
	arch, variant = normalArch(arch, variant)
	return cpu{arch, variant}
}

// version returns the number of a variant such as v7, 0 if it is none. Variants above 99 do not exist.
func version(variant string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(variant, "v"))
	if err != nil || n < 0 || n > 99 {
		return 0
	}
	return n
}
