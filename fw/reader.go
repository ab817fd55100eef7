package fw

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A bundle is a tar archive, so that everyone can look into it, and of all tar
// archives the plainest: manifest, signature and files in the manifest's order,
// each with one header block. Where something lies follows from the manifest.

const (
	manifestName  = "manifest.json"
	signatureName = "manifest.json.minisig"

	block = 512 // bytes of a tar header, and what contents are padded to
)

// Bundle reads a bundle from its beginning to its end.
type Bundle struct {
	Manifest *Manifest
	Raw      []byte    // the manifest, as signed
	Sig      []byte    // the signature file
	By       PublicKey // whose it is
	Comment  string    // that it covers

	r     io.Reader
	next  int   // index of the file that Next returns
	file  *File // the one being read
	chunk int   // of it, that comes next
	buf   []byte
}

// Open reads manifest and signature and checks them with the keys that are
// trusted. It reads no further.
func Open(r io.Reader, keys []PublicKey) (*Bundle, error) {
	b, err := open(r)
	if err != nil {
		return nil, err
	}
	if len(b.Sig) == 0 {
		return nil, errors.New("the bundle is not signed, which \"edged fw sign\" does")
	}
	if b.By, b.Comment, err = Verify(b.Raw, b.Sig, keys); err != nil {
		return nil, err
	}
	b.Manifest, err = ParseManifest(b.Raw)
	return b, err
}

// open reads what comes before the files, and believes none of it.
func open(r io.Reader) (b *Bundle, err error) {
	b = &Bundle{r: r}
	if b.Raw, err = b.member(manifestName, MaxManifest); err != nil {
		return nil, err
	}
	if b.Sig, err = b.member(signatureName, maxSignature); err != nil {
		return nil, err
	}
	return b, nil
}

// header reads a header block and returns the size that it tells of the member,
// which must have that name.
func (b *Bundle) header(name string) (size int64, err error) {
	var h [block]byte
	if _, err := io.ReadFull(b.r, h[:]); err != nil {
		return 0, short(name, err)
	}
	t, err := tar.NewReader(bytes.NewReader(h[:])).Next()
	switch {
	case err != nil && name == manifestName:
		return 0, errors.New("not a bundle, which begins as a tar archive does")
	case err != nil:
		return 0, fmt.Errorf("%s: not a plain tar header where it should be", name)
	case t.Name != name || t.Typeflag != tar.TypeReg:
		return 0, fmt.Errorf("the file %s should come here, and %.80q does", name, t.Name)
	}
	return t.Size, nil
}

// short says what an end too early means, in a member of that name. Other errors are of who reads, and told as they are.
func short(name string, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%s: the bundle ends in the middle: %w", name, io.ErrUnexpectedEOF)
	}
	return err
}

// member reads a whole small one.
func (b *Bundle) member(name string, limit int64) ([]byte, error) {
	size, err := b.header(name)
	if err != nil {
		return nil, err
	}
	if size < 0 || size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, size, limit)
	}
	data := make([]byte, size+padding(size))
	if _, err := io.ReadFull(b.r, data); err != nil {
		return nil, short(name, err)
	}
	return data[:size], nil
}

// padding is what follows n bytes of content.
func padding(n int64) int64 { return -n & (block - 1) }

// Next goes to the next file, past what is left of the one before, and returns
// [io.EOF] behind the last when the archive ends there in order.
func (b *Bundle) Next() (*File, error) {
	if b.file != nil {
		if err := b.Skip(len(b.file.Chunks) - b.chunk); err != nil {
			return nil, err
		}
		b.file = nil
	}
	if b.next == len(b.Manifest.Files) {
		var end [2 * block]byte
		if _, err := io.ReadFull(b.r, end[:]); err != nil {
			return nil, short("behind the last file", err)
		}
		if end != [2 * block]byte{} {
			return nil, errors.New("something follows the last file")
		}
		return nil, io.EOF
	}
	f := &b.Manifest.Files[b.next]
	size, err := b.header(f.Name)
	if err != nil {
		return nil, err
	}
	if size != f.Stored {
		return nil, fmt.Errorf("%s has %d bytes, the manifest says %d", f.Name, size, f.Stored)
	}
	b.next++
	b.file, b.chunk = f, 0
	return f, nil
}

