//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/seed-298d225e/builder/snapshot"
)

// understood are the options that arguments mean.
func understood(t *testing.T, args ...string) (*buildOptions, error) {
	t.Helper()
	t.Setenv("BUILDER_ROOT", t.TempDir())
	cmd := newBuild()
	var f buildFlags
	cmd.ResetFlags()
	f.add(cmd.Flags())
	if err := cmd.ParseFlags(append(args, ".")); err != nil {
		t.Fatal(err)
	}
	return f.options(cmd.Flags().Args())
}

func TestPresets(t *testing.T) {
	for _, c := range []struct {
		args string
		// kind is how the first output compresses, empty if nothing is said; refused is why it is refused.
		kind    snapshot.CompressionKind
		docker  bool
		refused string
	}{
		{args: "--for lambda -t r.io/a --platform linux/arm64"},
		{args: "--for lambda -t r.io/a --platform linux/arm64,linux/amd64", refused: "AWS Lambda takes an image for one platform and no index"},
		{args: "--for lambda -t r.io/a --platform linux/s390x", refused: "AWS Lambda does not run linux/s390x, only linux/amd64 and linux/arm64"},
		{args: "--for lambda --platform linux/amd64 -o type=registry,name=r.io/a,compression=zstd", refused: "AWS Lambda is not known to take layers compressed with zstd"},
		{args: "--for lambda --platform linux/amd64 -t r.io/a --annotation index:a=b", refused: "AWS Lambda takes no index that could be annotated"},
		{args: "--for lambda --platform linux/amd64 -o type=registry,name=r.io/a,attest=index", refused: "AWS Lambda takes no index, which attest=index would make"},
		{args: "--for fargate -t r.io/a --platform linux/amd64,linux/arm64", kind: snapshot.Zstd},
		{args: "--for fargate --platform linux/amd64 -o type=registry,name=r.io/a,compression=gzip", kind: snapshot.Gzip},
		{args: "--for ecs -t r.io/a --platform linux/amd64"},
		{args: "--for cloudrun -t r.io/a --platform linux/amd64,linux/arm64"},
		{args: "--for cloudrun --platform linux/amd64 -o type=registry,name=r.io/a,compression=zstd", kind: snapshot.Zstd},
		{args: "--for cloudrun --platform linux/amd64 -o type=registry,name=r.io/a,compression=estargz", refused: "Cloud Run is not known to take layers compressed with estargz"},
		{args: "--for cloudrun -t r.io/a --platform linux/arm64", refused: "Cloud Run runs linux/amd64, and this is for linux/arm64"},
		{args: "--for kubernetes -t r.io/a --platform linux/s390x"},
		{args: "--for docker -t r.io/a --platform linux/amd64", docker: true},
		{args: "--for heroku -t r.io/a", refused: "it must be one of lambda, ecs, fargate, cloudrun, kubernetes, docker"},
	} {
		o, err := understood(t, strings.Fields(c.args)...)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: got %v, want %q", c.args, err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		var kind snapshot.CompressionKind
		if way := o.outputs[0].compression.way; way != nil {
			kind = way.Kind
		}
		if kind != c.kind || o.outputs[0].dockerTypes != c.docker {
			t.Errorf("%s: got %q, %t", c.args, kind, o.outputs[0].dockerTypes)
		}
	}
}

// Lambda takes 10 GB of files, however many layers they are in; Kubernetes does not count.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name    string
		layers  []int64
		refused string
	}{
		{"lambda", []int64{5 << 30, 5 << 30}, ""},
		{"lambda", []int64{5 << 30, 5 << 30, 1}, "AWS Lambda takes images of at most 10 GiB uncompressed, and the files of this one have 10.0: "},
		{"fargate", []int64{201 << 30}, "AWS Fargate takes images of at most 200 GiB uncompressed, and the files of this one have 201.0"},
		{"kubernetes", []int64{1 << 50}, ""},
	} {
		for _, p := range presets() {
			if p.name != c.name {
				continue
			}
			err := p.fits(c.layers)
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s %d: got %v, want %q", c.name, c.layers, err, c.refused)
			}
		}
	}
}

func TestOutputs(t *testing.T) {
	for _, c := range []struct{ args, refused string }{
		{"-o out", ""},
		{"-o -", ""},
		{"-o type=local,dest=out,mode=delete,platform-split=false,src=/bin", ""},
		{"-o type=oci,dest=out,tar=false,compression=zstd,compression-level=19,force-compression=true", ""},
		{"-o type=image,name=r.io/a,push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=false", ""},
		{"-o type=registry,name=r.io/a,rewrite-timestamp=true,source-date-epoch=12", ""},
		{"-o type=registry,name=r.io/a,registry.insecure=true", ""},
		{"-o type=docker,name=app", ""},
		{"-o type=local,dest=out,mode=mirror", "mode=mirror: it must be copy or delete"},
		{"-o type=local,dest=out,compression=gzip", "type=local has no compression"},
		{"-o type=registry,name=r.io/a,dest=x", "type=image has no dest"},
		{"-o type=registry,name=r.io/a,compression=lz4", `unknown compression "lz4"`},
		{"-o type=registry,name=r.io/a,compression=estargz,oci-mediatypes=false", "compression=estargz needs OCI media types"},
		{"-o type=registry,name=r.io/a,push-by-digest=maybe", "push-by-digest=maybe: it must be true or false"},
		{"-o type=registry,name=r.io/a,unpack=true", `unknown option "unpack"`},
		{"-o type=registry", "pushing needs a name"},
		{"-o type=oci", "it needs a dest"},
		{"-o - -o type=oci,dest=-", "only one output can go to standard output"},
		{"--load=rkt -t a", "--load=rkt: it must be one of auto, docker, podman, nerdctl, containerd"},
	} {
		_, err := understood(t, strings.Fields(c.args)...)
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: got %v, want %q", c.args, err, c.refused)
		}
	}
}

// A comma in a path is written as docker has it: the field is quoted as in CSV.
func TestCommas(t *testing.T) {
	for _, c := range []struct{ output, dest, refused string }{
		{`type=local,"dest=a,b"`, "a,b", ""},
		{`"dest=a,b",type=tar`, "a,b", ""},
		{`type=local,"dest=a""b"`, `a"b`, ""},
		{"a,b", "a,b", ""},
		{"type=local,dest=a,b", "", `"b" is not KEY=VALUE: a field with a comma in it is quoted as a whole, as in '"dest=a,b"'`},
		{`type=local,dest="a,b"`, "", `quotes go around a whole field, as in 'type=local,"dest=a,b"'`},
		{`type=local,"dest=a,b`, "", "quotes go around a whole field"},
	} {
		o, err := understood(t, "-o", c.output)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: got %v, want %q", c.output, err, c.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", c.output, err)
		case o.outputs[0].dest != c.dest:
			t.Errorf("%s: got %q, want %q", c.output, o.outputs[0].dest, c.dest)
		}
	}
}
