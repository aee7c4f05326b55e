package frontend_test

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seed-298d225e/builder/frontend"
)

// lowerText lowers a Dockerfile for linux/amd64 with everything else left out.
func lowerText(t *testing.T, dockerfile string) (*frontend.Image, error) {
	t.Helper()
	return frontend.Lower(t.Context(), requestFor(dockerfile), &fakeResolver{})
}

func requestFor(dockerfile string) frontend.Request {
	p := v1.Platform{OS: "linux", Architecture: "amd64"}
	return frontend.Request{
		Dockerfile: []byte(dockerfile), Platform: p, BuildPlatform: p, PlatformImplicit: true, Context: localContext("context"),
	}
}

// Every mistake is told with the line it is in. The words are docker build's where it has some.
func TestErrors(t *testing.T) {
	const from = "FROM alpine\n"
	for _, tt := range []struct {
		name, dockerfile, want string
	}{
		{"empty", "", "Dockerfile: the Dockerfile cannot be empty"},
		{"blank", "\n\n", "Dockerfile:2: file with no instructions"},
		{"comment only", "# x\n", "Dockerfile:1: file with no instructions"},
		{"no stage", "ARG A=1\n", "Dockerfile: dockerfile contains no stages to build"},
		{"instruction before FROM", "RUN x\nFROM alpine\n", "Dockerfile:1: no build stage in current context"},
		{"unknown instruction", "ARG A\n\nFORM alpine\n", "Dockerfile:3: unknown instruction: FORM (did you mean FROM?)"},
		{"transposed", from + "RNU true\n", "Dockerfile:2: unknown instruction: RNU (did you mean RUN?)"},
		{"transposed, small", from + "rnu true\n", "Dockerfile:2: unknown instruction: rnu (did you mean run?)"},
		{"nonsense", from + "\x1b]0;title\x07\n", `Dockerfile:2: unknown instruction: \x1b]0;title\a`},
		{"unknown flag", from + "COPY --form=x a b\n", "Dockerfile:2: dockerfile parse error: unknown flag: --form (did you mean from?)"},
		{"flag without value", from + "COPY --chown a b\n", "Dockerfile:2: dockerfile parse error: missing a value on flag: --chown"},
		{"duplicate flag", from + "COPY --link --link a b\n", "Dockerfile:2: dockerfile parse error: duplicate flag specified: --link"},
		{"one argument", from + "COPY a\n", "COPY requires at least two arguments, but only one was provided"},
		{"heredoc as destination", from + "COPY a <<EOF\nEOF\n", "Dockerfile:2: dockerfile parse error: COPY cannot accept a heredoc as a destination"},
		{"unterminated heredoc", from + "RUN <<EOF\nx\n", "Dockerfile:2: unterminated heredoc"},
		{"env without value", from + "ENV A\n", "Dockerfile:2: ENV must have two arguments"},
		{"env syntax", from + "ENV a=b c\n", `Dockerfile:2: Syntax error - can't find = in "c"`},
		{"escape directive", "# escape=x\nFROM alpine\n", "invalid escape token 'x' does not match ` or \\"},
		{"repeated directive", "# escape=`\n# escape=`\nFROM alpine\n", "only one escape parser directive can be used"},
		{"foreign syntax", "# syntax=tonistiigi/dockerfile:x\nFROM alpine\n", `Dockerfile:1: frontend image "tonistiigi/dockerfile:x" is not supported`},
		{"foreign syntax in JSON", `{"syntax": "other"}`, `frontend image "other" is not supported`},
		{"check directive", "# check=nonsense\nFROM alpine\n", `Dockerfile:1: failed to parse check options: invalid check option "nonsense"`},
		{"lint", "# check=error=true\nFROM alpine as x\nCMD a\n", "Dockerfile: lint violation found for rules: FromAsCasing, JSONArgsRecommended"},
		{"NUL", "FROM alpine\nRUN a\x00b\n", "Dockerfile:2: failed to parse a NUL byte: a Dockerfile must be UTF-8 text"},

		{"stage name", "FROM alpine AS 1x\n", `Dockerfile:1: dockerfile parse error: invalid name for build stage: "1x"`},
		{"FROM arguments", "FROM a b\n", "FROM requires either one or three arguments"},
		{"blank base", "FROM $NOPE\n", "Dockerfile:1: base name ($NOPE) should not be blank"},
		{"invalid base", "FROM alpine\nFROM Alpine\n", `Dockerfile:2: failed to parse stage name "Alpine": invalid reference format`},
		{"base expansion", "ARG A\nFROM ${A:?missing}\n", "Dockerfile:2: failed to process \"${A:?missing}\": A: missing"},
		{"default of ARG", "ARG A=${B?no}\nFROM alpine\n", `Dockerfile:1: failed to process "${B?no}": B: no`},
		{"blank platform", "FROM --platform=$BUILDPLATFROM alpine\n", "Dockerfile:1: empty platform value from expression $BUILDPLATFROM (did you mean BUILDPLATFORM?)"},
		{"invalid platform", "FROM --platform=a/b/c/d alpine\n", "Dockerfile:1: failed to parse platform a/b/c/d: invalid platform"},
		{"missing image", "FROM alpine\nFROM missing/x\n", "Dockerfile:2: resolving missing/x: not found"},
		{"similar stage", "FROM alpine AS missin\nFROM missing\n", "Dockerfile:2: resolving missing: not found (did you mean missin?)"},
		{"copy from missing image", from + "RUN x\nCOPY --from=missing a /\n", "Dockerfile:3: resolving missing: not found"},

		{"cycle", "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nCOPY --from=a / /\n", "Dockerfile:4: circular dependency detected on stage: a"},
		{"copy from itself", "FROM alpine AS a\nCOPY --from=a / /\n", "Dockerfile:2: circular dependency detected on stage: a"},
		{"mount from itself", "FROM alpine AS a\nRUN --mount=from=a,target=/x y\n", "Dockerfile:2: circular dependency detected on stage: a"},
		{"copy from later", "FROM alpine AS a\nCOPY --from=b / /\nFROM a AS b\n", `Dockerfile:2: cannot copy from stage "b", it needs to be defined before current stage "a"`},
		{"mount from later", "FROM alpine AS a\nRUN --mount=from=b,target=/x y\nFROM a AS b\n", `cannot mount from stage "b" to "/x", stage needs to be defined before current command`},
		{"stage number", from + "COPY --from=7 / /\n", "Dockerfile:2: invalid stage index 7"},
		{"from variable", from + "COPY --from=$NOPE / /\n", "Dockerfile:2: variable expansion is not supported for --from, define a new stage with FROM"},
		{"from variable of the image", "ARG P=x\n" + from + "ARG P=$PATH\nCOPY --from=$P / /\n", "Dockerfile:4: variable expansion is not supported for --from"},
		{"from nothing", "ARG E=\n" + from + "COPY --from=$E / /\n", "Dockerfile:3: --from=$E should not be blank"},
		{"mount from variable", from + "RUN --mount=from=$A,target=/x y\n", "'from' doesn't support variable expansion, define alias stage instead"},

		{"mount type", from + "RUN --mount=type=bnid,target=/x y\n", `unsupported mount type "bnid" (did you mean bind?)`},
		{"mount option", from + "RUN --mount=type=bind,bind-propagation=shared,target=/x y\n", "unexpected key 'bind-propagation' in 'bind-propagation=shared'"},
		{"mount on root", from + "RUN --mount=type=cache,target=/ y\n", `Dockerfile:2: invalid mount target "/"`},
		{"mount on working directory", from + "RUN --mount=target=. y\n", `invalid mount target "/"`},
		{"mount sharing", from + "RUN --mount=type=cache,target=/x,sharing=no y\n", `unsupported sharing value "no"`},
		{"mode of bind", from + "RUN --mount=type=bind,target=/x,mode=0777 y\n", `mode not allowed for "bind" type mounts`},
		{"secret from", from + "RUN --mount=type=secret,id=a,from=b y\n", "secret mount should not have a from"},
		{"secret without name", from + "RUN --mount=type=secret y\n", "invalid secret mount. one of source, target required"},
		{"secret without variable", from + "RUN --mount=type=secret,id=a,env= y\n", "Dockerfile:2: secret a has an env without a name"},
		{"tmpfs source", from + "RUN --mount=type=tmpfs,target=/t,source=/x y\n", "tmpfs does not support source"},
		{"ssh source", from + "RUN --mount=type=ssh,source=/x y\n", "ssh does not support source"},
		{"network", from + "RUN --network=bridge y\n", `Dockerfile:2: dockerfile parse error: invalid network mode "bridge"`},
		{"host network", from + "RUN --network=host y\n", "Dockerfile:2: RUN --network=host is not allowed: it needs --allow network.host"},
		{"security", from + "RUN --security=none y\n", `security "none" is not valid`},
		{"insecure", from + "RUN --security=insecure y\n", "Dockerfile:2: RUN --security=insecure is not allowed: it needs --allow security.insecure"},
		{"device", from + "RUN --device=vendor.com/x=y z\n", "Dockerfile:2: RUN --device is not supported"},

		{"chmod", from + "COPY --chmod=999 a b\n", "Dockerfile:2: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777"},
		{"large chmod", from + "COPY --chmod=10000 a b\n", "invalid chmod parameter: '10000'"},
		{"symbolic chmod", from + "COPY --chmod=u~x a b\n", "Dockerfile:2: "},
		{"link with name", from + "COPY --link --chown=me a b\n", "--chown=me: user and group names can't be resolved when used with --link"},
		{"COPY of URL", from + "COPY https://example.com/a b\n", "Dockerfile:2: source can't be a URL for COPY"},
		{"COPY of git", from + "COPY https://example.com/a.git b\n", "Dockerfile:2: source can't be a git ref for COPY"},
		{"checksum of file", from + "ADD --checksum=sha256:00 a b\n", "Dockerfile:2: checksum requires HTTP(S) or Git sources"},
		{"checksum of several", from + "ADD --checksum=sha256:00 http://a/ http://b/ c/\n", "checksum can't be specified for multiple sources"},
		{"invalid checksum", from + "ADD --checksum=sha256:00 http://a/ c/\n", `invalid checksum "sha256:00"`},
		{"git query", from + "ADD https://example.com/a.git?x=1 b\n", `Dockerfile:2: unexpected query "x"`},
		{"git ref", from + "ADD https://example.com/a.git#--upload-pack=x b\n", `Dockerfile:2: invalid git ref "--upload-pack=x"`},
		{"git checksum", from + "ADD --checksum=00 https://example.com/a.git?checksum=11 b\n", `checksum mismatch "00" != "11"`},
		{"wrong git checksum", from + "ADD --checksum=0123456 https://example.com/a.git b\n", "Dockerfile:2: resolving https://example.com/a.git: expected checksum to match 0123456, got"},
		{"git keep dir", from + "ADD --keep-git-dir=false https://example.com/a.git?keep-git-dir=1 b\n", "inconsistent keep-git-dir configuration"},
		{"missing repository", from + "ADD https://me:secret@example.com/missing.git b\n", "Dockerfile:2: resolving https://me:xxxxx@example.com/missing.git: not found"},

		{"expose protocol", from + "EXPOSE 80/icmp\n", `Dockerfile:2: invalid port: "80/icmp": invalid proto: icmp`},
		{"expose number", from + "EXPOSE x\n", "Dockerfile:2: invalid containerPort: x"},
		{"expose large", from + "EXPOSE 65536\n", "invalid containerPort: 65536: value out of range"},
		{"expose range", from + "EXPOSE 9-8\n", "invalid port range"},
		{"expose address", from + "EXPOSE 1.2.3:80:80\n", "invalid IP address: 1.2.3"},
		{"expose host", from + "EXPOSE y:80\n", "invalid hostPort: y"},
		{"expose host range", from + "EXPOSE 80-81:90-92\n", "invalid ranges specified for container and host ports"},
		{"stop signal", from + "STOPSIGNAL SIGNOPE\n", "Dockerfile:2: invalid signal: SIGNOPE"},
		{"stop signal zero", from + "STOPSIGNAL 0\n", "invalid signal: 0"},
		{"empty volume", from + "ARG V\nVOLUME \"$V\"\n", "Dockerfile:3: VOLUME specified can not be an empty string"},
		{"healthcheck", from + "HEALTHCHECK FOO\n", `Unknown type "FOO" in HEALTHCHECK (try CMD)`},
		{"healthcheck interval", from + "HEALTHCHECK --interval=1us CMD x\n", "cannot be less than 1ms"},
		{"shell not JSON", from + "SHELL bash\n", "SHELL requires the arguments to be in JSON form"},
		{"env expansion", from + "ENV A=${B:?unset}\n", `Dockerfile:2: failed to process "${B:?unset}": B: unset`},
		{"bad substitution", from + "ENV A=${}\n", "syntax error: bad substitution"},
		{"modifier", from + "ENV A=${B^x}\n", "unsupported modifier"},
		{"onbuild onbuild", from + "ONBUILD ONBUILD RUN x\n", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
		{"onbuild from", from + "ONBUILD FROM x\n", "FROM isn't allowed as an ONBUILD trigger"},
		{"trigger fails", "FROM alpine AS a\nONBUILD COPY --chmod=9 a b\nFROM a\n", "Dockerfile:3: invalid chmod parameter: '9'"},
		{"trigger is nonsense", "FROM alpine AS a\nONBUILD NOPE\nFROM a\n", "Dockerfile:3: unknown instruction: NOPE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lowerText(t, tt.dockerfile)
			if err == nil {
				t.Fatalf("no error, want %s", tt.want)
			}
			if !strings.HasPrefix(err.Error(), tt.want) && (strings.HasPrefix(tt.want, "Dockerfile") || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q is not one line of text", err)
			}
			if _, ok := errors.AsType[*frontend.Error](err); !ok {
				t.Errorf("%T is not an Error", err)
			}
		})
	}
}

