//go:build linux

package main

import (
	"encoding/csv"
	"strings"
)

// splitCSV splits one line of comma-separated values.
func splitCSV(s string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(s))
	return r.Read()
}
