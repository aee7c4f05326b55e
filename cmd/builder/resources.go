//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-298d225e/builder/solver/sandbox"
)

// resourceFlags bound what each command may use. They are spelled as those of docker build and docker run;
// --resource is that of docker buildx build.
type resourceFlags struct {
	memory, memorySwap, cpus, cpusetCPUs, cpusetMems string
	cpuShares, cpuPeriod, cpuQuota, pids             int64
	list                                             []string
}

func (f *resourceFlags) add(s *pflag.FlagSet) {
	s.StringVarP(&f.memory, "memory", "m", "", "memory that each command may use, such as 512m")
	s.StringVar(&f.memorySwap, "memory-swap", "", "memory and swap together that each command may use; -1 is no limit")
	s.StringVar(&f.cpus, "cpus", "", "processors that each command may keep busy, such as 1.5")
	s.Int64VarP(&f.cpuShares, "cpu-shares", "c", 0, "weight of each command against other programs; 1024 is what each has")
	s.Int64Var(&f.cpuPeriod, "cpu-period", 0, "period of --cpu-quota in microseconds")
	s.Int64Var(&f.cpuQuota, "cpu-quota", 0, "processor time in microseconds that each command may use in a period")
	s.StringVar(&f.cpusetCPUs, "cpuset-cpus", "", "processors that commands may use, such as 0-3,8")
	s.StringVar(&f.cpusetMems, "cpuset-mems", "", "memory nodes that commands may use")
	s.Int64Var(&f.pids, "pids-limit", 0, "processes and threads that each command may have; -1 is no limit (default: 8192 for each user)")
	s.StringArrayVar(&f.list, "resource", nil, "the same as NAME=VALUE with the name of a flag: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems")
}

// read understands the flags.
func (f *resourceFlags) read() (r sandbox.Resources, err error) {
	if err := f.readList(); err != nil {
		return r, err
	}
	r = sandbox.Resources{
		CPUShares: f.cpuShares, CPUPeriod: f.cpuPeriod, CPUQuota: f.cpuQuota, CPUs: f.cpusetCPUs, Nodes: f.cpusetMems,
		Pids: max(f.pids, -1),
	}
	if f.memory != "" {
		if r.Memory, err = parseSize(f.memory); err != nil {
			return r, fmt.Errorf("--memory: %w", err)
		}
	}
	if r.MemorySwap, err = readSwap(f.memorySwap, r.Memory); err != nil {
		return r, fmt.Errorf("--memory-swap: %w", err)
	}
	if f.cpus != "" {
		err = readCPUs(f.cpus, &r)
	}
	return r, err
}

// readList gives the other flags what --resource says.
func (f *resourceFlags) readList() error {
	texts := map[string]*string{
		"memory": &f.memory, "memory-swap": &f.memorySwap, "cpuset-cpus": &f.cpusetCPUs, "cpuset-mems": &f.cpusetMems,
	}
	numbers := map[string]*int64{"cpu-shares": &f.cpuShares, "cpu-period": &f.cpuPeriod, "cpu-quota": &f.cpuQuota}
	for _, s := range f.list {
		name, value, ok := strings.Cut(s, "=")
		switch {
		case ok && texts[name] != nil:
			*texts[name] = value
		case ok && numbers[name] != nil:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("--resource %q: %q is not a whole number", s, value)
			}
			*numbers[name] = n
		default:
			return fmt.Errorf("--resource %q: it must be NAME=VALUE with one of memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems", s)
		}
	}
	return nil
}

func readSwap(flag string, memory int64) (int64, error) {
	if flag == "" || flag == "-1" {
		n, _ := strconv.ParseInt(flag, 10, 64)
		return n, nil
	}
	n, err := parseSize(flag)
	switch {
	case err != nil:
		return 0, err
	case memory == 0:
		return 0, errors.New("it needs --memory too")
	case n < memory:
		return 0, errors.New("it is memory and swap together and cannot be below --memory")
	}
	return n, nil
}

// readCPUs turns a number of processors into a quota.
func readCPUs(flag string, r *sandbox.Resources) error {
	n, err := strconv.ParseFloat(flag, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return fmt.Errorf("--cpus %q: it must be a number above zero such as 1.5", flag)
	}
	if r.CPUQuota != 0 || r.CPUPeriod != 0 {
		return errors.New("--cpus says what --cpu-quota and --cpu-period say; only one of them can be given")
	}
	r.CPUPeriod = 100_000
	r.CPUQuota = int64(n * float64(r.CPUPeriod))
	return nil
}
