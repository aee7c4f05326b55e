package attest

import (
	"time"

	"github.com/seed-298d225e/builder/solver"
)

// BuildType says what the parameters of a build mean; it is where that is explained.
const BuildType = "https://github.com/seed-298d225e/builder/blob/main/docs/SUPPLY-CHAIN.md#build-type"

// BuilderID is who has built if nobody says so.
const BuilderID = "https://github.com/seed-298d225e/builder"

// Mode is how much a provenance tells.
type Mode string

const (
	// Min tells what the image was made of, and by whom. It has nothing that was given to the build as a value.
	Min Mode = "min"
	// Max tells the Dockerfile, the steps and what was given to the build as well; of secrets the names.
	Max Mode = "max"
)

// Build is what there is to tell of a build.
type Build struct {
	// BuilderID identifies who has built.
	BuilderID string
	// Version is that of the program.
	Version string
	// Config is where the Dockerfile came from.
	Config ConfigSource
	// Target is the stage that was asked for, Args and Labels what was given to the build.
	Target       string
	Args, Labels map[string]string
	// Secrets and SSH are names, Contexts the directories of this machine that were read.
	Secrets, SSH, Contexts []string
	// BuilderPlatform is that of the machine, TargetPlatform that of the image.
	BuilderPlatform, TargetPlatform string
	// Materials are what was fetched.
	Materials []Material
	// Source and Revision say which commit of which repository the context is, as far as that is known.
	Source, Revision string
	// Steps are the vertices of the graph, LayerOf the diff IDs of the layers that they gave, by step.
	Steps   []solver.Definition
	LayerOf map[string]string
	// Filename and Dockerfile are the text that was built.
	Filename   string
	Dockerfile []byte
	// Started and Finished are nil if the provenance is to be the same every time; then there is no ID.
	Started, Finished *time.Time
	ID                string
	// Reproducible: somebody vouches for that. Hermetic: no command could reach a network.
	Reproducible, Hermetic bool
}

// ConfigSource is where the Dockerfile came from: an address with a digest, if it was remote.
type ConfigSource struct {
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
	Path   string            `json:"path,omitempty"`
}

// Material is something that was fetched, with what it was.
type Material struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

// predicate is a SLSA provenance predicate.
type predicate struct {
	Definition definition `json:"buildDefinition"`
	Run        run        `json:"runDetails"`
}

type definition struct {
	BuildType string     `json:"buildType"`
	External  external   `json:"externalParameters"`
	Internal  internal   `json:"internalParameters"`
	Materials []Material `json:"resolvedDependencies"`
}

type external struct {
	Config  ConfigSource `json:"configSource"`
	Request request      `json:"request"`
}

type request struct {
	Frontend string            `json:"frontend"`
	Args     map[string]string `json:"args,omitempty"`
	Secrets  []identified      `json:"secrets,omitempty"`
	SSH      []identified      `json:"ssh,omitempty"`
	Locals   []named           `json:"locals,omitempty"`
}

type identified struct {
	ID string `json:"id"`
}

type named struct {
	Name string `json:"name"`
}

type internal struct {
	Config          *config `json:"buildConfig,omitempty"`
	BuilderPlatform string  `json:"builderPlatform"`
	TargetPlatform  string  `json:"targetPlatform,omitempty"`
}

type config struct {
	Steps  []solver.Definition `json:"steps"`
	Layers map[string]string   `json:"layers,omitempty"`
}

type run struct {
	Builder  builder  `json:"builder"`
	Metadata metadata `json:"metadata"`
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

type metadata struct {
	ID           string       `json:"invocationId,omitempty"`
	Started      *time.Time   `json:"startedOn,omitempty"`
	Finished     *time.Time   `json:"finishedOn,omitempty"`
	BuildKit     more         `json:"buildkit_metadata"`
	Hermetic     bool         `json:"buildkit_hermetic,omitempty"`
	Completeness completeness `json:"buildkit_completeness"`
	Reproducible bool         `json:"buildkit_reproducible,omitempty"`
}

type completeness struct {
	Request   bool `json:"request"`
	Materials bool `json:"resolvedDependencies"`
}

type more struct {
	VCS    map[string]string `json:"vcs,omitempty"`
	Source *source           `json:"source,omitempty"`
}

type source struct {
	Infos []sourceInfo `json:"infos"`
}

type sourceInfo struct {
	Filename string `json:"filename"`
	Language string `json:"language"`
	Data     []byte `json:"data"`
}
