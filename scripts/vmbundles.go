//go:build ignore

// Writes into a folder what vmservice.sh installs and runs:
//
//	vmbundles.go DIR
//
// seen.wasm, a plugin that is asked about pictures and captions, which it tags; garden-1.fw, a
// bundle of the demo's INT4 model, a plugin that tags captions, and defaults; garden-2.fw, whose
// model is cut off. Runs in the repository's root, with whose keys for tests they are signed.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/wasmtest"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "vmbundles:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	code, data := wasmtest.Answers(`{"tags":["seen"]}`)
	seen := wasmtest.Guest(wasmtest.I64(0), code, data) // all pictures are kept
	if err := os.WriteFile(filepath.Join(dir, "seen.wasm"), seen, 0o644); err != nil {
		return err
	}
	model, err := os.ReadFile("cmd/edged/model/demo-int4.gguf")
	if err != nil {
		return err
	}
	plugin := fw.Payload{
		Name: "delivered.wasm", Role: fw.RolePlugin, Permissions: []string{"on_caption"},
		Data: bytes.NewReader(wasmtest.Captioner(`{"tags":["delivered"]}`)),
	}
	defaults := fw.Payload{Name: "defaults.yaml", Role: fw.RoleDefaults, Data: strings.NewReader("scenes: {gate: {idle: 2s}}\n")}
	if err := bundle(dir, 1, model, plugin, defaults); err != nil {
		return err
	}
	return bundle(dir, 2, model[:len(model)/2])
}

// bundle writes a version of the bundle garden, signed.
func bundle(dir string, version uint64, model []byte, more ...fw.Payload) error {
	secret, err := os.ReadFile("fw/testdata/minisign.key")
	if err != nil {
		return err
	}
	key, err := fw.ParseSecretKey(secret)
	if err != nil {
		return err
	}
	b := fw.Builder{Manifest: &fw.Manifest{Name: "garden", Version: version}}
	for _, p := range append([]fw.Payload{{Name: "demo.gguf", Role: fw.RoleModel, Data: bytes.NewReader(model)}}, more...) {
		if err := b.Add(p); err != nil {
			return err
		}
	}
	raw, err := b.Raw()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := b.Write(&out, key.Sign(raw, "")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("garden-%d.fw", version)), out.Bytes(), 0o644)
}
