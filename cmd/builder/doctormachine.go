//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-298d225e/builder/registry"
	"github.com/seed-298d225e/builder/solver/sandbox"
)

func askNetwork() []sandbox.Probe {
	probes := []sandbox.Probe{
		installed("pasta", "Debian, Ubuntu: apt-get install passt; either pasta or slirp4netns is enough"),
		installed("slirp4netns", "Debian, Ubuntu: apt-get install slirp4netns; either pasta or slirp4netns is enough"),
	}
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	p := sandbox.Probe{Name: "/dev/net/tun", OK: err == nil, Found: "can be opened"}
	if err != nil {
		p.Found, p.Errno = err.Error(), sandbox.ErrnoName(err)
		p.Fix = "docker run --device /dev/net/tun; on a host, as root: modprobe tun"
	} else {
		tun.Close()
	}
	return append(probes, p, askResolvers(), askProxy())
}

func installed(program, fix string) sandbox.Probe {
	path, err := exec.LookPath(program)
	if err != nil {
		return sandbox.Probe{Name: program, Found: "is not installed", Fix: fix}
	}
	return sandbox.Probe{Name: program, OK: true, Found: path}
}

func askResolvers() sandbox.Probe {
	p := sandbox.Probe{Name: "resolvers"}
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		p.Found, p.Errno, p.Fix = err.Error(), sandbox.ErrnoName(err), "names are looked up at 127.0.0.1 without it"
		return p
	}
	var servers []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	p.OK, p.Found = len(servers) > 0, strings.Join(servers, ", ")
	if !p.OK {
		p.Found, p.Fix = "/etc/resolv.conf names none", "add a line \"nameserver ADDRESS\" to /etc/resolv.conf"
	}
	return p
}

// askProxy tells the proxies without the passwords that may be in their addresses.
func askProxy() sandbox.Probe {
	var found []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"} {
		value, ok := os.LookupEnv(name)
		if !ok {
			continue
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			u.User = nil
			value = u.String()
		}
		found = append(found, name+"="+value)
	}
	if len(found) == 0 {
		found = []string{"none"}
	}
	return sandbox.Probe{Name: "proxies", OK: true, Found: strings.Join(found, " ")}
}

func askLimits() []sandbox.Probe {
	probes := sandbox.ProbeLimits()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		unit := uint64(info.Unit)
		probes = append(probes, sandbox.Probe{
			Name: "memory of this machine", OK: true,
			Found: formatSize(int64(info.Totalram * unit)),
		})
	}
	for _, l := range []struct {
		name     string
		resource int
		least    uint64
	}{{"open files", unix.RLIMIT_NOFILE, 1024}, {"processes of this user", unix.RLIMIT_NPROC, 256}, {"size of a file", unix.RLIMIT_FSIZE, 1 << 30}} {
		probes = append(probes, askRlimit(l.name, l.resource, l.least))
	}
	return probes
}

func askRlimit(name string, resource int, least uint64) sandbox.Probe {
	var r unix.Rlimit
	if err := unix.Getrlimit(resource, &r); err != nil {
		return sandbox.Probe{Name: name, Found: err.Error(), Errno: sandbox.ErrnoName(err)}
	}
	p := sandbox.Probe{Name: name, OK: r.Cur >= least, Found: "unlimited"}
	if r.Cur != unix.RLIM_INFINITY {
		p.Found = fmt.Sprintf("at most %d", r.Cur)
	}
	if !p.OK {
		p.Fix = fmt.Sprintf("raise it to %d or more with ulimit", least)
	}
	return p
}

func askDirectories(store string, noStore error) []sandbox.Probe {
	var probes []sandbox.Probe
	if noStore != nil {
		probes = append(probes, sandbox.Probe{Name: "store", Found: noStore.Error()})
	} else {
		probes = append(probes, askDirectory("store", store, "--root or $BUILDER_ROOT can name a directory elsewhere"))
	}
	probes = append(probes,
		askDirectory("temporary files", os.TempDir(), "$TMPDIR can name another directory"),
		askDirectory("shared memory", "/dev/shm", "commands get one of their own where mounts are allowed"),
	)
	home, ok := os.LookupEnv("HOME")
	if !ok || home == "" {
		return append(probes, sandbox.Probe{Name: "home", Found: "$HOME is not set", Fix: "without it the store must be named with --root or $BUILDER_ROOT, and credentials with $DOCKER_CONFIG"})
	}
	return append(probes, askDirectory("home", home, "$HOME can name another directory"))
}

// roomy is how many bytes ought to be free on a disk.
const roomy = 1 << 30

