//go:build linux

// Command environments makes the surroundings that run.sh puts builder into: configurations for runc as
// Docker and Kubernetes would give it, and a system call filter that takes file systems away.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

const usage = `usage: environments config NAME ROOTFS WORK BUILDER SUITE   print a config.json for runc
       environments refuse TYPE,... COMMAND...              run a command that cannot mount these file systems`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "environments: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 6 && args[0] == "config":
		c, err := config(args[1], places{root: args[2], work: args[3], builder: args[4], suite: args[5]})
		if err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(c)
	case len(args) > 2 && args[0] == "refuse":
		return refuse(strings.Split(args[1], ","), args[2:])
	}
	return fmt.Errorf("wrong arguments\n%s", usage)
}
