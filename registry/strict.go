package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// checkJSON refuses what is no JSON object, and one that two parsers may read differently: with the same
// key twice, or, for the sake of parsers like Go's that do not tell upper from lower case, with two keys
// that differ in nothing else. Objects whose keys are free, such as annotations, only have to spell them
// differently.
func checkJSON(raw []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return errors.New("this is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return checkValue(d, "", 0)
}

func checkValue(d *json.Decoder, name string, depth int) error {
	const deepest = 100
	if depth > deepest {
		return fmt.Errorf("JSON is nested more than %d deep", deepest)
	}
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("parsing JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		return checkObject(d, name, depth)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, name, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

func checkObject(d *json.Decoder, name string, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("parsing JSON: %w", err)
		}
		key, _ := t.(string)
		same := key
		if !freeKeys(name) {
			same = fold(key)
		}
		if seen[same] {
			return fmt.Errorf("the key %q stands twice in one JSON object", key)
		}
		seen[same] = true
		if err := checkValue(d, key, depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// freeKeys reports whether the object called name has keys that users choose.
func freeKeys(name string) bool {
	switch strings.ToLower(name) {
	case "annotations", "labels", "volumes", "exposedports":
		return true
	}
	return false
}

// fold maps keys that Go's parser takes for the same to one.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}