// askDirectory tells where a directory is, or would be made, and how much room there is.
func askDirectory(name, path, elsewhere string) sandbox.Probe {
	p := sandbox.Probe{Name: name, Found: path}
	at := path
	var st unix.Statfs_t
	err := unix.Statfs(at, &st)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) && name == "store" {
		at = filepath.Dir(at)
		err = unix.Statfs(at, &st)
	}
	if err == nil {
		err = unix.Access(at, unix.W_OK|unix.X_OK)
	}
	if err != nil {
		p.Found, p.Errno, p.Fix = path+": "+err.Error(), sandbox.ErrnoName(err), elsewhere
		return p
	}
	free := int64(st.Bavail) * st.Bsize
	p.OK = true
	p.Found = fmt.Sprintf("%s on %s, %s free", path, filesystemName(st.Type), formatSize(free))
	if st.Files > 0 {
		p.Found += fmt.Sprintf(", %d inodes free", st.Ffree)
	}
	if name == "store" && free < roomy {
		p.OK, p.Fix = false, "'builder prune' frees what is not in use; "+elsewhere
	}
	return p
}

func filesystemName(magic int64) string {
	name, ok := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", unix.FUSE_SUPER_MAGIC: "fuse",
		unix.V9FS_MAGIC: "9p", unix.SMB2_SUPER_MAGIC: "cifs", unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs",
		unix.CEPH_SUPER_MAGIC: "ceph", unix.SQUASHFS_MAGIC: "squashfs", unix.EROFS_SUPER_MAGIC_V1: "erofs",
	}[magic]
	if !ok {
		return fmt.Sprintf("a file system of type %#x", magic)
	}
	return name
}

// askRegistries tells where credentials were found and for whom, never the credentials.
func askRegistries() []sandbox.Probe {
	var probes []sandbox.Probe
	for _, place := range registry.Places(os.Getenv) {
		p := sandbox.Probe{Name: place.Name, OK: true}
		switch {
		case errors.Is(place.Err, fs.ErrNotExist):
			p.OK, p.Found = false, "is not there"
		case place.Err != nil:
			p.OK, p.Found, p.Errno = false, place.Err.Error(), sandbox.ErrnoName(place.Err)
			p.Fix = "docker login, podman login or an editor can make it anew"
		case len(place.Servers)+len(place.Helpers) == 0:
			p.Found = "has no credentials"
		default:
			p.Found = describePlace(place)
		}
		probes = append(probes, p)
		probes = append(probes, askHelpers(place.Helpers)...)
	}
	return probes
}

func describePlace(place registry.Place) string {
	var parts []string
	if len(place.Servers) > 0 {
		parts = append(parts, "credentials for "+strings.Join(place.Servers, ", "))
	}
	for _, server := range slices.Sorted(maps.Keys(place.Helpers)) {
		whom := server
		if server == "" {
			whom = "all others"
		}
		parts = append(parts, place.Helpers[server]+" for "+whom)
	}
	return strings.Join(parts, "; ")
}

func askHelpers(helpers map[string]string) []sandbox.Probe {
	var probes []sandbox.Probe
	for _, program := range slices.Compact(slices.Sorted(maps.Values(helpers))) {
		probes = append(probes, installed(program, "install it, or take it out of the file that names it"))
	}
	return probes
}

// askClock tells whether certificates and tokens are likely to be judged rightly.
func askClock() []sandbox.Probe {
	now := time.Now()
	p := sandbox.Probe{Name: "time", OK: true, Found: now.UTC().Format(time.RFC3339)}
	if info, err := os.Stat("/proc/self/exe"); err == nil && info.ModTime().After(now.Add(time.Hour)) {
		p.OK, p.Found = false, p.Found+" is before this program was made, "+info.ModTime().UTC().Format(time.RFC3339)
		p.Fix = "set the clock: certificates of registries will seem not to be valid yet"
	}
	sync := sandbox.Probe{Name: "synchronized", OK: true, Found: "yes"}
	const unsynchronized = 5 // TIME_ERROR, see adjtimex(2)
	switch state, err := unix.Adjtimex(&unix.Timex{}); {
	case err != nil:
		sync.OK, sync.Found, sync.Errno = false, "the kernel does not tell: "+err.Error(), sandbox.ErrnoName(err)
	case state == unsynchronized:
		sync.OK, sync.Found = false, "not as far as the kernel knows"
		sync.Fix = "run an NTP client; a clock that is minutes off makes registries refuse tokens and certificates"
	}
	return []sandbox.Probe{p, sync}
}
