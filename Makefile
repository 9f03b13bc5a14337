# Lucid. `make help` lists everything; README.md says where to begin.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MUSL := aarch64-unknown-linux-musl
CROSS_BINARY := target/$(MUSL)/release/lucid
PYTHON_DONE := target/venv/.done
BROWSER := src/appliance/browser
# nextest runs tests side by side and is used where it is there; `cargo test` does the same work.
TEST_RUNNER := $(shell cargo nextest --version >/dev/null 2>&1 && echo "nextest run" || echo test)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: run
run: ## Start the appliance on this machine: state in ./var, prints the dashboard's address
	@echo "Building (about 3 minutes from nothing on 2 cores) ..."
	cargo build -p lucid
	target/debug/lucid dev

.PHONY: simulate
simulate: ## Like run, on a simulated Raspberry Pi 5
	cargo build -p lucid
	target/debug/lucid dev --simulate

.PHONY: test
test: setup ## Everything that CI runs, cheap first, with the time of each stage and the sum of all tests
	@.ci/stages check unit browser cross-check

.PHONY: setup
setup: ## Install what tests need: Debian packages, a Python environment, npm packages
	@.ci/setup

.PHONY: check
check: ## Formatting, lints, and the rules of src/tidy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo $(TEST_RUNNER) -p lucid-tidy

.PHONY: unit
unit: ## All Rust tests but the rules of src/tidy, with the whole box started and killed
	cargo build -p lucid
	cargo $(TEST_RUNNER) --workspace --exclude lucid-tidy

.PHONY: browser
browser: ## The dashboard in a real Chromium
	cargo build -p lucid
	.ci/browser

.PHONY: cross
cross: ## The static aarch64 binary
	@.ci/setup cross
	cargo build --release --target $(MUSL) -p lucid
	@ls -l $(CROSS_BINARY)

.PHONY: cross-check
cross-check: cross ## Check that it is static, and run it under qemu-user until it answers /health
	.ci/cross-check $(CROSS_BINARY)

.PHONY: bench
bench: ## The benchmarks of BENCHMARKS.md (release build; takes about half an hour)
	.ci/bench

.PHONY: bless
bless: ## Rewrite the golden files after a change that is meant
	LUCID_BLESS=1 cargo test -p lucid -p lucid-tidy

.PHONY: fmt
fmt: ## Format everything
	cargo fmt --all

.PHONY: clean
clean: ## Remove what was built; ./var stays
	cargo clean
	rm -rf $(BROWSER)/node_modules
