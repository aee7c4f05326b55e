//go:build linux

// Command attacker is what tests run in a sandbox. Each of its commands tries what must not succeed there, and
// says of what did: it exits with 1 then.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	attacks := map[string]func(args []string) []string{
		"nothing": func([]string) []string { return nil },
		"escape":  escape, "privileges": privileges, "descriptors": descriptors, "terminal": terminal,
		"calls": calls, "hidden": hidden, "environment": environment, "reach": reach, "kill": killAll,
		"leave": leave, "spam": spam, "close": closeAll, "root": root, "absent": absent, "present": present, "sleep": sleep,
		"fill": fill, "limits": limits, "outside": outside, "chain": chain, "shed": shed,
		"trace": trace, "forge": forge, "bomb": bomb, "swap": swap, "answers": answers, "race": race,
		"attributes": attributesOfOpen,
	}
	if len(os.Args) < 2 || attacks[os.Args[1]] == nil {
		fmt.Println("unknown attack", os.Args[1:])
		os.Exit(2)
	}
	successes := attacks[os.Args[1]](os.Args[2:])
	for _, s := range successes {
		fmt.Println("ATTACK SUCCEEDED:", s)
	}
	if len(successes) > 0 {
		os.Exit(1)
	}
}

// absent finds files that must not be there.
func absent(paths []string) (found []string) {
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			found = append(found, p+" is there")
		}
	}
	return found
}

// present misses files that must be there.
func present(paths []string) (missing []string) {
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			missing = append(missing, err.Error())
		}
	}
	return missing
}

func sleep(args []string) []string {
	n, _ := strconv.Atoi(args[0])
	fmt.Println("asleep")
	time.Sleep(time.Duration(n) * time.Second)
	return nil
}

// fill writes a file of so many MiB that do not compress.
func fill(args []string) []string {
	n, _ := strconv.Atoi(args[1])
	f, err := os.Create(args[0])
	if err != nil {
		return []string{err.Error()}
	}
	random, err := os.Open("/dev/urandom")
	if err != nil {
		return []string{err.Error()}
	}
	block := make([]byte, 1<<20)
	for range n {
		if _, err := random.Read(block); err != nil {
			return []string{err.Error()}
		}
		if _, err := f.Write(block); err != nil {
			return []string{err.Error()}
		}
	}
	return nil
}