// Errors that depend on more than the Dockerfile.
func TestRequestErrors(t *testing.T) {
	for _, tt := range []struct {
		name, dockerfile string
		change           func(*frontend.Request)
		want             string
	}{
		{
			"target", "FROM alpine AS build\n",
			func(r *frontend.Request) { r.Target = "biuld" },
			`Dockerfile: target stage "biuld" could not be found (did you mean build?)`,
		},
		{
			"file name", "NOPE",
			func(r *frontend.Request) { r.Filename = "sub/app.Dockerfile" },
			"sub/app.Dockerfile:1: unknown instruction: NOPE",
		},
		{
			"syntax argument", "FROM alpine",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"BUILDKIT_SYNTAX": "evil/frontend x y"} },
			`Dockerfile: BUILDKIT_SYNTAX=evil/frontend: frontend image "evil/frontend" is not supported`,
		},
		{
			"check argument", "FROM alpine",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"BUILDKIT_DOCKERFILE_CHECK": "error=x"} },
			"Dockerfile: failed to parse BUILDKIT_DOCKERFILE_CHECK",
		},
		{
			"RUN on windows", "FROM alpine\nRUN x\n",
			func(r *frontend.Request) { r.Platform.OS = "windows" },
			"Dockerfile:2: RUN needs a builder on Windows",
		},
		{
			"drive", "FROM scratch\nCOPY a D:/\n",
			func(r *frontend.Request) { r.Platform.OS, r.PlatformImplicit = "windows", false },
			"Dockerfile:2: the specified path is not on the system drive (C:)",
		},
		{
			"drive alone", "FROM scratch\nCOPY a C:\n",
			func(r *frontend.Request) { r.Platform.OS, r.PlatformImplicit = "windows", false },
			`Dockerfile:2: no relative path specified in "C:"`,
		},
		{
			"UNC path", "FROM scratch\nWORKDIR //server/x\n",
			func(r *frontend.Request) { r.Platform.OS, r.PlatformImplicit = "windows", false },
			"Dockerfile:2: UNC paths are not supported",
		},
		{
			"missing context", "FROM files\n",
			func(r *frontend.Request) { r.Contexts = []string{"files"} },
			"Dockerfile:1: resolving files: not found",
		},
		{
			"epoch", "FROM scratch\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "yesterday"} },
			"Dockerfile: invalid SOURCE_DATE_EPOCH: yesterday",
		},
		{
			"epoch stage with base", "FROM alpine AS src\nADD https://example.com/x /\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"} },
			"Dockerfile:1: SOURCE_DATE_EPOCH stage must use FROM scratch",
		},
		{
			"epoch stage with more", "FROM scratch AS src\nADD https://example.com/x /\nCOPY a /\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"} },
			"Dockerfile:1: SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported COPY instruction",
		},
		{
			"epoch stage with two", "FROM scratch AS src\nADD https://example.com/x /\nADD https://example.com/x /\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"} },
			"Dockerfile:1: SOURCE_DATE_EPOCH stage must contain exactly one remote ADD",
		},
		{
			"epoch stage with file", "FROM scratch AS src\nADD x /\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"} },
			"Dockerfile:1: SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD",
		},
		{
			"epoch stage empty", "FROM scratch AS src\n",
			func(r *frontend.Request) { r.BuildArgs = map[string]string{"SOURCE_DATE_EPOCH": "src"} },
			"Dockerfile:1: SOURCE_DATE_EPOCH stage must contain exactly one remote ADD",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := requestFor(tt.dockerfile)
			tt.change(&req)
			_, err := frontend.Lower(t.Context(), req, &fakeResolver{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// What could not be resolved can be told from what is written wrong.
func TestNameError(t *testing.T) {
	_, err := lowerText(t, "FROM missing/image\n")
	if e, ok := errors.AsType[*frontend.NameError](err); !ok || e.Name != "missing/image" || !errors.Is(err, errMissing) {
		t.Errorf("got %#v", err)
	}
	_, err = lowerText(t, "FROM UPPER\n")
	if _, ok := errors.AsType[*frontend.NameError](err); ok || err == nil {
		t.Errorf("got %#v", err)
	}
}

func TestExcerpt(t *testing.T) {
	source := "one\ntwo\nthree\nfour\x1b[1m\n" + strings.Repeat("x", 300) + "\nsix"
	for _, tt := range []struct {
		start, end int
		want       string
	}{
		{1, 1, "f:1\n--------------------\n   1 | >>> one\n   2 |     two\n   3 |     three\n--------------------\n"},
		{3, 4, "f:3\n--------------------\n   2 |     two\n   3 | >>> three\n   4 | >>> four\\x1b[1m\n   5 |     " +
			strings.Repeat("x", 200) + "…\n--------------------\n"},
		{6, 9, "f:6\n--------------------\n   5 |     " + strings.Repeat("x", 200) + "…\n   6 | >>> six\n--------------------\n"},
		{0, 0, ""},
		{7, 7, ""},
	} {
		got := frontend.Excerpt([]byte(source), solverLocation("f", tt.start, tt.end))
		if got != tt.want {
			t.Errorf("%d-%d:\ngot\n%s\nwant\n%s", tt.start, tt.end, got, tt.want)
		}
	}
}
