package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// chown takes USER, USER:GROUP, USER: and :GROUP, names or numbers.
func chown(c *call) error {
	o, err := parse(c.args, "Rh", "")
	if err != nil {
		return err
	}
	args, err := o.some(2, "arguments")
	if err != nil {
		return err
	}
	uid, gid, err := owner(args[0])
	if err != nil {
		return err
	}
	change := os.Chown
	if o.has("h") {
		change = os.Lchown
	}
	return c.each(args[1:], func(path string) error {
		return deeply(path, o.has("R"), func(p string) error { return change(p, uid, gid) })
	})
}

// owner looks up what chown is told; -1 is what stays as it is.
func owner(text string) (uid, gid int, err error) {
	name, group, given := strings.Cut(text, ":")
	uid, gid = -1, -1
	if name != "" {
		u, err := lookUp("/etc/passwd", name)
		if err != nil {
			return 0, 0, err
		}
		uid = u.id
		if given {
			gid = u.group
		}
	}
	if group != "" {
		g, err := lookUp("/etc/group", group)
		if err != nil {
			return 0, 0, err
		}
		gid = g.id
	}
	return uid, gid, nil
}

// account is a line of /etc/passwd or /etc/group.
type account struct {
	name string
	id   int
	// group is that of a user, -1 if unknown.
	group int
}

// lookUp looks for a name or a number. A number is what it is whether it is listed or not.
func lookUp(file, name string) (account, error) {
	n, err := strconv.Atoi(name)
	numeric := err == nil
	for _, a := range accounts(file) {
		if a.name == name || numeric && a.id == n {
			return a, nil
		}
	}
	if numeric {
		return account{name: name, id: n, group: -1}, nil
	}
	return account{}, fmt.Errorf("%s is not in %s", name, file)
}

// accounts reads what it can: an image may lack these files.
func accounts(file string) []account {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var all []account
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		a := account{name: f[0], group: -1}
		if a.id, err = strconv.Atoi(f[2]); err != nil {
			continue
		}
		if g, err := strconv.Atoi(f[3]); err == nil {
			a.group = g
		}
		all = append(all, a)
	}
	return all
}

func nameOf(file string, id int) string {
	a, _ := lookUp(file, strconv.Itoa(id)) // a number is always found
	return a.name
}

func userName(uid int) string { return nameOf("/etc/passwd", uid) }

func groupName(gid int) string { return nameOf("/etc/group", gid) }

func whoami(c *call) error {
	fmt.Fprintln(c.out, userName(os.Geteuid()))
	return nil
}

// id prints who the process is: all of it, or the number (name with -n) of the user (-u), the group (-g)
// or the groups (-G).
func id(c *call) error {
	o, err := parse(c.args, "ugGn", "")
	if err != nil {
		return err
	}
	others, err := os.Getgroups()
	if err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	groups := append([]int{gid}, slices.DeleteFunc(others, func(g int) bool { return g == gid })...)
	text := strconv.Itoa
	user, group := text, text
	if o.has("n") {
		user, group = userName, groupName
	}
	switch {
	case o.has("u"):
		fmt.Fprintln(c.out, user(uid))
	case o.has("g"):
		fmt.Fprintln(c.out, group(gid))
	case o.has("G"):
		fmt.Fprintln(c.out, each(groups, " ", group))
	default:
		list := each(groups, ",", func(g int) string { return fmt.Sprintf("%d(%s)", g, groupName(g)) })
		fmt.Fprintf(c.out, "uid=%d(%s) gid=%d(%s) groups=%s\n", uid, userName(uid), gid, groupName(gid), list)
	}
	return nil
}

func each(ids []int, separator string, text func(int) string) string {
	var list []string
	for _, id := range ids {
		list = append(list, text(id))
	}
	return strings.Join(list, separator)
}
