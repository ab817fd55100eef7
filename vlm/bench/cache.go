package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/visualrwkv/edged/weights"
)

// CacheDir is where random models are kept unless Options say otherwise: the
// folder in the environment variable EDGED_BENCH_CACHE, or edged/bench in the
// user's cache.
func CacheDir() (string, error) {
	if d := os.Getenv("EDGED_BENCH_CACHE"); d != "" {
		return d, nil
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(d, "edged", "bench"), nil
}

// seal lies beside a cached file and tells what is in it. It is written last, so
// that a file without one is not whole.
type seal struct {
	Bytes int64  `json:"bytes"`
	CRC   uint32 `json:"crc32c"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// obtain returns the path of m in dir. A file that is there is read whole and
// checked, which also brings it into the page cache; one that is missing or
// damaged is written.
func obtain(ctx context.Context, dir string, m modelFile, tell func(string)) (string, error) {
	path := filepath.Join(dir, m.name)
	err := checkSeal(ctx, path)
	if err == nil || ctx.Err() != nil {
		return path, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		tell(fmt.Sprintf("%v; writing it anew", err))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	sum := &summed{}
	err = weights.WriteFile(path, func(w io.Writer) error {
		sum.w = w
		b := bufio.NewWriterSize(sum, pieceBytes)
		if err := m.write(ctx, b, func(done, total int64) {
			tell(fmt.Sprintf("writing %s: %d of %d MB", path, done>>20, total>>20))
		}); err != nil {
			return err
		}
		return b.Flush()
	})
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(sum.seal)
	if err != nil {
		return "", err
	}
	return path, weights.WriteFile(sealPath(path), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func sealPath(path string) string { return path + ".seal" }

// summed writes through and sums up.
type summed struct {
	w io.Writer
	seal
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.Bytes += int64(n)
	s.CRC = crc32.Update(s.CRC, castagnoli, p[:n])
	return n, err
}

// checkSeal reads the file at path and compares it with its seal.
func checkSeal(ctx context.Context, path string) error {
	data, err := os.ReadFile(sealPath(path))
	if err != nil {
		return err
	}
	var want seal
	if err := json.Unmarshal(data, &want); err != nil {
		return fmt.Errorf("%s: %w", sealPath(path), err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := &summed{w: io.Discard}
	buf := make([]byte, pieceBytes)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf)
		if _, err := sum.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if sum.seal != want {
		return fmt.Errorf("%s is damaged", path)
	}
	return nil
}
