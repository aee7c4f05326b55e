package frontend

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// windows is the system whose paths have backslashes and drives.
const windows = "windows"

// absolute returns p, a path of a system as an instruction has it, with slashes and below parent if it is
// relative; an empty one is parent. On Windows it loses its drive, which must be C.
func absolute(parent, p, system string) (string, error) {
	if p == "" {
		p = parent
	}
	p, err := withoutDrive(p, system)
	if err != nil {
		return "", err
	}
	if !path.IsAbs(p) {
		p = path.Join("/", parent, p)
	}
	return p, nil
}

// isAbsolute reports whether p is an absolute path of a system.
func isAbsolute(p, system string) bool {
	p, err := withoutDrive(p, system)
	return err == nil && path.IsAbs(p)
}

// slashed returns a path of a system with slashes.
func slashed(p, system string) string {
	if system != windows {
		return p
	}
	return strings.ReplaceAll(p, `\`, "/")
}

// native returns a path with the separators of a system.
func native(p, system string) string {
	if system != windows {
		return p
	}
	return strings.ReplaceAll(p, "/", `\`)
}

// withoutDrive returns p with slashes. Of C:\path it returns what follows the drive; other drives and hosts
// cannot be in an image. Paths of other systems it leaves as they are.
func withoutDrive(p, system string) (string, error) {
	if system != windows {
		return p, nil
	}
	p = slashed(p, system)
	if strings.HasPrefix(p, "//") {
		return "", errors.New("UNC paths are not supported")
	}
	drive, rest, ok := strings.Cut(p, ":")
	switch {
	case !ok:
		return path.Clean(p), nil
	case rest == "" && len(drive) == 1:
		return "", fmt.Errorf("no relative path specified in %q", p)
	case !strings.EqualFold(drive, "c"):
		return "", errors.New("the specified path is not on the system drive (C:)")
	}
	return path.Clean(rest), nil
}

// destination returns the absolute path that an instruction copies to. A slash or a slash and a dot at its
// end stay, because they say that it is a directory.
func destination(dir, p, system string) (string, error) {
	if p == "" || p == "." {
		p = "./"
	}
	dest, err := absolute(dir, p, system)
	if err != nil {
		return "", err
	}
	dest = path.Clean(dest)
	p = slashed(p, system)
	switch {
	case strings.HasSuffix(p, "/") && dest != "/":
		return dest + "/", nil
	case strings.HasSuffix(p, "/."):
		return strings.TrimSuffix(dest, "/") + "/.", nil
	}
	return dest, nil
}
