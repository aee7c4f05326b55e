package main

import (
	"maps"
	"slices"
	"strings"
)

// applet is a command. Its error is printed and makes the exit status 1, that of a usage error 2; an
// statusError is that status and prints nothing.
type applet func(*call) error

// applets are all commands but those of toybox itself.
func applets() map[string]applet {
	return map[string]applet{
		"[": builtin, "echo": builtin, "false": builtin, "printf": builtin, "pwd": builtin, "test": builtin, "true": builtin,
		"basename": basename, "cat": cat, "chmod": chmod, "chown": chown, "cp": cp, "cut": cut, "date": date,
		"dirname": dirname, "env": env, "find": find, "grep": grep, "head": head, "hostname": hostname, "id": id,
		"kill": kill, "ln": ln, "ls": ls, "mkdir": mkdir, "mkfifo": mkfifo, "mknod": mknod, "mv": mv, "ps": ps,
		"readlink": readlink, "rm": rm, "rmdir": rmdir, "sed": sed, "seq": seq, "setsid": setsid, "sh": sh,
		"sha256sum": sha256sum, "sleep": sleep, "sort": sortLines, "stat": stat, "tail": tail, "tar": tarball,
		"tee": tee, "touch": touch, "tr": tr, "uname": uname, "wc": wc, "wget": wget, "whoami": whoami,
	}
}

// names returns the names of all commands, sorted.
func names() []string { return slices.Sorted(maps.Keys(applets())) }

// lookup returns the command of that name; nil if there is none. A shell may be called as a login shell.
func lookup(name string) applet {
	switch name {
	case "--list":
		return list
	case "--install":
		return install
	}
	return applets()[strings.TrimPrefix(name, "-")]
}
