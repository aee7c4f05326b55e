package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// box is a directory of commands, and nothing else on PATH.
type box struct{ bin string }

// newBox builds the program, as it is used, and installs it.
func newBox(t *testing.T) box {
	t.Helper()
	b := box{bin: t.TempDir()}
	toybox := filepath.Join(b.bin, "toybox")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", toybox, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{build, exec.CommandContext(t.Context(), toybox, "--install", b.bin)} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return b
}

// run runs a script in a directory of its own and returns what it writes, with its errors and its status.
func (b box) run(t *testing.T, script string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(b.bin, "sh"), "-c", script, "name", "one", "two words")
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + b.bin, "HOME=/home/me", "TZ=UTC"}, env...)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Sprintf("%s[%d]", out, exit.ExitCode())
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// check runs scripts that are paired with what they should write.
func check(t *testing.T, b box, cases [][2]string) {
	t.Helper()
	for _, c := range cases {
		if got := b.run(t, c[0]); got != c[1] {
			t.Errorf("%s\ngot:  %q\nwant: %q", c[0], got, c[1])
		}
	}
}

func TestShell(t *testing.T) {
	check(t, newBox(t), [][2]string{
		{`echo a 'b  c' "$1" "$2" $# $0`, "a b  c one two words 2 name\n"},
		{`x=1; echo ${x}2 ${y:-d} ${#x} $((x+2)); unset x; echo "[$x]"`, "12 d 1 3\n[]\n"},
		{`echo out; echo err >&2; echo no >/dev/null 2>&1`, "out\nerr\n"},
		{"echo 1 > f; echo 2 >> f; cat < f; cat <<E\n$HOME\nE\ncat <<'E'\n$HOME\nE", "1\n2\n/home/me\n$HOME\n"},
		{`echo b a | tr ' ' '\n' | sort`, "a\nb\n"},
		{`true && echo yes || echo no; false && echo yes || echo no; ! true; echo $?`, "yes\nno\n1\n"},
		{`if [ -d . ]; then echo dir; else echo no; fi; test a = b; echo $?`, "dir\n1\n"},
		{`i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; for f in a "b c"; do echo "$f$i"; done`, "a3\nb c3\n"},
		{`f() { local x=$1; echo "$x" $#; return 3; }; f p q; echo $?`, "p 2\n3\n"},
		{`case abc in a*) echo yes;; esac; x=$(echo in; echo side); echo "$x"`, "yes\nin\nside\n"},
		{`set -e; false; echo no`, "[1]"},
		{`set -eu; echo $nope`, "nope: unbound variable\n[1]"},
		{`set -o pipefail; false | true; echo $?`, "1\n"},
		{`mkdir d; cd d; pwd | sed 's/.*\///'; export A=1; env | grep ^A=; B=2 env | grep ^B=`, "d\nA=1\nB=2\n"},
		{
			`nosuch; echo $?; ./nosuch; echo $?; touch f; ./f; echo $?; exit 300`,
			"sh: nosuch: not found\n127\nsh: ./nosuch: not found\n127\nsh: ./f: permission denied\n126\n[44]",
		},
		{`if`, "sh: name:1:1: `if` must be followed by a statement list\n[2]"},
		{`umask 027; umask; echo > f; mkdir d; stat -c '%a %F' f d`, "0027\n640 regular file\n750 directory\n"},
		{`exec echo done; echo no`, "done\n"},
		{`trap 'echo bye' EXIT; echo hi`, "hi\nbye\n"},
		{`echo 'echo file $1' > s; sh s x; sh -e s y; echo 'echo stdin' | sh; chmod +x s; ./s z`, "file x\nfile y\nstdin\nfile z\n"},
		{`sh -ec 'false; echo no'; echo $?; sh -euo pipefail -c 'echo $0 $1' zero uno`, "1\nzero uno\n"},
		{`sh -c 'kill -TERM $$'; echo $?`, "143\n"},
	})
}

// What is put in the background has begun when the next command runs, is a process, and can outlive the shell.
func TestJobs(t *testing.T) {
	b := newBox(t)
	check(t, b, [][2]string{
		{`sleep 100 & kill $!; wait $!; echo $?`, "143\n"},
		{`(exit 3) & wait $!; echo $?; { echo x; exit 4; } & wait $!; echo $?`, "3\nx\n4\n"},
		{`for i in 1 2 3; do sleep 0.01 & done; wait; echo all`, "all\n"},
		{`f() { sleep 0.01; return 5; }; f & p=$!; true & wait $p; echo $?`, "5\n"},
		{`wait 1; echo $?`, "sh: wait: process 1 is not a child of this shell\n127\n"},
		{`setsid -w sh -c 'exit 6'; echo $?`, "6\n"},
	})
	start := time.Now()
	pid := strings.TrimSpace(b.run(t, `sleep 100 > /dev/null 2>&1 & echo $!`))
	if got := b.run(t, "kill -0 "+pid+" && ps | grep -c '^"+pid+" .* sleep 100$' && kill "+pid); got != "1\n" {
		t.Errorf("the process %s did not outlive its shell: %q", pid, got)
	}
	if d := time.Since(start); d > 50*time.Second {
		t.Errorf("the shell waited for %s", d)
	}
}

