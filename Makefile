# wavegate: everything that is done with this tree. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The version stamped into the binary: VERSION=1.2.3 make build, or what git knows.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 10s

# Tools, pinned; each runs through the Go command and is installed nowhere.
GOFUMPT      := go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK  := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCILINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The same flags make the same bytes wherever the tree lies (see `make release`).
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'
GOFILES = $$(git ls-files -co --exclude-standard -- '*.go')

##@ Use it

.PHONY: build
build: ## Build ./wavegate, one static binary; needs nothing but Go
	$(BUILD) -o wavegate .

.PHONY: run
run: build ## Build, then start the demo: a sample app behind access keys
	./wavegate --demo

##@ Check it

.PHONY: test
test: deps check rules unit ## Everything that must be green: gates, rules, tests under the race detector

.PHONY: check
check: ## The static gates alone: format, vet, fix, staticcheck, tidy
	@echo '== gofumpt';     out=$$($(GOFUMPT) -l $(GOFILES)); [[ -z $$out ]] || { echo "$$out"; echo 'make fmt mends these'; exit 1; }
	@echo '== go vet';      go vet ./... && go vet .ci/report.go
	@echo '== go fix';      out=$$(go fix -diff ./...) && [[ -z $$out ]] || { echo "$$out"; echo 'go fix ./... mends these'; exit 1; }
	@echo '== staticcheck'; $(STATICCHECK) ./... && $(STATICCHECK) .ci/report.go
	@echo '== go mod tidy'; go mod tidy -diff

.PHONY: rules
rules: ## The rules of this tree: import table, package comments, linked modules, links
	@echo '== rules'; go test -count=1 -run '^TestRules$$' .

.PHONY: unit
unit: ## Every test, shuffled, under the race detector; ends with one count of all
	@echo '== go test'; CGO_ENABLED=1 go test -json -vet=off -race -shuffle=on -timeout=19m ./... | go run .ci/report.go

.PHONY: lint
lint: ## golangci-lint, stricter than the gates and apart from them
	$(GOLANGCILINT) run ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each (default 10s)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## Measure whole processes and print the table of docs/performance.md
	WAVEGATE_BENCH=1 go test -count=1 -timeout=30m -v -run '^TestTable$$' ./server/bench

.PHONY: microbench
microbench: ## Run the Go benchmarks of all packages
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: screenshots
screenshots: ## Pictures of every page of the portal in dist/screenshots, phone and desktop, light and dark
	mkdir -p dist/screenshots
	WAVEGATE_SCREENSHOTS=$(CURDIR)/dist/screenshots go test -count=1 -timeout=30m -run '^TestSweepOfAllPages$$' ./server/portaltest

.PHONY: cover
cover: ## Coverage by package and in total; coverage.out is kept
	.ci/cover

##@ Change it

.PHONY: fmt
fmt: ## Format the Go files
	$(GOFUMPT) -w $(GOFILES)

.PHONY: deps
deps: ## Install what the tests need (Debian, as root), or say what is missing
	@.ci/deps

##@ Ship it

.PHONY: release
release: ## Binaries for three platforms in dist/, each built twice and compared, with SHA256SUMS
	VERSION=$(VERSION) .ci/release

.PHONY: clean
clean: ## Remove what these targets made
	rm -rf wavegate dist coverage.out

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
