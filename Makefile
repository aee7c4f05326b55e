# What can be done with this source. CONTRIBUTING.md says when to use what.

GO        ?= go
FUZZTIME  ?= 30s
TEST      ?= $(GO) test
# Where the conformance suite is: a directory with run.sh and data.tar.zst.
CONFORMANCE ?= ../shared/conformance
LINT = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help build demo test check unit toybox e2e fuzz conformance bench bench-micro environments clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

build: ## make bin/builder, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/builder ./cmd/builder

demo: ## build an image for two platforms, push it to a registry of its own, run both
	$(GO) run ./examples/demo

test: ## install what the tests need, then run all of them
	.ci/install
	$(MAKE) unit toybox e2e

unit: ## run the tests of the packages and the scripts that drive the binary, with the race detector
	CGO_ENABLED=1 $(TEST) -race -count=1 ./...

toybox: ## test the commands of the images that the tests build on
	cd testdata/toybox && $(GO) vet . && $(TEST) -count=1 .

e2e: ## build on real Debian file systems for two platforms, against a real registry
	BUILDER_TEST_BUILDERS=8 BUILDER_TEST_DAGS=20 BUILDER_TEST_EDITS=15 \
		$(TEST) -tags e2e -count=1 -timeout 40m -skip '^TestScript$$' ./e2e ./e2e/push ./cache

check: ## formatting, vet, lint, go.mod: before every push
	$(GO) vet ./... && $(GO) vet -tags e2e ./e2e ./e2e/push ./cache
	$(LINT) run --allow-parallel-runners ./...
	$(GO) mod tidy -diff
	cd testdata/toybox && $(GO) vet . && $(GO) test . && $(GO) mod tidy -diff
	cd testdata/ociregistry && $(GO) vet . && $(GO) mod tidy -diff

fuzz: ## run every fuzz target for FUZZTIME (30s)
	.ci/fuzz $(FUZZTIME)

conformance: build ## compare what is built with BuildKit's results: CONFORMANCE=DIRECTORY names the suite
	.ci/conformance $(CONFORMANCE) $(CURDIR)/bin/builder

bench: build ## compare the speed of whole commands with other builders
	$(GO) run ./bench -builder bin/builder -out docs/SPEED

bench-micro: ## measure the inner loops, in the format of benchstat
	$(GO) test -run '^$$' -bench . -benchmem -count=6 ./...

environments: ## run builder where it may run, from laptops to locked-down pods, and print a table: as root
	bench/environments/run.sh $(ENVIRONMENTS)

clean: ## remove what make has made
	rm -rf bin