func TestText(t *testing.T) {
	check(t, newBox(t), [][2]string{
		{`seq 20 | head -n 2; seq 20 | head -1; seq 20 | tail -n 2; seq 5 | tail -n +4; printf abcdef | head -c 2; printf abcdef | tail -c 2`, "1\n2\n1\n19\n20\n4\n5\nabef"},
		{`printf 'a b\nc\n' > f; wc f; wc -l < f; cat f f | wc -lc; echo x | cat f - | tail -1`, "2 3 6 f\n2\n4 12\nx\n"},
		{`printf '10 x\n9 y\n9 y\n' > f; sort f; sort -n f | head -1; sort -nru f`, "10 x\n9 y\n9 y\n9 y\n10 x\n9 y\n"},
		{`echo a:b:c | cut -d: -f1,3; echo abcdef | cut -c2-3; echo hello | tr a-l A-L; echo abc | tr -d b`, "a:c\nbc\nHELLo\nac\n"},
		{
			`printf 'foo\nbar\nFoo(x)\n' > f; grep foo f; grep -ic foo f; grep -n 'a' f; grep -vc foo f; grep -F '(x' f; grep -o 'o*' f | head -1; grep -q nope f; echo $?`,
			"foo\n2\n2:bar\n2\nFoo(x)\noo\n1\n",
		},
		{
			`mkdir d; echo hit > d/a; echo miss > d/b; grep -r hit d; grep -l s d/a d/b; grep x nofile; echo $?`,
			"d/a:hit\nd/b\ngrep: open nofile: no such file or directory\n2\n",
		},
		{`seq 5 | sed -n 2p; seq 5 | sed -n '4,$p'; seq 3 | sed 2d; seq 9 | sed 1q; echo a.b.c | sed 's/\./-/g'`, "2\n4\n5\n1\n3\n1\na-b-c\n"},
		{
			`echo key=value | sed 's|\(.*\)=\(.*\)|\2 is & ($1)|'; echo aab | sed -E 's/(a+)/<\1>/;s/b/c/'; printf 'x\ny\n' | sed '/x/s/x/z/'`,
			"value is key=value ($1)\n<aa>c\nz\ny\n",
		},
		{`echo old > f; sed -i s/old/new/ f; cat f; echo in | tee f g; cat f g`, "new\nin\nin\nin\n"},
		{
			`echo hi | sha256sum; echo hi > f; sha256sum f > sums; sha256sum -c sums; echo ho > f; sha256sum -c sums; echo $?`,
			"98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4  -\nf: OK\nf: FAILED\n1\n",
		},
		{
			`basename /a/b.c .c; dirname /a/b /a a; echo -n x; printf '%s-%03d\n' y 7; ls -z; echo $?`,
			"b\n/a\n/\n.\nxy-007\nls: usage: unknown option -z\n2\n",
		},
		{`date +%s | grep -c '^[0-9]*$'; date | grep -c Z`, "1\n1\n"},
	})
}

