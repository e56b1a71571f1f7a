# Two commands for a newcomer: make demo, make test.

PACKAGES      = pdns-server pdns-backend-sqlite3 pdns-tools unbound
TEST_PACKAGES = $(PACKAGES) pdns-backend-bind sqlite3 strace curl bind9 bind9-utils bind9-dnsutils gcc libc6-dev \
	pdns-backend-mysql mariadb-server pdns-backend-pgsql postgresql pdns-backend-lmdb pdns-backend-bind

GO          = go
FUZZTIME    = 10m# for each fuzzer
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# What is tested with the race detector, which needs a C compiler: less than a
# minute for each. The lab of cmd/rollover would take too long.
RACE_PACKAGES = ./pdns ./store ./rollover/chain ./rollover/guard ./rollover/hook ./rollover/parent ./rollover/probe

# VULN=yes has make test ask vuln.go.dev. No test talks to another machine by
# default; DNS never does.
VULN =

# Folders with the PowerDNS of other suites, and what test-matrix hands to go
# test, such as ARGS="-run TestRollsEndToEnd -v". MIRROR=... is where packages
# come from, if not from where apt takes them.
PDNS_ROOTS  = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rollover/pdns
PDNS_SUITES = trixie forky
ARGS        =

.PHONY: demo test race vuln sbom prove mutants fuzz lint bench build packages pdns-roots test-matrix

# In a repository the program knows its commit, whatever GOFLAGS says.
BUILDVCS = $(shell git rev-parse HEAD >/dev/null 2>&1 && echo -buildvcs=true)

build: ## bin/rollover
	CGO_ENABLED=0 $(GO) build -trimpath $(BUILDVCS) -tags urfave_cli_no_docs -o bin/rollover ./cmd/rollover

sbom: build ## bin/rollover.sbom: what bin/rollover was built of, with versions and checksums
	$(GO) version -m bin/rollover >bin/rollover.sbom

demo: ## rolls the keys of a throw-away zone on a throw-away PowerDNS, under a validator's eyes
	@.ci/packages $(PACKAGES)
	@$(MAKE) --no-print-directory build
	bin/rollover lab

test: ## everything: formatting, vet, staticcheck, unit, parser, scripts, end to end
	@.ci/packages $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory lint
	$(GO) test -timeout 40m ./... ./.ci/mutants
	@$(MAKE) --no-print-directory race
	@[ -z "$(VULN)" ] || $(MAKE) --no-print-directory vuln

race: ## the light packages with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $(RACE_PACKAGES)

vuln: ## known vulnerabilities of what is called, by vuln.go.dev; needs the Internet
	timeout 300 $(GO) run $(GOVULNCHECK) ./...

prove: ## every history, with many sorts of faults at once; see docs/proof.md
	$(GO) test -v -timeout 48h -run '^TestProof' ./rollover -prove

mutants: ## guards broken one at a time, and which of them no test misses; see docs/mutants.md
	$(GO) run ./.ci/mutants $(ARGS)

fuzz: ## every fuzzer, one after the other; make fuzz FUZZTIME=1m
	@grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do \
		for name in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$package/*_test.go | cut -c 6-); do \
			echo "== $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package || exit 1; \
		done; \
	done

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted" >&2; exit 1; }
	$(GO) vet ./... ./.ci/mutants
	$(GO) run $(STATICCHECK) ./... ./.ci/mutants

pdns-roots: ## folders with other versions of PowerDNS; see docs/versions.md. Needs root
	@.ci/packages debootstrap
	@for suite in $(PDNS_SUITES); do MIRROR="$(MIRROR)" .ci/pdns-root "$(PDNS_ROOTS)/$$suite" $$suite || exit 1; done

test-matrix: ## the tests that need a PowerDNS, on this machine's and on each of pdns-roots
	@.ci/packages $(TEST_PACKAGES)
	@GO="$(GO)" .ci/test-matrix "$(PDNS_ROOTS)" $(ARGS)

bench: ## ratios of one run; see docs/benchmarks.md
	@.ci/packages $(TEST_PACKAGES)
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./cmd/rollover ./store ./rollover ./rollover/probe ./pdns
