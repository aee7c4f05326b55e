//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// checkMachine finds out whether the programs that the demonstration needs are installed.
func checkMachine() error {
	var missing []string
	if _, err := exec.LookPath("newuidmap"); err != nil && os.Geteuid() != 0 {
		missing = append(missing, "uidmap")
	}
	if !emulates(foreign()) {
		missing = append(missing, "qemu-user-static")
	}
	if missing != nil {
		return fmt.Errorf("some programs are missing; on Debian: sudo apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// foreign is the one of the two architectures that this machine is not, as qemu calls it.
func foreign() string {
	if runtime.GOARCH == "amd64" {
		return "aarch64"
	}
	return "x86_64"
}

// emulates reports whether an emulator is installed, or registered with the kernel.
func emulates(machine string) bool {
	for _, program := range []string{"qemu-" + machine, "qemu-" + machine + "-static"} {
		if _, err := exec.LookPath(program); err == nil {
			return true
		}
	}
	_, err := os.Stat("/proc/sys/fs/binfmt_misc/qemu-" + machine)
	return err == nil
}
