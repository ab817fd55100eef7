# make test     everything that must hold, from a bare Debian 12 with Go
# make deps     what the tests need besides Go (apt as root; elsewhere it names what is missing)
# make vet      gofmt, go vet for each architecture and for plugins, tidy go.mod, staticcheck
# make soak     how soon the demo speaks, its memory over 2,000 frame sets, that of converting a 7B model, what a plan
#               estimates, captions beside 1,000 questions and 10,000 hostile plugins, a daemon and installations killed 1,000 times, an RTSP camera that hangs up 200
#               times, and the daemon for 10 minutes (SOAK=24h: for longer) with cameras that fail a hundred times a
#               minute: for a machine that does nothing else, with 5 GB of disk for a while
# make soak-faults  the last of these alone, beside which other work may run: continuous integration does
# make bench    benchmarks of kernels, quant and simulator
# make bench-arm  what the arm64 kernels cost in instructions and predicted cycles; fails when one is 5 % worse
# make test-vm  real binary and drivers in a virtual arm64 machine whose cameras fail when told to
# make test-systemd  the unit under Debian's systemd in such a machine, whose webcam is the kernel's
# make plugins  the example plugins, as WASM modules in build/plugins
# make cross    the binary for arm64, amd64 and arm (v7)
# make deb      Debian packages of those

GO          ?= go
GOTEST       = ./scripts/test.sh $(GO) test
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
NFPM         = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
QEMU        ?= qemu-aarch64-static
QEMU_ARM    ?= qemu-arm-static
CPUS        ?= cortex-a76:neon-dotprod cortex-a72:neon max:neon-i8mm
# Packages that compute. Their tests run with every backend: kernels against package
# portable, pictures, tokens and models against vectors of the authors' code, and what the
# embedded models say of a simulated room. What is in none of these packages is the same
# with all backends, and so is what tests skip where EDGED_TEST_AGAIN is set (package
# internal/backendtest): that runs once on each architecture. The slowest come first.
COMPUTE      = ./cmd/edged ./vlm/... ./kernels/... ./quant/... ./tokenizer ./camera
# The Python that Debian's python3-torch belongs to.
PYTHON      ?= /usr/bin/python3

export CGO_ENABLED = 0

.PHONY: test deps vet fmt native race purego arm64 arm training soak soak-faults bench bench-arm test-vm test-systemd plugins cross deb clean

test: deps vet native race purego arm64 arm training cross
	@echo "make test: all legs passed"

deps:
	@./scripts/deps.sh

