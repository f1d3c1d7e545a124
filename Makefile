# Every command that developers and CI use. Tool versions are pinned here and nowhere else.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GO           ?= go
FUZZTIME     ?= 10s
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
IMAGE        ?= pgorigin:$(VERSION)
LDFLAGS       = -s -w -X main.version=$(VERSION)

.PHONY: help build test drivers lint fuzz demo check image install

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

build: ## a static bin/pgorigin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/pgorigin ./cmd/pgorigin

install: ## the Debian packages that tests and demo need, if they are missing
	@test/install

test: install ## all tests with the race detector, end to end over real servers included
	$(GO) test -race -shuffle=on -timeout=10m ./...

drivers: install ## real drivers against real servers; UPDATE=-update writes docs/compatibility.md
	$(GO) test -tags drivers -count=1 -timeout=14m ./test/drivers $(UPDATE)

lint: ## format, go vet, golangci-lint
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags drivers ./...
	$(GO) run $(GOLANGCI_LINT) run ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	@set -e; found=; \
	for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
	    found=yes; echo "--- $$target in $$(dirname "$$file")"; \
	    $(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$(dirname "$$file")"; \
	  done; \
	done; \
	test -n "$$found" || { echo "no fuzz target found"; exit 1; }

demo: install ## pgorigin between psql and a TLS-only pgbouncer; KEEP=1 leaves it running
	@$(GO) build -o bin/demo ./test/demo
	@bin/demo

check: lint test ## what a change must pass

image: ## a container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .
