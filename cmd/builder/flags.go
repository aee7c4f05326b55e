//go:build linux

package main

import "github.com/spf13/pflag"

// buildFlags are the flags of build as they stand on the command line. They are spelled as those of
// docker buildx build.
type buildFlags struct {
	registryFlags
	createRepo                                     bool
	preset                                         string
	file, target, iidFile, metadataFile            string
	network, cgroupParent, shmSize, progress, call string
	trace                                          string
	load                                           string
	tags, platforms, buildArgs, labels, contexts   []string
	outputs, secrets, ssh, addHosts, ulimits       []string
	maxStorage                                     string
	noCacheFilter, allow, annotations              []string
	cacheFrom, cacheTo                             []string
	noCache, pull, push, noPush, quiet             bool
	squash, reproducible                           bool
	check, debug                                   bool

	root, sandbox, snapshotter string
	jobs                       int
	resources                  resourceFlags
	supply                     supplyFlags
}

func (f *buildFlags) add(s *pflag.FlagSet) {
	f.addDockerfile(s)
	f.addSteps(s)
	f.addOutput(s)
	f.addMachine(s)
}

// addDockerfile adds what decides about the meaning of the Dockerfile.
func (f *buildFlags) addDockerfile(s *pflag.FlagSet) {
	s.StringVarP(&f.file, "file", "f", "", "name of the Dockerfile (default: Dockerfile in the context); - reads it from standard input")
	s.StringVar(&f.target, "target", "", "stage to build")
	s.StringArrayVar(&f.platforms, "platform", nil, "platform to build for, such as linux/arm64; several, separated by commas, make an index")
	s.StringArrayVar(&f.buildArgs, "build-arg", nil, "set a variable for the build, NAME=VALUE, or NAME to take it from the environment")
	s.StringArrayVar(&f.labels, "label", nil, "set metadata of the image, NAME=VALUE")
	s.StringArrayVar(&f.contexts, "build-context", nil, "additional context, NAME=DIRECTORY, docker-image://REF, oci-layout://DIR, target:STAGE or a URL")
	s.StringVar(&f.call, "call", "build", "what to do: build, check, outline or targets; format=json after a comma")
	s.BoolVar(&f.check, "check", false, "only check the Dockerfile (--call=check)")
}

// addSteps adds what decides about how steps run.
func (f *buildFlags) addSteps(s *pflag.FlagSet) {
	s.BoolVar(&f.noCache, "no-cache", false, "run all steps even if their results are cached")
	s.StringArrayVar(&f.noCacheFilter, "no-cache-filter", nil, "run all steps of these stages even if their results are cached")
	s.StringArrayVar(&f.cacheFrom, "cache-from", nil, "shared cache to read: REPOSITORY[:PREFIX] or type=registry|local|s3|gha,...; see docs/CACHE.md")
	s.StringArrayVar(&f.cacheTo, "cache-to", nil, "shared cache to write: like --cache-from, or type=inline; mode=max shares all steps")
	s.BoolVar(&f.pull, "pull", false, "ask the registry again what names of images stand for (always done; accepted for compatibility)")
	s.StringArrayVar(&f.secrets, "secret", nil, "secret for the build: id=NAME[,src=FILE|,env=VARIABLE]")
	s.StringArrayVar(&f.ssh, "ssh", nil, "SSH agent or keys for the build: default, ID=SOCKET or ID=KEY[,KEY]...")
	s.StringVar(&f.network, "network", "default", "what commands can reach: default, none or host")
	s.StringArrayVar(&f.addHosts, "add-host", nil, "add a line to /etc/hosts of commands, HOST:IP")
	s.StringArrayVar(&f.allow, "allow", nil, "permit something to the build: network.host, security.insecure, secret-in-layer")
	s.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm of commands, such as 128m")
	s.StringArrayVar(&f.ulimits, "ulimit", nil, "resource limit of commands, NAME=SOFT[:HARD]")
	f.resources.add(s)
	s.StringVar(&f.cgroupParent, "cgroup-parent", "", "cgroup below which the commands' are made")
}

// addOutput adds what decides about what happens to the result.
func (f *buildFlags) addOutput(s *pflag.FlagSet) {
	s.StringArrayVarP(&f.tags, "tag", "t", nil, "name of the image, and where it is pushed to")
	s.BoolVar(&f.push, "push", false, "push the image, also if --output or --load is given")
	s.StringVar(&f.preset, "for", "", "make the image what a service takes: lambda, ecs, fargate, cloudrun, kubernetes or docker")
	s.BoolVar(&f.createRepo, "create-repo", false, "create missing repositories, in Amazon's registry")
	s.BoolVar(&f.noPush, "no-push", false, "do not push the image")
	s.StringArrayVarP(&f.outputs, "output", "o", nil, "where to put the result: type=registry|image|oci|docker|local|tar|cacheonly[,dest=PATH]...")
	s.StringVar(&f.load, "load", "", "load the image into docker, podman, nerdctl or containerd: into the first that runs, or =NAME")
	s.Lookup("load").NoOptDefVal = loadAny
	s.BoolVar(&f.reproducible, "reproducible", false, "make the same image wherever and whenever it is built: nothing is younger than SOURCE_DATE_EPOCH, which is the time of the context's commit, else 0, if it is not set")
	s.BoolVar(&f.squash, "squash", false, "make one layer of all that the Dockerfile adds to its base")
	s.StringArrayVar(&f.annotations, "annotation", nil, "add an annotation, [index:|manifest:|manifest[PLATFORM]:]NAME=VALUE")
	f.supply.add(s)
	s.StringVar(&f.iidFile, "iidfile", "", "write the image's ID to a file")
	s.StringVar(&f.metadataFile, "metadata-file", "", "write what was built to a file, as JSON")
	s.StringVar(&f.trace, "trace", "", "write what ran when to a file, as trace events (ui.perfetto.dev shows them)")
	s.StringVar(&f.progress, "progress", "auto", "how to show progress: auto, tty, plain, json or quiet")
	s.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but the image's ID")
	s.BoolVarP(&f.debug, "debug", "D", false, "tell more")
}

// addMachine adds what decides about how the machine is used.
func (f *buildFlags) addMachine(s *pflag.FlagSet) {
	addRoot(s, &f.root)
	addMaxStorage(s, &f.maxStorage)
	s.StringVar(&f.sandbox, "sandbox", "auto", "sandbox for commands: auto, userns, single, chroot or none")
	s.StringVar(&f.snapshotter, "snapshotter", "auto", "how trees are made for commands: auto, overlay (a mount) or plain (a copy)")
	s.IntVar(&f.jobs, "jobs", 0, "how many steps may run at once (default: four for each processor, at least eight)")
	f.registryFlags.add(s)
}
