package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fullVocabulary returns the text of the published RWKV World vocabulary, which is
// not part of this repository.
func fullVocabulary(tb testing.TB) []byte {
	tb.Helper()
	path := os.Getenv("EDGED_VOCAB")
	if path == "" {
		path = filepath.Join("..", "..", "shared", "golden", "rwkv_vocab_v20230424.txt.gz")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Skipf("full RWKV vocabulary: %v; set EDGED_VOCAB to rwkv_vocab_v20230424.txt or its .gz", err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			tb.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			tb.Fatal(err)
		}
	}
	return data
}

// subsetVocabulary returns the lines of the published vocabulary that the golden
// encodings use.
func subsetVocabulary(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "subset.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func mustParse(tb testing.TB, data []byte) *Vocabulary {
	tb.Helper()
	v, err := Parse(data)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

type golden struct {
	Text string `json:"text"`
	IDs  []int  `json:"ids"`
}

func goldenEncodings(tb testing.TB) []golden {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "encode.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var list []golden
	if err := json.Unmarshal(data, &list); err != nil {
		tb.Fatal(err)
	}
	return list
}
