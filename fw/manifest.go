package fw

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/internal/disk"
)

// Limits of what a manifest may say.
const (
	MaxManifest = 1 << 20  // bytes of it
	MaxFiles    = 64       // in a bundle
	MaxPacked   = 64 << 20 // bytes of a file that is compressed, before and after
	MaxSize     = 1 << 40  // bytes of a file

	// ChunkSize is how much of a payload is hashed before it is used, and what an
	// interrupted installation repeats at most.
	ChunkSize = 4 << 20

	format = 1
)

// Manifest says what a bundle holds. Whoever signs it vouches for all of it.
type Manifest struct {
	Format int `json:"format"` // 1

	// Name is of what is delivered, the same from version to version: devices
	// refuse a bundle of another name unless told otherwise. See [ValidName].
	Name string `json:"name"`
	// Version orders bundles of one name; a device does not go back by itself.
	Version     uint64 `json:"version"`
	Description string `json:"description,omitempty"`
	// MinEdged is the oldest edged that can use it, as 1.2.3; empty: any.
	MinEdged string `json:"min_edged,omitempty"`
	// Keys, when given, become what the device trusts once this version is
	// committed, as lines of a key file.
	Keys []string `json:"keys,omitempty"`

	Files []File `json:"files"`
}

// Role is what a file is for.
type Role string

// Roles of files.
const (
	RoleModel    Role = "model"    // what edged runs, at most one
	RolePlugin   Role = "plugin"   // a WASM module
	RoleDefaults Role = "defaults" // configuration where the device's own is silent, at most one
)

// File is a payload. It is installed under its name, beside the others.
type File struct {
	Name string `json:"name"` // see [ValidName]
	Role Role   `json:"role"`
	Size int64  `json:"size"`   // bytes, installed
	Sum  Hash   `json:"sha256"` // of them

	// Encoding is how it lies in the bundle: as it is, or "zstd" where that pays.
	// Models are never compressed.
	Encoding string `json:"encoding,omitempty"`
	Stored   int64  `json:"stored"` // bytes in the bundle
	Chunks   []Hash `json:"chunks"` // of each ChunkSize of those, the last one shorter

	// Model tells what cannot be seen from the outside; for people, and never
	// believed instead of the file.
	Model *Model `json:"model,omitempty"`
	// Permissions are what a plugin may do.
	Permissions []string `json:"permissions,omitempty"`
}

// Model are facts about a model file.
type Model struct {
	Variant     string `json:"variant"`
	Type        string `json:"type"`
	Parameters  int64  `json:"parameters"`
	Fingerprint string `json:"fingerprint"` // of what a memory depends on: the same means that memories stay
}

// Hash is a SHA-256, in hexadecimal digits in a manifest.
type Hash [sha256.Size]byte

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(h[:], text[:min(len(text), 2*len(h))]); err != nil || n != len(h) || len(text) != 2*len(h) {
		return fmt.Errorf("%.80q is not a SHA-256 of 64 hexadecimal digits", text)
	}
	return nil
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Permissions that a plugin can have. docs/plugins.md says what they allow.
var Permissions = []string{"on_frame", "mask", "pixels", "on_caption", "replace", "emit"}

// ValidName says whether s may name a bundle or a file of one: 1 to 64 of a-z,
// 0-9, '.', '_' and '-', the first one a letter or digit. So no name is a path,
// hidden, or another one on a file system that does not tell case.
func ValidName(s string) bool {
	if s == "" || len(s) > 64 || strings.ContainsAny(s[:1], "._-") {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", rune(c)) {
			return false
		}
	}
	return true
}

// ParseManifest reads a manifest, which must be whole and within its limits.
// Errors name the file and the field.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, fmt.Errorf("the manifest has %d bytes, more than %d", len(data), MaxManifest)
	}
	// The format first: a later one may have other fields.
	var f struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the manifest is not JSON: %w", err)
	}
	if f.Format != format {
		return nil, fmt.Errorf("the manifest has format %d; this edged knows %d", f.Format, format)
	}
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the manifest: something follows it")
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	return m, nil
}

