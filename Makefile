# make test     everything that must hold, from a bare Debian 12 with Go
# make deps     what the tests need besides Go (apt as root; elsewhere it names what is missing)
# make vet      gofmt, go vet for both architectures, staticcheck
# make bench    benchmarks of kernels, quant and simulator
# make cross    the binary for arm64, amd64 and arm (v7)

GO          ?= go
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
QEMU        ?= qemu-aarch64-static
CPUS        ?= cortex-a72 cortex-a76 max
# Packages whose arm64 build is run on every CPU model; the others run on one.
KERNELS      = ./kernels/... ./quant/...
# Packages with goroutines run again under the race detector.
CONCURRENT   = ./edge ./wire ./client ./quant ./camera
# Packages whose bytes and arithmetic must be the same on arm64.
PORTABLE     = ./tokenizer ./wire ./client

export CGO_ENABLED = 0

.PHONY: test deps vet fmt native purego arm64 bench cross clean

test: deps vet native purego arm64 cross
	@echo "make test: all legs passed"

deps:
	@./scripts/deps.sh

vet: fmt
	GOARCH=amd64 $(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fmt:
	@bad=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	if [ -n "$$bad" ]; then echo "gofmt wants changes in:"; echo "$$bad"; exit 1; fi

native:
	$(GO) test -timeout 20m ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(CONCURRENT)

purego:
	$(GO) test -tags purego -timeout 10m $(KERNELS)

# Each test binary runs under emulation; -short leaves out what only repeats
# the native run at length.
arm64:
	@for cpu in $(CPUS); do \
	  echo "arm64 on $$cpu: kernels and quant"; \
	  GOARCH=arm64 $(GO) test -short -timeout 20m -exec "$(QEMU) -cpu $$cpu" $(KERNELS) || exit 1; \
	done
	GOARCH=arm64 $(GO) test -short -timeout 20m -exec "$(QEMU) -cpu cortex-a76" $(PORTABLE)

bench:
	$(GO) test -run '^$$' -bench . ./kernels/... ./quant/... ./camera/sim ./vlm/...

cross:
	GOOS=linux GOARCH=amd64 $(GO) build -trimpath -o build/edged-linux-amd64 ./cmd/edged
	GOOS=linux GOARCH=arm64 $(GO) build -trimpath -o build/edged-linux-arm64 ./cmd/edged
	GOOS=linux GOARCH=arm GOARM=7 $(GO) build -trimpath -o build/edged-linux-armv7 ./cmd/edged

clean:
	rm -rf build
