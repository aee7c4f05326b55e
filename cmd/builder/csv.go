//go:build linux

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// splitCSV splits one line of comma-separated values.
func splitCSV(s string) ([]string, error) {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if errors.Is(err, csv.ErrBareQuote) || errors.Is(err, csv.ErrQuote) {
		return nil, fmt.Errorf("quotes go around a whole field, as in 'type=local,\"dest=a,b\"': %w", err)
	}
	return fields, err
}

// csvFields reads KEY=VALUE fields separated by commas, of which each may be quoted as in CSV. A key that
// is not in keys is an error, unless keys is empty.
func csvFields(s string, keys ...string) (map[string]string, error) {
	fields, err := splitCSV(s)
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(fields))
	for i, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok {
			return nil, notAField(fields, i)
		}
		if len(keys) > 0 && !slices.Contains(keys, key) {
			return nil, fmt.Errorf("unknown key %q; known are %s", key, strings.Join(slices.Sorted(slices.Values(keys)), ", "))
		}
		m[key] = value
	}
	return m, nil
}

// notAField says that fields[i] has no key. Most likely it belongs to the value before it, which has a comma.
func notAField(fields []string, i int) error {
	if i == 0 {
		return fmt.Errorf("%q is not KEY=VALUE", fields[i])
	}
	return fmt.Errorf("%q is not KEY=VALUE: a field with a comma in it is quoted as a whole, as in '\"%s,%s\"'", fields[i], fields[i-1], fields[i])
}