func TestFiles(t *testing.T) {
	check(t, newBox(t), [][2]string{
		{
			`mkdir -p a/b; mkdir -m 700 c; mkdir a; echo $?; stat -c %a c; rmdir c; rm a; rm -r a; rm -f a; ls`,
			"mkdir: mkdir a: file exists\n1\n700\nrm: rm a: is a directory\n",
		},
		{
			`echo x > f; chmod 4751 f; ls -l f | cut -c1-10; chmod u=rw,go-rwx f; stat -c '%a %A %s %n' f; chmod +x f; stat -c %a f; mkdir d; chmod -R a+rX .; stat -c %a d`,
			"-rwsr-x--x\n600 -rw------- 2 f\n711\n755\n",
		},
		{
			`echo x > f; ln f g; ln -s f l; stat -c %h f; readlink l; stat -c '%N %F' l; readlink -f l | sed 's/.*\///'; ln -s x l; echo $?; ln -sf g l; readlink l`,
			"2\nf\n'l' -> 'f' symbolic link\nf\nln: symlink x l: file exists\n1\ng\n",
		},
		{
			`touch -d @86400 f; stat -c '%Y %y' f; touch -d 2000-01-01T00:00:00Z f; stat -c %Y f; touch -c g; ls`,
			"86400 1970-01-02 00:00:00.000000000 +0000\n946684800\nf\n",
		},
		{
			`mkdir d e; echo 1 > d/f; ln -s f d/l; touch -d @5 d/f; cp d x; cp -r d x; cp -a d e; stat -c '%F %Y' e/d/f; readlink x/l e/d/l; mv x y; cp d/f y/l e; ls e y`,
			"cp: cp d: is a directory\nregular file 5\nreadlink: usage: want one path, got 2\ne:\nd\nf\nl\ny:\nf\nl\n",
		},
		{
			`mkdir .h d; touch .a d/b 'c d'; ls; ls -A; ls -d d; ls -F; ls -R; ls nope; echo $?`,
			"c d\nd\n.a\n.h\nc d\nd\nd\nc d\nd/\n.:\nc d\nd\n\n./d:\nb\nls: lstat nope: no such file or directory\n1\n",
		},
		{
			`mkdir -p a/b; touch a/x a/b/y; echo > a/b/z; find a | sort; find a -name '[xy]' -type f; find a -maxdepth 1 -type d; find a ! -empty -type f; find a -perm 755 -name b -print0 | tr '\000' +; find a -name y -delete; ls a/b`,
			"a\na/b\na/b/y\na/b/z\na/x\na/b/y\na/x\na\na/b\na/b/z\na/b+z\n",
		},
		{`mkfifo p; mknod q p -m 600; ls -l p q | cut -c1-10`, "prw-r--r--\nprw-------\n"},
		{
			`mkdir d; echo x > d/f; ln d/f d/g; ln -s f d/l; touch -d @9 d/f; tar czf t.tgz d; tar tf t.tgz; mkdir o; tar -xf t.tgz -C o; stat -c '%F %Y' o/d/f; cat o/d/g; readlink o/d/l; tar cC d f | tar xO; echo $?`,
			"d/\nd/f\nd/g\nd/l\nregular file 9\nx\nf\ntar: usage: unknown option -xO\n2\n",
		},
	})
}

func TestIdentity(t *testing.T) {
	b := newBox(t)
	check(t, b, [][2]string{
		{`[ "$(id -u):$(id -g)" = "$(stat -c %u:%g .)" ] && echo same; id | grep -c '^uid=[0-9]*(.*) gid='; uname -s; uname -sm | wc -w`, "same\n1\nLinux\n2\n"},
		{`A=2 env -u A sh -c "echo [\$A]"; env -i PATH=$PATH A=1 sh -c env | grep -c HOME; [ "$(hostname)" = "$(uname -n)" ] && echo host`, "[]\n0\nhost\n"},
		{`ps | head -1; ps | grep -c "^$$ "`, "PID PPID USER STAT COMMAND\n1\n"},
	})
	if os.Getuid() != 0 {
		return
	}
	check(t, b, [][2]string{
		{
			`touch f; ln -s f l; chown 12:34 f; stat -c %u:%g f; chown -h 5 l; stat -c %u:%g l f; chown :7 f; stat -c %u:%g f; chown nosuchuser f; echo $?`,
			"12:34\n5:0\n12:34\n12:7\nchown: nosuchuser is not in /etc/passwd\n1\n",
		},
		{`chown root:root . ; chown root: .; stat -c %U:%G .`, "root:root\n"},
	})
}

func TestWget(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Host, r.URL) })
	mux.Handle("/moved", http.RedirectHandler("/file", http.StatusFound))
	s := httptest.NewServer(mux)
	defer s.Close()
	b := newBox(t)
	host := strings.TrimPrefix(s.URL, "http://")
	if got, want := b.run(t, "wget -q -O - "+s.URL+"/moved; wget "+s.URL+"/file; cat file"), strings.Repeat(host+" /file", 2); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := b.run(t, "wget "+s.URL+"/none"); !strings.Contains(got, "404") || !strings.HasSuffix(got, "[1]") {
		t.Errorf("got %q for what is not there", got)
	}
	if got, want := b.run(t, "wget -O- http://example.invalid/file", "http_proxy="+s.URL), "example.invalid http://example.invalid/file"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The program says what it can do, runs any of it by name, and installs it where some of it already is.
func TestCommands(t *testing.T) {
	b := newBox(t)
	toybox := filepath.Join(b.bin, "toybox")
	if got, want := b.run(t, toybox+" --list"), strings.Join(names(), "\n")+"\n"; got != want {
		t.Errorf("got the commands %q, want %q", got, want)
	}
	if got, want := b.run(t, toybox+" --install "+b.bin+" && "+toybox+" echo hi"), "hi\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := b.run(t, toybox+" nosuch"); !strings.HasSuffix(got, "[127]") {
		t.Errorf("got %q of a command that is not there", got)
	}
}