func (m *Manifest) validate() error {
	switch {
	case !ValidName(m.Name):
		return fmt.Errorf("name %.80q: 1 to 64 of a-z, 0-9, '.', '_' and '-' are allowed, a letter or digit first", m.Name)
	case m.Version == 0:
		return errors.New("version: 1 or more is needed")
	case len(m.Files) == 0:
		return errors.New("files: there are none")
	case len(m.Files) > MaxFiles:
		return fmt.Errorf("files: %d, more than %d", len(m.Files), MaxFiles)
	case len(m.Keys) > MaxKeys:
		return fmt.Errorf("keys: %d, more than %d", len(m.Keys), MaxKeys)
	}
	if _, err := parseVersion(m.MinEdged); m.MinEdged != "" && err != nil {
		return fmt.Errorf("min_edged: %w", err)
	}
	for i, k := range m.Keys {
		if _, err := parsePublicKey(k); err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
	}
	seen := map[string]bool{}
	for _, name := range []string{manifestName, signatureName} { // and what they are called while they are written
		seen[name], seen[name+disk.Temp] = true, true
	}
	roles := map[Role]int{}
	for i := range m.Files {
		f := &m.Files[i]
		if !ValidName(f.Name) {
			return fmt.Errorf("files[%d]: name %.80q: 1 to 64 of a-z, 0-9, '.', '_' and '-' are allowed, a letter or digit first", i, f.Name)
		}
		if seen[f.Name] {
			return fmt.Errorf("files[%d]: the name %s is taken", i, f.Name)
		}
		seen[f.Name] = true
		if err := f.validate(); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if roles[f.Role]++; roles[f.Role] > 1 && f.Role != RolePlugin {
			return fmt.Errorf("%s: a second file with role %s", f.Name, f.Role)
		}
	}
	return nil
}

func (f *File) validate() error {
	chunks := (f.Stored + ChunkSize - 1) / ChunkSize
	switch {
	case f.Role != RoleModel && f.Role != RolePlugin && f.Role != RoleDefaults:
		return fmt.Errorf("role %.80q: model, plugin or defaults is possible", f.Role)
	case f.Size < 0 || f.Size > MaxSize:
		return fmt.Errorf("size %d: 0 to %d is possible", f.Size, int64(MaxSize))
	case f.Role != RoleModel && f.Size > MaxPacked:
		return fmt.Errorf("size %d: a %s may have %d", f.Size, f.Role, MaxPacked)
	case f.Encoding == "" && f.Stored != f.Size:
		return fmt.Errorf("stored %d: it is not compressed, so its size %d is needed", f.Stored, f.Size)
	case f.Encoding == "zstd" && f.Role == RoleModel:
		return errors.New("encoding: a model is used where it lies, and never compressed")
	case f.Encoding == "zstd" && (f.Stored < 0 || f.Stored > MaxPacked):
		return fmt.Errorf("stored %d: 0 to %d is possible", f.Stored, MaxPacked)
	case f.Encoding != "" && f.Encoding != "zstd":
		return fmt.Errorf("encoding %.80q: none or zstd is possible", f.Encoding)
	case int64(len(f.Chunks)) != chunks:
		return fmt.Errorf("chunks: %d, but %d bytes have %d", len(f.Chunks), f.Stored, chunks)
	case f.Model != nil && f.Role != RoleModel:
		return errors.New("model: only of a file with that role")
	case f.Permissions != nil && f.Role != RolePlugin:
		return errors.New("permissions: only of a plugin")
	}
	for i, p := range f.Permissions {
		if !slices.Contains(Permissions, p) {
			return fmt.Errorf("permissions: %.80q is none; there are %s", p, strings.Join(Permissions, ", "))
		}
		if slices.Contains(f.Permissions[:i], p) {
			return fmt.Errorf("permissions: %s twice", p)
		}
	}
	return nil
}

// Find returns the files with a role, in the order of the manifest.
func (m *Manifest) Find(role Role) (files []*File) {
	for i := range m.Files {
		if m.Files[i].Role == role {
			files = append(files, &m.Files[i])
		}
	}
	return files
}

// Bytes returns what the files take when they are installed.
func (m *Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}
