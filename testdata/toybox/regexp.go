package main

import (
	"fmt"
	"strings"
)

// goExpression turns a basic regular expression of POSIX into one of Go: there the plain characters group
// and count, here the escaped ones do.
func goExpression(pattern string, extended bool) string {
	if extended {
		return pattern
	}
	return strings.NewReplacer(
		`\(`, `(`, `\)`, `)`, `\+`, `+`, `\?`, `?`, `\{`, `{`, `\}`, `}`, `\|`, `|`, `\\`, `\\`,
		`(`, `\(`, `)`, `\)`, `+`, `\+`, `?`, `\?`, `{`, `\{`, `}`, `\}`, `|`, `\|`,
	).Replace(pattern)
}

// goTemplate turns \1 and & into what regexp.Expand understands.
func goTemplate(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '$':
			b.WriteString("$$")
		case text[i] == '&':
			b.WriteString("${0}")
		case text[i] != '\\' || i+1 == len(text):
			b.WriteByte(text[i])
		default:
			i++
			switch {
			case text[i] >= '0' && text[i] <= '9':
				fmt.Fprintf(&b, "${%c}", text[i])
			case text[i] == 'n':
				b.WriteByte('\n')
			default:
				b.WriteByte(text[i])
			}
		}
	}
	return b.String()
}