vet: fmt
	GOARCH=amd64 $(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	GOARCH=arm $(GO) vet ./...
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./sdk/...
	$(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	if [ -n "$$bad" ]; then echo "gofmt wants changes in:"; echo "$$bad"; exit 1; fi

# A leg fails where another backend than the one it is for is in use; here that is the best
# one for this CPU, then each lower one that it has. In continuous integration the
# disassembler that checks encodings may not be absent.
native:
	@set -e; set -- $$(./scripts/backends.sh); best=$$1; [ $$# = 0 ] || shift; \
	echo "native: everything with $${best:-any backend}"; \
	EDGED_TEST_LLVM=$$CI EDGED_TEST_BACKEND=$$best $(GOTEST) -timeout 20m ./...; \
	for backend; do \
	  echo "native: what computes with $$backend"; \
	  EDGED_TEST_AGAIN=1 EDGED_KERNELS=$$backend EDGED_TEST_BACKEND=$$backend $(GOTEST) -short -timeout 20m $(COMPUTE); \
	done

# -short leaves out what only repeats one goroutine's work at length. Programs with the race
# detector would wait for a second before they end, the hundreds that tests start too.
race:
	CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GOTEST) -race -short -timeout 20m ./...

purego:
	EDGED_TEST_AGAIN=1 EDGED_TEST_BACKEND=portable $(GOTEST) -tags purego -short -timeout 20m $(COMPUTE)

# Each test binary runs under emulation; -short leaves out what only repeats the native run
# at length. A leg fails where another backend than the CPU model's best is in use. What does
# not compute runs on one CPU model.
arm64 arm: export EDGED_TEST_EMULATED = 1
arm64:
	@set -e; again=; for leg in $(CPUS); do \
	  cpu=$${leg%:*} backend=$${leg#*:}; \
	  echo "arm64 on $$cpu: what computes with $$backend"; \
	  EDGED_TEST_AGAIN=$$again EDGED_TEST_BACKEND=$$backend GOARCH=arm64 $(GOTEST) -short -timeout 20m -exec "$(QEMU) -cpu $$cpu" $(COMPUTE); \
	  again=1; \
	done; \
	echo "arm64 on cortex-a76: the rest"; \
	GOARCH=arm64 $(GOTEST) -short -timeout 20m -exec "$(QEMU) -cpu cortex-a76" $$($(GO) list ./... | grep -vxF "$$($(GO) list $(COMPUTE))")

# Where 32 bits matter: whatever reads files, sockets, modules and pictures, and the demo.
arm:
	GOARCH=arm GOARM=7 $(GOTEST) -short -timeout 20m -exec $(QEMU_ARM) ./weights/... ./wire ./tokenizer ./camera ./vlm/preprocess ./fw/plugin
	GOARCH=arm GOARM=7 $(GOTEST) -short -timeout 20m -exec $(QEMU_ARM) -run '^TestDemo(JSON|Asked)$$' ./cmd/edged

# Exact instruction counts under emulation and predicted cycles.
bench-arm:
	python3 scripts/bench-arm.py

# Continuous integration may not leave this out.
training:
	@if $(PYTHON) -c 'import torch' 2>/dev/null; then cd train && $(PYTHON) -B -m unittest -q test_train; \
	else echo "training: not tested, $(PYTHON) has no torch"; [ -z "$$CI" ]; fi

SOAK        ?= 10m
soak:
	EDGED_SOAK=1 EDGED_KILLS=1000 EDGED_HOSTILE=0-10000 $(GO) test -count=1 -v -timeout 60m -run '^(TestSoak|TestConvertMemory|TestKilled|TestInstallKilled|TestUndisturbed|TestLoad|TestBadClients|TestHostileBytes|TestRunHostile)$$' ./cmd/edged
	EDGED_SOAK=1 $(GO) test -count=1 -v -timeout 60m -run '^TestEstimateHolds$$' ./vlm/bench
	EDGED_UNPLUGS=200 $(GO) test -count=1 -v -timeout 60m -run '^TestRealRTSP$$' ./camera/pipe
	$(MAKE) soak-faults

# Of that, the daemon among failing cameras. It judges memory, goroutines and descriptors and
# no times, so that other work beside it does no harm.
soak-faults:
	EDGED_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 0 -run '^TestRunSoak$$' ./cmd/edged

# A Debian kernel in qemu with four cameras of the vivid driver: each of its faults twenty
# times, unplugging, what "edged cams" says, MJPEG from a loopback, and webcams that change
# places on a virtual USB bus, all with the race detector; then "edged run" with two scenes,
# through each fault and a power cut, and CUTS disks as power cuts at other moments may leave
# them; then bundles that are installed, tried, kept and given up, and as many disks of those. VM_ARCH=amd64 is the other machine. It takes two to three minutes of one core; the first time
# it fetches 100 MB of a kernel and of what makes the loopback for it.
VM_ARCH     ?= arm64
VM_CC_arm64  = aarch64-linux-gnu-gcc
VM_CC_amd64  = x86_64-linux-gnu-gcc
CUTS        ?= 60
test-vm:
	@./scripts/deps.sh vm
	@mkdir -p build/vm
	GOOS=linux GOARCH=$(VM_ARCH) $(GO) build -trimpath -o build/vm/edged ./cmd/edged
	CGO_ENABLED=1 CC=$(VM_CC_$(VM_ARCH)) GOOS=linux GOARCH=$(VM_ARCH) $(GO) test -race -c -trimpath -tags netgo,osusergo \
	  -ldflags '-linkmode external -extldflags -static' -o build/v4l2.test ./camera/v4l2
	GOOS=linux GOARCH=$(VM_ARCH) $(GO) test -c -trimpath -o build/edged.test ./cmd/edged
	./scripts/vm.sh -files build/vm -env EDGED_VM=1 build/v4l2.test -test.run '^TestVM'
	@rm -f build/vm.disk
	./scripts/vm.sh -files build/vm -env EDGED_VM_BOOT=1 -disk build/vm.disk -log build/vm.writes -cut 'vm: cut' \
	  build/edged.test -test.run '^TestVMRun$$'; [ $$? = 137 ]
	EDGED_WRITE_LOG=$$PWD/build/vm.writes EDGED_CUTS=$(CUTS) EDGED_CUT_DISK=$$PWD/build/vm.disk \
	  $(GO) test -count=1 -v -timeout 60m -run '^TestPowerCuts$$' ./cmd/edged
	./scripts/vm.sh -files build/vm -env EDGED_VM_BOOT=2 -disk build/vm.disk -later 3600 \
	  build/edged.test -test.run '^TestVMRun$$'
	@set -e; rm -f build/vm.disk; cp fw/testdata/minisign.pub build/vm/fw.pub; \
	for v in 1 2 3 4; do \
	  $(GO) run ./cmd/edged fw build -name garden -version $$v -model cmd/edged/model/demo-int$$((v % 2 * 4 + 4)).gguf \
	    -key fw/testdata/minisign.key -o build/vm/$$v.fw -quiet; \
	done
	./scripts/vm.sh -cams 0 -files build/vm -env EDGED_VM_BOOT=bundles -disk build/vm.disk -log build/vm.bundles -cut 'vm: cut' \
	  build/edged.test -test.run '^TestVMBundles$$'; [ $$? = 137 ]
	EDGED_WRITE_LOG=$$PWD/build/vm.bundles EDGED_CUTS=$(CUTS) $(GO) test -count=1 -v -timeout 60m -run '^TestBundlePowerCuts$$' ./cmd/edged

# Ready, watchdog, restarts, end, restrictions, plugins, bundles: scripts/vmservice.sh.
test-systemd:
	@./scripts/deps.sh vm
	@mkdir -p build/vm
	GOOS=linux GOARCH=$(VM_ARCH) $(GO) build -trimpath -o build/vm/edged ./cmd/edged
	./scripts/vmsystemd.sh build/vm/edged

bench:
	$(GO) test -run '^$$' -bench . ./kernels/... ./quant/... ./camera/sim ./vlm/...

# The commands of docs/plugins.md, for the examples in sdk.
CLANG       ?= clang-19
PLUGINS     ?= build/plugins
plugins:
	@mkdir -p $(PLUGINS)
	GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -o $(PLUGINS)/alert.wasm ./sdk/examples/alert
	$(CLANG) --target=wasm32 -nostdlib -O2 -Wall -Wextra -Wpedantic -Werror -std=c99 -Wl,--no-entry -Wl,--stack-first \
	  -I sdk -o $(PLUGINS)/crossing.wasm sdk/examples/crossing/crossing.c

cross:
	GOOS=linux GOARCH=amd64 $(GO) build -trimpath -o build/edged-linux-amd64 ./cmd/edged
	GOOS=linux GOARCH=arm64 $(GO) build -trimpath -o build/edged-linux-arm64 ./cmd/edged
	GOOS=linux GOARCH=arm GOARM=7 $(GO) build -trimpath -o build/edged-linux-armv7 ./cmd/edged

# In the order of versions of Debian, tags and what follows them. DEBS are pairs of what
# Debian and what the file of "make cross" calls an architecture.
VERSION     ?= $(shell git describe --tags --always 2>/dev/null | sed 's/^v//; /^[0-9]/!s/^/0.0.0+/')
DEBS        ?= arm64:arm64 amd64:amd64 armhf:armv7
deb: cross
	@set -e; for pair in $(DEBS); do \
	  DEB_ARCH=$${pair%:*} BIN_ARCH=$${pair#*:} VERSION=$(VERSION) $(GO) run $(NFPM) package -f dist/nfpm.yaml -p deb -t build; \
	done

clean:
	rm -rf build
