# Every command that developers and CI use. Tool versions are pinned here, and those for Kubernetes in test/admission.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT    = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GO           ?= go
# A release is compiled by exactly the Go that the image is compiled by.
RELEASE_GO    = go$(shell sed -nE 's/^ARG BUILD_IMAGE=.*golang:([0-9.]+)-.*/\1/p' Dockerfile)
# A number of runs: before Go 1.27, the end of a time may count as a finding (go.dev/issue/75804).
FUZZTIME     ?= 20000x
DURATION     ?= 30m
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION     ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# The time of the commit, so that two builds of one commit are the same, byte for byte.
CREATED      ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo unknown)
LDFLAGS       = -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION) -X main.date=$(CREATED)
# What the program is built for: "make platforms" vets them, and "make dist" releases them.
PLATFORMS     = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 freebsd/amd64 freebsd/arm64
BINARY       ?= bin/pgorigin
MAN          ?= bin/man
# docker, podman or buildah, and flags for its build command.
ENGINE       ?= docker
ENGINE_FLAGS ?=
IMAGE        ?= pgorigin:$(VERSION)
comma        := ,
IMAGE_ARGS    = --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED)

.PHONY: help build docs man test quick drivers unchanged faults hostile soak stall switchover burst suites stacks metrics browser pictures charts admission lint platforms house fuzz demo bench check image install image-test reproducible dist publish-image publish-charts

help: ## prints this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

build: ## builds bin/pgorigin, a static binary
	CGO_ENABLED=0 GOFLAGS= GOAMD64=v1 GOARM64=v8.0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o $(BINARY) ./cmd/pgorigin

docs: ## writes the generated pages of docs/reference
	$(GO) test -count=1 ./cmd/pgorigin ./cmd/pgorigin/internal/advice ./cmd/pgorigin/internal/config ./cmd/pgorigin/internal/stacks -run 'Page$$|^TestHelp' -update

man: ## writes the man pages to MAN (bin/man)
	mkdir -p $(MAN)
	SOURCE_DATE_EPOCH=$(shell git log -1 --format=%ct) $(GO) test -count=1 ./cmd/pgorigin -run '^TestManPages$$' -man=$(abspath $(MAN))

install: ## installs the Debian packages that tests and demo need
	@test/install

# The longest suite comes first. Everything else runs beside it: one package more than there are processors, because many wait.
test: install ## all tests with the race detector, with real servers
	$(GO) test -race -shuffle=on -timeout=20m -p=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) ./test/e2e ./...

quick: ## tests that need no server, without the race detector: seconds after the first run
	$(GO) test ./cmd/... ./pgwire/... ./tlsorigin/... ./health/... ./test ./test/house ./test/promises

drivers: install ## real drivers with real servers; UPDATE=-update writes docs/reference/compatibility.md
	$(GO) test -tags drivers -count=1 -timeout=14m ./test/drivers $(UPDATE)
	$(GO) test -tags drivers -count=1 -run='^TestLikeLibpq$$' ./cmd/pgorigin/internal/pgurl

unchanged: install ## real drivers whose own URL meets pgorigin, in a pod made of namespaces and under exec; UPDATE=-update writes their table; needs root
	$(GO) test -tags unchanged -count=1 -timeout=9m ./test/unchanged $(UPDATE)

faults: install ## one thing wrong at a time, and what each surface says; UPDATE=-update writes docs/explanation/diagnosis.md; needs root
	@test/install iproute2 iptables
	$(GO) test -tags faults -count=1 -timeout=9m ./test/faults $(UPDATE)

hostile: install ## attackers against the built binary, with real drivers as judges; UPDATE=-update writes docs/reference/attackers.md
	$(GO) test -tags hostile -count=1 -timeout=9m ./test/hostile $(UPDATE)

soak: install ## all kinds of sessions with real servers, for DURATION (30m); looks for leaks
	$(GO) test -tags soak -count=1 -v -timeout=0 -run='^TestSoak$$' ./test/soak -duration=$(DURATION)

stall: install ## silent sessions and networks that vanish, beside direct libpq; needs root
	@test/install iproute2 iptables
	$(GO) test -tags stall -count=1 -v -timeout=8m -run='^TestStalls$$' ./test/stall

switchover: install ## upstreams that go away and come back, beside peers; ROUNDS=20: promotions; needs root
	@test/install iproute2 iptables stunnel4
	$(GO) test -tags switchover -count=1 -v -timeout=$(if $(ROUNDS),0,8m) ./test/switchover $(if $(ROUNDS),-rounds=$(ROUNDS) -peers=4)

burst: install ## 2,000 logins at once beside 2,000 sessions in 64 MiB, and sessions off the event loop; needs root
	$(GO) test -tags stall -count=1 -v -timeout=20m -run='^(TestBurst|TestOffLoop)$$' ./test/stall

suites: install ## the tests of pgx and lib/pq, beside direct runs; REGRESS=1 adds PostgreSQL's regression tests
	$(GO) test -tags suites$(if $(REGRESS),$(comma)regress) -count=1 -v -timeout=30m ./test/suites $(if $(REGRESS),-regress="$$(test/suites/install)")

