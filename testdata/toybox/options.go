package main

import (
	"strconv"
	"strings"
)

// options are what was found on a command line.
type options struct {
	flags  map[rune]bool
	values map[rune]string
	// args are the arguments that are not options.
	args []string
}

// parse reads options as POSIX has them: flags are single letters, values those that take an argument.
// A number takes the place of the option n, as in head -5. Options may stand between arguments.
func parse(args []string, flags, values string) (options, error) {
	o := options{flags: map[rune]bool{}, values: map[rune]string{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			o.args = append(o.args, args...)
			return o, nil
		case len(arg) < 2 || arg[0] != '-':
			o.args = append(o.args, arg)
			continue
		case strings.ContainsRune(values, 'n') && isNumber(arg[1:]):
			o.values['n'] = arg[1:]
			continue
		}
		var err error
		if args, err = o.cluster(arg[1:], args, flags, values); err != nil {
			return o, err
		}
	}
	return o, nil
}

// cluster reads what stands behind one dash and returns the arguments that are left.
func (o *options) cluster(letters string, args []string, flags, values string) ([]string, error) {
	for i, letter := range letters {
		switch {
		case strings.ContainsRune(flags, letter):
			o.flags[letter] = true
		case strings.ContainsRune(values, letter):
			value := letters[i+len(string(letter)):]
			if value == "" {
				if len(args) == 0 {
					return nil, usagef("option -%c needs an argument", letter)
				}
				value, args = args[0], args[1:]
			}
			o.values[letter] = value
			return args, nil
		default:
			return nil, usagef("unknown option -%s", letters)
		}
	}
	return args, nil
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// has reports whether any of the flags was given.
func (o options) has(flags string) bool {
	for _, f := range flags {
		if o.flags[f] {
			return true
		}
	}
	return false
}

// number returns the value of an option as a number, or what it is by default.
func (o options) number(letter rune, otherwise int) (int, error) {
	value, ok := o.values[letter]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, usagef("-%c wants a number, not %q", letter, value)
	}
	return n, nil
}

// one returns the only argument.
func (o options) one(what string) (string, error) {
	if len(o.args) != 1 {
		return "", usagef("want one %s, got %d", what, len(o.args))
	}
	return o.args[0], nil
}

// some returns the arguments, of which there must be at least n.
func (o options) some(n int, what string) ([]string, error) {
	if len(o.args) < n {
		return nil, usagef("want at least %d %s, got %d", n, what, len(o.args))
	}
	return o.args, nil
}

// target splits the arguments of cp, mv and ln into sources and what comes of each: the last argument, or
// a path in it if that is a directory.
func (o options) target() (sources []string, dest func(source string) string, err error) {
	args, err := o.some(2, "paths")
	if err != nil {
		return nil, nil, err
	}
	sources, last := args[:len(args)-1], args[len(args)-1]
	if isDir(last) && !o.flags['T'] {
		return sources, func(source string) string { return join(last, base(source)) }, nil
	}
	if len(sources) > 1 {
		return nil, nil, usagef("%s is not a directory", last)
	}
	return sources, func(string) string { return last }, nil
}
