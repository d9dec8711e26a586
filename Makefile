# What a person types. Each target installs what it needs where it can (Debian, as root) and says so where not.

CARGO ?= cargo
PREFIX ?= /usr/local
ARCH := $(shell uname -m)
TRIPLE := $(ARCH)-unknown-linux-gnu
# The static minion has its own flags, hence its own target directory: neither rebuilds the other.
MINION_DIR := target/minion
MINION := $(MINION_DIR)/$(TRIPLE)/minion/corpus-minion

.PHONY: help build minion demo test ec2 lint laws bench install clean tidy

help:
	@echo "make demo     build, and play the main job on three throw-away hosts"
	@echo "make test     everything that CI checks"
	@echo "make ec2      the driver of EC2 with its SDK (8 GiB, minutes): built, linted, tested against moto"
	@echo "make lint     formatting, clippy, tidy"
	@echo "make laws     dry run = run = empty third run, over 100,000 random trees"
	@echo "make bench    speed and memory beside Salt, Ansible, pyinfra and the physical floor"
	@echo "make install  release build into PREFIX ($(PREFIX))"

build:
	$(CARGO) build --release --locked --bin corpus
	$(MAKE) minion

minion:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --locked --profile minion --target $(TRIPLE) \
		--target-dir $(MINION_DIR) --package corpus-minion

demo:
	$(CARGO) build --locked --bin corpus --package corpus
	$(CARGO) build --locked --package corpus-minion
	bash tests/demo/demo.sh target/debug/corpus

test:
	bash tests/prepare.sh
	$(MAKE) minion
	$(CARGO) build --locked --bins
	CORPUS_STATIC_MINION=$(CURDIR)/$(MINION) $(CARGO) test --locked
	$(MAKE) lint
	$(MAKE) ec2

# Last, and apart: nothing else compiles Amazon's SDK. A machine with too little memory skips it, and says so.
ec2: minion
	CORPUS_STATIC_MINION=$(CURDIR)/$(MINION) CARGO=$(CARGO) bash tests/ec2/run.sh

lint:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) tidy

# Ten times the random low states that `make test` tries, and the shares of what a dry run promised.
laws:
	LAWS=100000 $(CARGO) test --locked --package corpus-states --test laws -- --nocapture

tidy:
	$(CARGO) tidy --bless

bench: build
	bash tests/bench/run.sh

install: build
	install -D -m 755 target/release/corpus $(DESTDIR)$(PREFIX)/bin/corpus
	install -D -m 755 $(MINION) $(DESTDIR)$(PREFIX)/lib/corpus/corpus-minion-$(ARCH)

clean:
	$(CARGO) clean
