//go:build ignore

// This program writes sysnum.txt: the numbers of all system calls in the ABIs that a sandbox can meet,
// from the tables of golang.org/x/sys/unix.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		log.Fatal(err)
	}
	abis := []string{"amd64", "386", "arm64", "arm"}
	numbers := map[string]map[string]string{}
	constant := regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`)
	for _, abi := range abis {
		file := filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+abi+".go")
		text, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			name := strings.ToLower(m[1])
			if numbers[name] == nil {
				numbers[name] = map[string]string{}
			}
			numbers[name][abi] = m[2]
		}
	}
	for name, n := range map[string]string{"breakpoint": "983041", "cacheflush": "983042", "set_tls": "983045"} {
		numbers[name] = map[string]string{"arm": n} // __ARM_NR_* of arch/arm/include/uapi/asm/unistd.h
	}
	var lines []string
	for name, of := range numbers {
		line := name
		for _, abi := range abis {
			n, ok := of[abi]
			if !ok {
				n = "-"
			}
			line += " " + n
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	out := fmt.Sprintf("name %s\n%s", strings.Join(abis, " "), strings.Join(lines, ""))
	if err := os.WriteFile("sysnum.txt", []byte(out), 0o644); err != nil {
		log.Fatal(err)
	}
}
