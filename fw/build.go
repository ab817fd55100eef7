package fw

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Payload is a file to be put into a bundle.
type Payload struct {
	Name        string
	Role        Role
	Data        io.ReadSeeker // read twice: its sums stand before it
	Model       *Model
	Permissions []string
}

// A Builder makes a bundle. The same manifest and payloads make the same bytes.
type Builder struct {
	Manifest *Manifest // Format and Files are filled in by [Builder.Add]
	// Progress is called with the bytes that were read or written, when not nil.
	Progress func(n int64)

	raw      []byte
	payloads []io.ReadSeeker
}

// Add reads a payload and enters it into the manifest.
func (b *Builder) Add(p Payload) error {
	f := File{Name: p.Name, Role: p.Role, Model: p.Model, Permissions: p.Permissions}
	data := p.Data
	if err := f.sum(data, b.progress); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if f.Role != RoleModel && f.Size <= MaxPacked {
		packed, err := pack(data, f.Size)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if packed != nil {
			plain := f
			if err := f.sum(bytes.NewReader(packed), func(int64) {}); err != nil {
				return err
			}
			f.Size, f.Sum, f.Encoding = plain.Size, plain.Sum, "zstd"
			data = bytes.NewReader(packed)
		}
	}
	b.Manifest.Files = append(b.Manifest.Files, f)
	b.payloads = append(b.payloads, data)
	return nil
}

func (b *Builder) progress(n int64) {
	if b.Progress != nil {
		b.Progress(n)
	}
}

// sum fills in what the bytes of r are, taken as they are.
func (f *File) sum(r io.ReadSeeker, progress func(int64)) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f.Size, f.Chunks = 0, []Hash{}
	whole := sha256.New()
	buf := make([]byte, ChunkSize)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			whole.Write(buf[:n])
			f.Chunks = append(f.Chunks, sha256.Sum256(buf[:n]))
			f.Size += int64(n)
			progress(int64(n))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
		if f.Size > MaxSize {
			return fmt.Errorf("more than %d bytes", int64(MaxSize))
		}
	}
	f.Stored, f.Sum = f.Size, Hash(whole.Sum(nil))
	return nil
}

// pack compresses size bytes, and returns nothing where that saves less than an
// eighth.
func pack(r io.ReadSeeker, size int64) ([]byte, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(z, r); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if int64(out.Len()) > size-size/8 {
		return nil, nil
	}
	return out.Bytes(), nil
}

// Raw is the manifest as it is signed, once all payloads are in it.
func (b *Builder) Raw() ([]byte, error) {
	if b.raw == nil {
		b.Manifest.Format = format
		if err := b.Manifest.validate(); err != nil {
			return nil, err
		}
		raw, err := json.MarshalIndent(b.Manifest, "", " ")
		if err != nil {
			return nil, err
		}
		if raw = append(raw, '\n'); len(raw) > MaxManifest {
			return nil, fmt.Errorf("the manifest has %d bytes, more than %d", len(raw), MaxManifest)
		}
		b.raw = raw
	}
	return b.raw, nil
}

// Write writes the bundle with a signature file of its manifest, or none.
func (b *Builder) Write(w io.Writer, sig []byte) error {
	raw, err := b.Raw()
	if err != nil {
		return err
	}
	if err := writeHead(w, raw, sig); err != nil {
		return err
	}
	for i, p := range b.payloads {
		f := &b.Manifest.Files[i]
		if _, err := p.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		now := sha256.New()
		// One byte more would show a file that has grown.
		r := io.TeeReader(io.LimitReader(p, f.Stored+1), now)
		if err := writeMember(w, f.Name, f.Stored, &counter{r, b.progress}); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Encoding == "" && Hash(now.Sum(nil)) != f.Sum {
			return fmt.Errorf("%s: it has changed while the bundle was being built", f.Name)
		}
	}
	_, err = w.Write(make([]byte, 2*block))
	return err
}

type counter struct {
	r        io.Reader
	progress func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.progress(int64(n))
	return n, err
}

func writeHead(w io.Writer, raw, sig []byte) error {
	if len(sig) > maxSignature {
		return fmt.Errorf("the signature has %d bytes, more than %d", len(sig), maxSignature)
	}
	if err := writeMember(w, manifestName, int64(len(raw)), bytes.NewReader(raw)); err != nil {
		return err
	}
	return writeMember(w, signatureName, int64(len(sig)), bytes.NewReader(sig))
}

// writeMember writes one header block, size bytes and their padding. r must hold
// just as many.
func writeMember(w io.Writer, name string, size int64, r io.Reader) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, Format: tar.FormatUSTAR}
	if size >= 1<<33 { // eleven octal digits
		h.Format = tar.FormatGNU
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	switch _, err := io.Copy(t, r); {
	case errors.Is(err, tar.ErrWriteTooLong):
		return errors.New("it has grown while the bundle was being built")
	case err != nil:
		return err
	}
	return t.Flush()
}

// Sign copies an unsigned or signed bundle from r to w with the signature file
// that sign makes of its manifest.
func Sign(w io.Writer, r io.Reader, sign func(raw []byte) (sig []byte, err error)) (*Manifest, error) {
	b, err := open(r)
	if err != nil {
		return nil, err
	}
	if b.Manifest, err = ParseManifest(b.Raw); err != nil {
		return nil, err
	}
	sig, err := sign(b.Raw)
	if err != nil {
		return nil, err
	}
	if err := writeHead(w, b.Raw, sig); err != nil {
		return nil, err
	}
	for {
		f, err := b.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		// Signing says that the payloads are those of the manifest, so they are checked.
		if err := writeMember(w, f.Name, f.Stored, &chunks{b: b}); err != nil {
			return nil, err
		}
	}
	_, err = w.Write(make([]byte, 2*block))
	return b.Manifest, err
}
