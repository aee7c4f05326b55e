//go:build linux

// Package sysnum knows the numbers of system calls in every ABI that a command in a sandbox can use.
package sysnum

//go:generate go run generate.go

import (
	_ "embed" // for the table of numbers
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

//go:embed sysnum.txt
var table string

// ABI is a set of system call numbers that the kernel offers to programs.
type ABI struct {
	// Name is the architecture as Go calls it.
	Name string
	// Audit is the architecture word that seccomp filters see, AUDIT_ARCH_* of linux/audit.h.
	Audit uint32
	// X32: numbers with bit 30 set belong to another ABI of the same architecture word.
	X32 bool
	// Narrow: pointers and ids have 32 bits.
	Narrow bool
}

// Of returns the ABIs that a kernel for goarch offers, its own first; none if it is not known here.
func Of(goarch string) []ABI {
	switch goarch {
	case "amd64":
		return []ABI{
			{Name: "amd64", Audit: unix.AUDIT_ARCH_X86_64, X32: true},
			{Name: "386", Audit: unix.AUDIT_ARCH_I386, Narrow: true},
		}
	case "arm64":
		return []ABI{
			{Name: "arm64", Audit: unix.AUDIT_ARCH_AARCH64},
			{Name: "arm", Audit: unix.AUDIT_ARCH_ARM, Narrow: true},
		}
	default:
		return nil
	}
}

// numbers holds, by the name of the ABI, the calls by name.
var numbers = sync.OnceValue(func() map[string]map[string]uint32 { //nolint:gochecknoglobals // a constant
	lines := strings.Split(strings.TrimSpace(table), "\n")
	abis := strings.Fields(lines[0])[1:]
	numbers := map[string]map[string]uint32{}
	for _, abi := range abis {
		numbers[abi] = make(map[string]uint32, len(lines))
	}
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		for i, abi := range abis {
			if n, err := strconv.ParseUint(f[i+1], 10, 32); err == nil {
				numbers[abi][f[0]] = uint32(n)
			}
		}
	}
	return numbers
})

// Numbers returns the calls of an ABI by name. The caller must not change them.
func (a ABI) Numbers() map[string]uint32 { return numbers()[a.Name] }
