package frontend

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// variables are named values in the order in which the names appeared. It is a shell.EnvGetter.
type variables struct {
	names  []string
	values map[string]string
	// size is that of the list in bytes.
	size int
}

// newVariables returns the variables of a NAME=value list.
func newVariables(list []string) *variables {
	v := &variables{values: make(map[string]string, len(list))}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		v.set(name, value)
	}
	return v
}

func (v *variables) set(name, value string) {
	old, ok := v.values[name]
	if !ok {
		v.names = append(v.names, name)
		v.size += len(name) + 1
	}
	v.size += len(value) - len(old)
	v.values[name] = value
}

// add is set within the bounds of what a command can be started with.
func (v *variables) add(name, value string) error {
	if len(name)+1+len(value) >= maxVariable {
		return fmt.Errorf("variable %s is longer than %d KiB: no command could be started with it", abbreviate(name), maxVariable>>10)
	}
	v.set(name, value)
	if v.size > maxVariables {
		return fmt.Errorf("the variables are larger than %d MiB in all: no command could be started with them", maxVariables>>20)
	}
	return nil
}

func (v *variables) unset(name string) {
	old, ok := v.values[name]
	if !ok {
		return
	}
	delete(v.values, name)
	v.names = slices.DeleteFunc(v.names, func(n string) bool { return n == name })
	v.size -= len(name) + 1 + len(old)
}

// Get returns the value of name and whether it has one.
func (v *variables) Get(name string) (string, bool) {
	value, ok := v.values[name]
	return value, ok
}

// Keys returns the names.
func (v *variables) Keys() []string { return v.names }

func (v *variables) clone() *variables {
	return &variables{names: slices.Clone(v.names), values: maps.Clone(v.values), size: v.size}
}

// list returns NAME=value pairs.
func (v *variables) list() []string {
	list := make([]string, len(v.names))
	for i, name := range v.names {
		list[i] = name + "=" + v.values[name]
	}
	return list
}
