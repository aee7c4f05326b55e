//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// start starts this program again.
func start(args ...string) error {
	self, err := os.Executable() // /proc/self/exe cannot be executed where the machine's /proc is not there
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// killAll kills all processes that there are but itself.
func killAll([]string) []string {
	for range 5 {
		if err := start("sleep", "100"); err != nil {
			return []string{err.Error()}
		}
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != nil {
		return []string{"killing: " + err.Error()}
	}
	return nil
}

// leave leaves so many processes behind, each in a session of its own and with no wish to die with anybody.
func leave(args []string) []string {
	n, _ := strconv.Atoi(args[0])
	for range n {
		if err := start("sleep", "300"); err != nil {
			return []string{err.Error()}
		}
	}
	return nil
}

// bomb starts processes until it is refused one, or has so many.
func bomb(args []string) []string {
	n, _ := strconv.Atoi(args[0])
	for i := range n {
		// Without the runtime of Go, which the child shares its memory with.
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		switch {
		case errno != 0:
			fmt.Printf("refused after %d: %v\n", i, errno)
			return nil
		case pid == 0:
			for {
				_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			}
		}
	}
	return []string{fmt.Sprintf("starting %d processes", n)}
}

// spam writes so many MiB without an end of line.
func spam(args []string) []string {
	n, _ := strconv.Atoi(args[0])
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range n {
		if _, err := os.Stdout.Write(block); err != nil {
			return []string{err.Error()}
		}
	}
	return nil
}

// closeAll goes on without standard streams.
func closeAll([]string) []string {
	for fd := range 3 {
		_ = unix.Close(fd)
	}
	time.Sleep(100 * time.Millisecond)
	return nil
}

// limits allocates so many MiB, or with "pids" starts so many processes.
func limits(args []string) []string {
	n, _ := strconv.Atoi(args[1])
	if args[0] == "pids" {
		for range n {
			if err := start("sleep", "5"); err != nil {
				fmt.Println(err)
				os.Exit(3)
			}
		}
		return nil
	}
	for range n {
		page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			fmt.Println("allocating memory:", err)
			os.Exit(3)
		}
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
	}
	return nil
}

// trace traces a process of its own, as debuggers do, which must succeed.
func trace([]string) []string {
	runtime.LockOSThread() // which traces
	self, err := os.Executable()
	if err != nil {
		return []string{err.Error()}
	}
	cmd := exec.Command(self, "nothing")
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return []string{"tracing: " + err.Error()}
	}
	_ = cmd.Wait() // it has stopped before its first instruction
	if err := unix.PtraceDetach(cmd.Process.Pid); err != nil {
		return []string{"going on: " + err.Error()}
	}
	return nil
}
