# Lucid. `make help` lists everything; README.md says where to begin.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MUSL := aarch64-unknown-linux-musl
CROSS_BINARY := target/$(MUSL)/release/lucid
CARGO_PLACE := $(or $(CARGO_HOME),$(HOME)/.cargo)
# What CI has time for, as parts of the names of tests.
PI_MAIN := a_flashed_image a_trial a_panic a_first_process the_image_says the_list_is a_stranger an_update_is_kept a_power_cut_while_a_release
PI_IMAGE := target/pi/image/lucid.img
BROWSER := src/appliance/browser
# nextest runs tests side by side and is used where it is there; `cargo test` does the same work.
TEST_RUNNER := $(shell cargo nextest --version >/dev/null 2>&1 && echo "nextest run" || echo test)
# Some tests of the virtual Pi take longer than a test may otherwise.
LONG := $(if $(filter nextest,$(TEST_RUNNER)),--profile long)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: run
run: ## Start the appliance on this machine: state in ./var, prints the dashboard's address
	@echo "Building (about 5 minutes from nothing on 2 cores) ..."
	cargo build -p lucid
	target/debug/lucid dev

.PHONY: simulate
simulate: ## Like run, on a simulated Raspberry Pi 5
	cargo build -p lucid
	target/debug/lucid dev --simulate

.PHONY: test
test: setup ## Everything that CI runs, cheap first, with the time of each stage and the sum of all tests
	@.ci/stages check unit browser units flash cross-check pi-check

.PHONY: setup
setup: ## Install what tests need: Debian packages, a Python environment, npm packages
	@.ci/setup

.PHONY: check
check: ## Formatting, lints, and the rules of src/tidy
	cargo fmt --all --check
	@# What a trap calls looks unreachable to it.
	shellcheck --exclude=SC2317 $$(git grep -lE '^#!.*bash')
	cargo clippy --workspace --all-targets --features lucid-hw-tests/board -- -D warnings
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
	@# No path of the building machine in the binary: an image that is published must not tell whose it was.
	cargo build --release --target $(MUSL) -p lucid --config 'target.$(MUSL).rustflags=["--remap-path-prefix=$(CARGO_PLACE)=/cargo", "--remap-path-prefix=$(CURDIR)=/lucid"]'
	@ls -l $(CROSS_BINARY)

.PHONY: cross-check
cross-check: cross ## Check that it is static, and run it under qemu-user until it answers /health
	.ci/cross-check $(CROSS_BINARY)

.PHONY: units
units: ## The systemd units and the packet filter, against systemd's own checks, without a boot
	cargo build -p lucid
	units/check target/debug/lucid

.PHONY: flash
flash: ## flash.sh on loop devices, and what it refuses on a made-up machine (needs root)
	python3 -m unittest hw-tests/flash/test_flash.py

.PHONY: pi-image
pi-image: ## The disk image of the virtual Pi: kernel, root, binary (about 15 minutes from nothing)
	@hw-tests/setup
	hw-tests/image

.PHONY: pi
pi: pi-image ## Boot the image on a virtual Pi and print the dashboard's address; its disks are kept in ./var/pi
	@mkdir -p var/pi
	@[ -e var/pi/boot.img ] || cp --sparse=always $(PI_IMAGE) var/pi/boot.img
	cargo run -p lucid-hw-tests --bin lucid-pi -- run var/pi/boot.img --ssd var/pi/ssd.img

.PHONY: pi-check
pi-check: pi-image ## The image on the virtual Pi: the main checks
	cargo build -p lucid
	RUST_TEST_THREADS=1 cargo $(TEST_RUNNER) -p lucid-hw-tests --features pi --test pi -- $(PI_MAIN)

.PHONY: test-pi
test-pi: pi-image ## The image on the virtual Pi: everything (about an hour after the image)
	cargo build -p lucid
	RUST_TEST_THREADS=1 cargo $(TEST_RUNNER) $(LONG) -p lucid-hw-tests --features pi --test pi

.PHONY: test-board
test-board: ## The same on a real Pi, and no other than the one of TARGET=board.toml (ALLOW=claim,restart); docs/boot.md
	@[ -n "$(TARGET)" ] || { echo "test-board: name the file of the board: make test-board TARGET=board.toml; docs/boot.md shows one"; exit 2; }
	cargo build -p lucid
	LUCID_PI_TARGET='$(abspath $(TARGET))' LUCID_PI_ALLOW='$(ALLOW)' cargo test -p lucid-hw-tests --features board --test pi -- --nocapture the_board_that_was_told

.PHONY: image
image: ## The release image, with Buildroot (needs the internet, 15 GB and hours; LUCID_UPDATE_ROOT=, BUILDROOT_DIR=)
	buildroot/make-image

.PHONY: check-buildroot
check-buildroot: ## Check buildroot/ against a real Buildroot: BUILDROOT_DIR=, and LINUX_DIR= for the kernel's fragment
	buildroot/check

.PHONY: bench
bench: ## The benchmarks of BENCHMARKS.md (release build; takes about half an hour)
	.ci/bench

.PHONY: fuzz
fuzz: ## Fuzz the readers of update bundles with nightly Rust: MINUTES= for each of the three targets (20)
	.ci/fuzz $(or $(MINUTES),20)

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