stacks: install ## TLS stacks of applications at servers of every kind; HERE=here: only those of this Debian; UPDATE=-update writes the table
	@test/stacks/install $(HERE)
	$(GO) test -tags stacks -count=1 -v -timeout=25m -run='^TestMatrix$$' ./test/stacks -here=$(if $(HERE),true,false) $(UPDATE)
	@# Once for the table, and once for the page that is made of it.
	$(if $(UPDATE),for again in 1 2; do $(GO) test ./cmd/pgorigin/internal/stacks -update; done)

metrics: install ## checks /metrics of a running pgorigin with Debian's promtool
	@test/promtool
	PATH="$(CURDIR)/bin:$$PATH" $(GO) test -tags promtool -count=1 -run TestPromtool ./test/e2e

browser: ## tests the status page in Debian's Chromium; SCREENS=/folder keeps the screenshots
	@test/install chromium fonts-dejavu-core
	$(GO) test -tags browser -count=1 -timeout=14m -run Chromium ./health/page -screens="$(SCREENS)"

pictures: install ## makes the pictures of README, in docs/images
	@test/install chromium fonts-dejavu-core
	$(GO) run ./test/pictures

charts: install ## tests the charts with Helm 3 and 4; UPDATE=-update writes their READMEs
	@test/promtool
	tools=$$(test/admission/build charts) && KUBE_TOOLS=$$tools PATH="$(CURDIR)/bin:$$PATH" $(GO) test -tags charts -count=1 -timeout=14m ./test/charts $(UPDATE)

admission: install ## tests injection on a real API server, which it builds once (ten minutes); KUBERNETES=1.29, or all; SHOW=-show; FUZZ=20000: random pods only
	@test/admission/run "$(KUBERNETES)" $(SHOW) $(if $(FUZZ),-run TestEnginesAgree -timeout=4h -cases=$(FUZZ))

lint: platforms ## gofmt, go vet for all platforms, golangci-lint, actionlint
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags drivers,unchanged,faults,hostile,soak,stall,switchover,suites,regress,stacks,image,charts,admission,browser ./...
	$(GO) run $(GOLANGCI_LINT) run ./...
	$(GO) run $(ACTIONLINT) -shellcheck= -pyflakes=

platforms: ## go vet for all platforms, tests included
	for platform in $(PLATFORMS); do \
	  GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) vet ./pgwire/... ./tlsorigin/... ./health/... ./cmd/... || exit; done

house: ## lists the packages: lines, files, imports, and uses against the reading order
	@$(GO) run ./test/house $(ROOM)

fuzz: ## runs each fuzz target FUZZTIME (20000x) times; FUZZTIME=60s runs it for a minute
	@set -e; found=; \
	for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
	    found=yes; echo "--- $$target in $$(dirname "$$file")"; \
	    $(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=5s "$$(dirname "$$file")"; \
	  done; \
	done; \
	test -n "$$found" || { echo "no fuzz target found"; exit 1; }

demo: install ## shows pgorigin between psql and a TLS-only pgbouncer; KEEP=1 leaves it running
	@$(GO) build -o bin/demo ./test/demo
	@bin/demo

bench: install build ## pgorigin beside its alternatives, for an hour; UPDATE=-update writes docs/performance.md; BENCH='-only tps -rounds 3'
	$(GO) run ./bench -pgorigin $(BINARY) $(UPDATE) $(BENCH)

check: lint test ## what every change must pass

image: ## builds a container image
	$(ENGINE) build $(ENGINE_FLAGS) $(IMAGE_ARGS) -t $(IMAGE) .

image-test: ## builds and runs the image and the compose files; needs root and Debian
	@test/install buildah podman runc debootstrap iproute2 dnsmasq-base
	cd release/sbom && $(GO) vet ./... && $(GO) test ./...
	cd test/compose && $(GO) vet ./... && $(GO) test ./...
	$(GO) test -tags image -count=1 -v -timeout=60m -skip TestTwoBuildsAreTheSame ./test/image

reproducible: ## builds a release twice and compares; needs root and Debian
	@test/install buildah podman runc debootstrap iproute2
	$(GO) test -tags image -count=1 -v -timeout=60m -run TestTwoBuildsAreTheSame ./test/image

dist: ## makes the files of a release, in dist/
	GOTOOLCHAIN=$(RELEASE_GO) PLATFORMS="$(PLATFORMS)" VERSION=$(VERSION) REVISION=$(REVISION) CREATED=$(CREATED) release/dist

publish-image: ## pushes the images with bill of materials and provenance to the registry of IMAGE; needs docker buildx
	mkdir -p dist
	SOURCE_DATE_EPOCH=$(shell git log -1 --format=%ct) docker buildx build --platform linux/amd64,linux/arm64 $(IMAGE_ARGS) \
	  --sbom=true --provenance=mode=max --metadata-file dist/image.json \
	  --output type=image,name=$(IMAGE),push=true,rewrite-timestamp=true .

publish-charts: ## pushes the charts to REGISTRY; needs helm
	release/charts $(VERSION) $(REGISTRY)
