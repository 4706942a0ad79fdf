# make demo            speak English, read and hear Portuguese: a recording through a virtual microphone
# make demo LIVE=1     the same with this machine's own microphone and speaker
# make test            every test, with the real models
# make test FAST=1     the quick loop: no models, no servers
# make test-appliance  what the device promises to whoever leaves it running, and what it costs; also build/appliance.json
# make soak            a day of audio, faster than real time: what grows? (HOURS=12 for less); also build/soak.json
# make bench           speed, latency, memory and accuracy; also written to build/bench.json
# make bench-server    how many conversations the server holds at once; also in build/bench-server.json
# make fuzz            100,000 strange inputs to the server (COUNT=n for n); also in build/fuzz.json
# make bench-text      the text room: what it gains and costs; also written to build/bench-text.json
# make bench-voices    every installed voice: loudness, breaks, pitch; also written to build/bench-voices.json
# make bench-speakers  who said it: real and made-up conversations; also written to build/bench-speakers.json
# make bench-array     microphone arrays in simulated rooms: dB, words, degrees, and people who talk over the device's
#                      voice; also written to build/bench-array.json and build/bench-barge-in.json
# make deb             the Debian package, in dist/ (ARCH=arm64 for a Raspberry Pi or a Jetson, from any machine)
# make image BASE=FILE the system image FILE with Dragoman in it, in dist/ (as root; ARCH=arm64 by default)
# make update KEY=FILE a signed update of this checkout, in dist/ (ARCH=, MODELS="ID ...", BASE=release.json)
# make lint            ruff and mypy
# make format          let ruff write the code's layout
# make lock            resolve all dependencies anew and pin them in constraints.txt
# make readme          bring the README's tables up to date
# make clean           remove build outputs and .venv (the models stay: `dragoman models remove`)

PYTHON_VENV := .venv/bin/python
DRAGOMAN := .venv/bin/dragoman
PYTEST_ARGS ?=

.PHONY: help demo test test-appliance soak bench bench-array bench-server bench-speakers bench-text bench-voices fuzz deb image update lint format lock readme setup clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

setup:
	@tools/setup.sh dev

demo:
	@tools/setup.sh run
	@$(PYTHON_VENV) -m tools.models demo
	@$(PYTHON_VENV) -m tools.demo $(if $(LIVE),--live) $(if $(PICTURE),--svg $(PICTURE))

test: setup
ifdef FAST
	$(PYTHON_VENV) -m pytest -m "not models and not e2e" $(PYTEST_ARGS)
else
	@$(PYTHON_VENV) -m tools.models tests
	$(PYTHON_VENV) -m pytest $(PYTEST_ARGS)
endif

test-appliance: setup
	@tools/setup.sh package cage chromium xvfb libfaketime libseccomp2 debootstrap minisign qemu-user-static binfmt-support fdisk e2fsprogs \
		qemu-system-x86 qemu-system-arm qemu-utils
	@$(PYTHON_VENV) -m tools.models tests
	$(PYTHON_VENV) -m tools.appliance -- $(PYTEST_ARGS)

soak: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.soak --hours $(or $(HOURS),24)

bench: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.bench $(if $(QUICK),--quick)

bench-server: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.bench_server

fuzz: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.fuzz $(if $(COUNT),--count $(COUNT))

bench-text: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.bench_text $(if $(QUICK),--quick) $(if $(CORPUS),--corpus $(CORPUS))

bench-voices: setup
	@$(PYTHON_VENV) -m tools.models tests
	@$(PYTHON_VENV) -m tools.bench_voices

bench-speakers: setup
	@$(PYTHON_VENV) -m tools.models all
	@$(PYTHON_VENV) -m tools.bench_speakers

bench-array: setup
	@$(PYTHON_VENV) -m tools.models all
	@$(PYTHON_VENV) -m tools.speech_corpus build/speech
	@$(PYTHON_VENV) -m tools.bench_array
	@$(PYTHON_VENV) -m tools.bench_barge_in

deb: setup
	@$(PYTHON_VENV) -m tools.deb $(if $(ARCH),--arch $(ARCH))

image: setup
	@ARCH=$(or $(ARCH),arm64) tools/install --prepare build/image-$(or $(ARCH),arm64)
	@$(PYTHON_VENV) -m tools.image $(or $(BASE),$(error say BASE=FILE, an image of Raspberry Pi OS or Debian)) \
		build/image-$(or $(ARCH),arm64) dist/dragoman.img

update: setup
	@$(PYTHON_VENV) -m tools.bundle $(if $(ARCH),--arch $(ARCH)) $(if $(BASE),--base $(BASE)) \
		$(if $(ONLY_MODELS),--models-only) $(addprefix --model ,$(MODELS)) --key $(or $(KEY),$(error say KEY=FILE, a secret key of minisign))

lint: setup
	$(PYTHON_VENV) -m ruff check .
	$(PYTHON_VENV) -m ruff format --check .
	$(PYTHON_VENV) -m mypy

format: setup
	$(PYTHON_VENV) -m ruff check --fix-only .
	$(PYTHON_VENV) -m ruff format .

lock: setup
	$(PYTHON_VENV) -m tools.lock

readme: setup
	$(PYTHON_VENV) -m tools.readme $(if $(FIGURES),--figures $(FIGURES)) $(if $(APPLIANCE),--appliance $(APPLIANCE)) \
		$(if $(SOAK),--soak $(SOAK)) $(if $(TEXT),--text $(TEXT))

clean:
	rm -rf build dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