// chunkSize is how many bytes chunk i has.
func (f *File) chunkSize(i int) int64 { return min(ChunkSize, f.Stored-int64(i)*ChunkSize) }

// Chunk returns the next piece of the file as it is stored, once it is what the
// manifest says, valid until the next call, and [io.EOF] behind the last.
func (b *Bundle) Chunk() ([]byte, error) {
	f := b.file
	if b.chunk == len(f.Chunks) {
		return nil, io.EOF
	}
	n := f.chunkSize(b.chunk)
	all := n
	if b.chunk == len(f.Chunks)-1 {
		all += padding(f.Stored)
	}
	if int64(cap(b.buf)) < all {
		b.buf = make([]byte, min(ChunkSize, f.Stored)+block)
	}
	if _, err := io.ReadFull(b.r, b.buf[:all]); err != nil {
		return nil, short(f.Name, err)
	}
	if sha256.Sum256(b.buf[:n]) != f.Chunks[b.chunk] {
		return nil, fmt.Errorf("%s: bytes %d to %d are not those that were signed", f.Name, int64(b.chunk)*ChunkSize, int64(b.chunk)*ChunkSize+n-1)
	}
	b.chunk++
	return b.buf[:n], nil
}

// Skip passes over chunks that are not needed. Where the bundle comes from can
// save reading them by being an [io.Seeker].
func (b *Bundle) Skip(chunks int) error {
	f := b.file
	if chunks = min(chunks, len(f.Chunks)-b.chunk); chunks == 0 {
		return nil
	}
	var n int64
	for range chunks {
		n += f.chunkSize(b.chunk)
		b.chunk++
	}
	if b.chunk == len(f.Chunks) {
		n += padding(f.Stored)
	}
	if s, ok := b.r.(io.Seeker); ok {
		if _, err := s.Seek(n, io.SeekCurrent); err == nil {
			return nil
		}
	}
	if _, err := io.CopyN(io.Discard, b.r, n); err != nil {
		return short(f.Name, err)
	}
	return nil
}

// chunks is the file as it is stored, for what wants a reader.
type chunks struct {
	b    *Bundle
	rest []byte
	err  error // of the bundle, which tells the name of the file
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.rest, c.err = c.b.Chunk(); c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Copy writes the rest of the file, as it is to be installed, to w; each piece
// after it was checked. It says how many bytes it wrote. A file that was read
// from its beginning is checked as a whole, too.
func (b *Bundle) Copy(w io.Writer) (n int64, err error) {
	f := b.file
	whole := b.chunk == 0
	c := &chunks{b: b}
	r := io.Reader(c)
	if f.Encoding == "zstd" {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxPacked))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f.Name, err)
		}
		defer d.Close()
		r = io.LimitReader(d, f.Size+1) // one more shows that there is one more
	}
	sum := sha256.New()
	if n, err = io.Copy(io.MultiWriter(w, sum), r); err != nil {
		if f.Encoding != "" && (c.err == nil || c.err == io.EOF) { // of who decompresses
			err = fmt.Errorf("%s: %w", f.Name, err)
		}
		return n, err
	}
	if whole && (n != f.Size || Hash(sum.Sum(nil)) != f.Sum) {
		return n, fmt.Errorf("%s: its chunks are those that were signed, the file that they make is not: the bundle was built wrongly", f.Name)
	}
	return n, nil
}

// Have returns how many whole chunks of the file r begins with: what an
// installation that was interrupted need not read again. Files that are
// compressed begin from the beginning.
func (f *File) Have(r io.Reader) int {
	if f.Encoding != "" {
		return 0
	}
	buf := make([]byte, min(ChunkSize, f.Stored))
	for i, want := range f.Chunks {
		n := f.chunkSize(i)
		if _, err := io.ReadFull(r, buf[:n]); err != nil || sha256.Sum256(buf[:n]) != want {
			return i
		}
	}
	return len(f.Chunks)
}
