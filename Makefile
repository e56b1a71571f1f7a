# Two commands for a newcomer: make demo, make test.

PACKAGES      = pdns-server pdns-backend-sqlite3 pdns-tools unbound
TEST_PACKAGES = $(PACKAGES) sqlite3 strace curl bind9 bind9-utils bind9-dnsutils

GO          = go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: demo test prove lint bench build packages

build: ## bin/rollover
	CGO_ENABLED=0 $(GO) build -trimpath -tags urfave_cli_no_docs -o bin/rollover ./cmd/rollover

demo: ## rolls the keys of a throw-away zone on a throw-away PowerDNS, under a validator's eyes
	@.ci/packages $(PACKAGES)
	@$(MAKE) --no-print-directory build
	bin/rollover lab

test: ## everything: formatting, vet, staticcheck, unit, parser, scripts, end to end
	@.ci/packages $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory lint
	$(GO) test -timeout 40m ./...

prove: ## every history, with many sorts of faults at once; see docs/proof.md
	$(GO) test -v -timeout 6h -run '^TestProof' ./rollover -prove

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench: ## ratios of one run; see docs/benchmarks.md
	@.ci/packages $(TEST_PACKAGES)
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./cmd/rollover ./store
