package fw

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

// payload is a file of a bundle, as tests put it in and get it out.
type payload struct {
	name string
	role Role
	data []byte
}

// payloads are of all kinds: a model of two chunks and a bit, one that compresses, one that does
// not, an empty one.
func payloads() []payload {
	noise := noise(2*ChunkSize + 777)
	return []payload{
		{"demo.gguf", RoleModel, noise},
		{"zones.wasm", RolePlugin, bytes.Repeat([]byte("zones "), 3000)},
		{"alert.wasm", RolePlugin, noise[:513]},
		{"defaults.yaml", RoleDefaults, nil},
	}
}

func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// small are the same kinds in little, where every byte is tried.
func small() []payload {
	return []payload{
		{"demo.gguf", RoleModel, noise(700)},
		{"zones.wasm", RolePlugin, bytes.Repeat([]byte("zones "), 60)},
		{"alert.wasm", RolePlugin, noise(513)},
	}
}

func build(t testing.TB, files []payload, sign bool) []byte {
	t.Helper()
	b := &Builder{Manifest: &Manifest{Name: "garden", Version: 7, Description: "for tests"}}
	for _, p := range files {
		if err := b.Add(Payload{Name: p.name, Role: p.role, Data: bytes.NewReader(p.data)}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := b.Raw()
	if err != nil {
		t.Fatal(err)
	}
	var sig []byte
	if sign {
		sig = secret(t).Sign(raw, "garden 7")
	}
	var out bytes.Buffer
	if err := b.Write(&out, sig); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpack reads all of a bundle.
func unpack(r io.Reader, keys []PublicKey) (files []payload, err error) {
	b, err := Open(r, keys)
	if err != nil {
		return nil, err
	}
	return rest(b)
}

func rest(b *Bundle) (files []payload, err error) {
	for {
		f, err := b.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		var data bytes.Buffer
		if _, err := b.Copy(&data); err != nil {
			return files, err
		}
		files = append(files, payload{f.Name, f.Role, data.Bytes()})
	}
}

func equal(a, b []payload) bool {
	return slices.EqualFunc(a, b, func(a, b payload) bool { return a.name == b.name && a.role == b.role && bytes.Equal(a.data, b.data) })
}

func TestBundle(t *testing.T) {
	data := build(t, payloads(), true)
	files, err := unpack(bytes.NewReader(data), keys(t, "minisign.pub"))
	if err != nil || !equal(files, payloads()) {
		t.Errorf("%d files: %v", len(files), err)
	}
	if !bytes.Equal(data, build(t, payloads(), true)) {
		t.Error("built twice, it is not the same")
	}
	b, err := Open(bytes.NewReader(data), keys(t, "minisign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	m := b.Manifest
	if m.Name != "garden" || m.Version != 7 || b.Comment != "garden 7" || m.Bytes() != int64(2*ChunkSize+777+18000+513) {
		t.Errorf("%+v", m)
	}
	if e := []string{m.Files[0].Encoding, m.Files[1].Encoding, m.Files[2].Encoding}; !slices.Equal(e, []string{"", "zstd", ""}) {
		t.Errorf("encodings %q", e)
	}
	if _, err := unpack(bytes.NewReader(build(t, small(), false)), keys(t, "minisign.pub")); err == nil {
		t.Error("a bundle without a signature is opened")
	}
	if _, err := unpack(bytes.NewReader(data), keys(t, "other.pub")); err == nil {
		t.Error("a bundle of another key is opened")
	}
}

// TestTar lets tar read a bundle, and minisign what it finds there.
func TestTar(t *testing.T) {
	emulated.SkipProcess(t)
	dir := t.TempDir()
	cmd := exec.Command("tar", "-xf", "-", "-C", dir)
	cmd.Stdin = bytes.NewReader(build(t, payloads(), true))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	model, err := os.ReadFile(filepath.Join(dir, "demo.gguf"))
	if err != nil || !bytes.Equal(model, payloads()[0].data) {
		t.Errorf("model of %d bytes: %v", len(model), err)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, manifestName))
	sig, _ := os.ReadFile(filepath.Join(dir, signatureName))
	if _, _, err := Verify(raw, sig, keys(t, "minisign.pub")); err != nil {
		t.Error(err)
	}
}

func TestSign(t *testing.T) {
	sign := func(raw []byte) ([]byte, error) { return secret(t).Sign(raw, "garden 7"), nil }
	var out bytes.Buffer
	m, err := Sign(&out, bytes.NewReader(build(t, payloads(), false)), sign)
	if err != nil || m.Version != 7 || !bytes.Equal(out.Bytes(), build(t, payloads(), true)) {
		t.Errorf("signed later, it is another bundle: %v", err)
	}
	damaged := build(t, small(), false)
	damaged[len(damaged)-2*block-600] ^= 1
	if _, err := Sign(io.Discard, bytes.NewReader(damaged), sign); err == nil {
		t.Error("a damaged bundle was signed")
	}
}

// TestTampered changes each byte of a bundle in turn: either it is refused, or the files are those
// that were signed (a tar header has fields that nothing depends on).
func TestTampered(t *testing.T) {
	t.Parallel()
	files := small()
	data, trusted := build(t, files, true), keys(t, "minisign.pub")
	refused, tried, step := 0, 0, 1
	if testing.Short() {
		step = 19
	}
	for i := 0; i < len(data); i += step {
		tried++
		data[i] ^= 1 << (i % 8)
		got, err := unpack(bytes.NewReader(data), trusted)
		data[i] ^= 1 << (i % 8)
		if err != nil {
			refused++
		}
		for j, p := range got {
			if !equal([]payload{p}, files[j:j+1]) {
				t.Fatalf("byte %d changed: a file with other contents was read: %v", i, err)
			}
		}
	}
	if refused < tried/2 {
		t.Errorf("%d of %d changes were refused", refused, tried)
	}
	for n := 0; n < len(data); n += step {
		_, err := unpack(bytes.NewReader(data[:n]), trusted)
		if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

// TestSkip goes on where an installation was interrupted, from what can seek and what cannot.
func TestSkip(t *testing.T) {
	data := build(t, payloads(), true)
	for _, r := range []io.Reader{bytes.NewReader(data), struct{ io.Reader }{bytes.NewReader(data)}} {
		for have := range 4 {
			if s, ok := r.(io.Seeker); ok {
				s.Seek(0, io.SeekStart)
			} else {
				r = struct{ io.Reader }{bytes.NewReader(data)}
			}
			b, err := Open(r, keys(t, "minisign.pub"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			model := payloads()[0].data
			begun := slices.Clone(model[:min(have*ChunkSize, len(model))])
			if n := f.Have(bytes.NewReader(append(begun, 1, 2, 3))); n != have {
				t.Fatalf("%d chunks of %d found", n, have)
			}
			if err := b.Skip(have); err != nil {
				t.Fatal(err)
			}
			got := bytes.NewBuffer(begun)
			if _, err := b.Copy(got); err != nil || !bytes.Equal(got.Bytes(), model) {
				t.Errorf("after %d chunks: %d bytes: %v", have, got.Len(), err)
			}
			if files, err := rest(b); err != nil || !equal(files, payloads()[1:]) {
				t.Errorf("after %d chunks: %d more files: %v", have, len(files), err)
			}
		}
	}
}

func TestManifest(t *testing.T) {
	raw := func(change func(m *Manifest)) error {
		m := &Manifest{Name: "garden", Version: 1, Files: []File{
			{Name: "a.gguf", Role: RoleModel, Size: 1, Stored: 1, Chunks: []Hash{{}}},
			{Name: "b.wasm", Role: RolePlugin, Size: 0, Chunks: []Hash{}}}}
		change(m)
		_, err := (&Builder{Manifest: m}).Raw()
		return err
	}
	if err := raw(func(*Manifest) {}); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(m *Manifest){
		`name "../x": 1 to 64`:                      func(m *Manifest) { m.Name = "../x" },
		"version: 1 or more":                        func(m *Manifest) { m.Version = 0 },
		"files: there are none":                     func(m *Manifest) { m.Files = nil },
		"files: 65, more than 64":                   func(m *Manifest) { m.Files = make([]File, 65) },
		`files[0]: name "/etc/passwd"`:              func(m *Manifest) { m.Files[0].Name = "/etc/passwd" },
		`files[0]: name "a/b"`:                      func(m *Manifest) { m.Files[0].Name = "a/b" },
		`files[0]: name ".."`:                       func(m *Manifest) { m.Files[0].Name = ".." },
		`files[0]: name "A"`:                        func(m *Manifest) { m.Files[0].Name = "A" },
		"files[1]: the name a.gguf is taken":        func(m *Manifest) { m.Files[1].Name = "a.gguf" },
		"files[1]: the name manifest.json is taken": func(m *Manifest) { m.Files[1].Name = manifestName },
		"the name manifest.json.minisig.tmp is":     func(m *Manifest) { m.Files[1].Name = signatureName + ".tmp" },
		"b.wasm: a second file with role model":     func(m *Manifest) { m.Files[1].Role = RoleModel },
		`b.wasm: role "kernel"`:                     func(m *Manifest) { m.Files[1].Role = "kernel" },
		"b.wasm: size -1":                           func(m *Manifest) { m.Files[1].Size = -1 },
		"b.wasm: size 67108865: a plugin may have":  func(m *Manifest) { m.Files[1].Size = MaxPacked + 1 },
		"a.gguf: stored 2: it is not compressed":    func(m *Manifest) { m.Files[0].Stored = 2 },
		"a.gguf: encoding: a model is used where":   func(m *Manifest) { m.Files[0].Encoding = "zstd" },
		`b.wasm: encoding "lzma"`:                   func(m *Manifest) { m.Files[1].Encoding = "lzma" },
		"a.gguf: chunks: 0, but 1 bytes have 1":     func(m *Manifest) { m.Files[0].Chunks = nil },
		`b.wasm: permissions: "root" is none`:       func(m *Manifest) { m.Files[1].Permissions = []string{"root"} },
		"b.wasm: permissions: emit twice":           func(m *Manifest) { m.Files[1].Permissions = []string{"emit", "emit"} },
		"a.gguf: permissions: only of a plugin":     func(m *Manifest) { m.Files[0].Permissions = []string{"emit"} },
		"b.wasm: model: only of a file":             func(m *Manifest) { m.Files[1].Model = &Model{} },
		`min_edged: version "new": three numbers`:   func(m *Manifest) { m.MinEdged = "new" },
		"keys[0]: not a public key":                 func(m *Manifest) { m.Keys = []string{"x"} },
		"keys: 3, more than 2":                      func(m *Manifest) { m.Keys = make([]string, 3) },
	} {
		if err := raw(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	for want, text := range map[string]string{
		"not JSON":                       "x",
		"has format 2; this edged knows": `{"format":2,"later":1}`,
		`unknown field "extra"`:          `{"format":1,"extra":1}`,
		"not JSON: invalid character":    `{"format":1} {}`,
		"64 hexadecimal digits":          `{"format":1,"files":[{"sha256":"00"}]}`,
	} {
		if _, err := ParseManifest([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q: %v", text, want, err)
		}
	}
}

func TestMinEdged(t *testing.T) {
	for _, c := range []struct {
		need, have string
		ok         bool
	}{
		{"", "v1.0.0", true}, {"1.2.3", "v1.2.3", true}, {"1.2.3", "1.2.4+3-gabcdef", true}, {"1.2.3", "v1.2.2", false},
		{"1.2.3", "v2.0.0", true}, {"2.0.0", "v1.9.9", false}, {"1.10.0", "v1.9.0", false},
		{"1.2.3", "(devel)", true}, {"1.2.3", "v0.0.0-20260101000000-abcdefabcdef+dirty", true},
	} {
		m := &Manifest{Name: "garden", Version: 1, MinEdged: c.need}
		if err := m.checkEdged(c.have); (err == nil) != c.ok {
			t.Errorf("needs %q, is %q: %v", c.need, c.have, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	b, err := open(bytes.NewReader(build(f, small(), false)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(file.Name) || filepath.Base(file.Name) != file.Name {
				t.Errorf("a file is called %q", file.Name)
			}
		}
	})
}

// FuzzBundle reads bundles whose signature would be right.
func FuzzBundle(f *testing.F) {
	f.Add(build(f, small(), false))
	f.Add(build(f, payloads()[1:2], false))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := open(bytes.NewReader(data))
		if err != nil {
			return
		}
		if b.Manifest, err = ParseManifest(b.Raw); err == nil {
			rest(b)
		}
	})
}
