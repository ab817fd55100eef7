package weights

import (
	"errors"
	"fmt"
	"strings"
)

// ErrFormat is wrapped by every error about the content of a file, including
// content that is well formed but not supported.
var ErrFormat = errors.New("malformed weights file")

// ErrNotFound is wrapped by the errors of [Meta] about keys that are absent.
var ErrNotFound = errors.New("not found")

// formatError says what is wrong where. Its text leaves out ErrFormat's own,
// which would add nothing.
type formatError struct {
	file string
	item item
	off  int64 // byte in the file; negative when there is no single one
	msg  string
}

func (e *formatError) Error() string {
	var b strings.Builder
	if e.file != "" {
		b.WriteString(e.file + ": ")
	}
	if e.item.kind != "" {
		b.WriteString(e.item.String() + ": ")
	}
	b.WriteString(e.msg)
	if e.off >= 0 {
		fmt.Fprintf(&b, " (at byte %d)", e.off)
	}
	return b.String()
}

func (e *formatError) Unwrap() error { return ErrFormat }

// maxQuote bounds what an error repeats of a name from a file.
const maxQuote = 64

func quote(s string) string {
	if len(s) > maxQuote {
		return fmt.Sprintf("%q...", s[:maxQuote])
	}
	return fmt.Sprintf("%q", s)
}

// item is what an error is about: a kind of thing and its name, if it has one.
// Readers make one for each tensor, so it is formatted only when needed.
type item struct{ kind, name string }

func (i item) String() string {
	if i.name == "" {
		return i.kind
	}
	return i.kind + " " + quote(i.name)
}

func tensorItem(name string) item { return item{"tensor", name} }
func keyItem(key string) item     { return item{"key", key} }

// pickleItem is the pickle of a .pth, where no tensor is known yet.
var pickleItem = item{kind: "pickle"}

// badFile is an error about a file as a whole or about one of its bytes.
func badFile(file string, off int64, format string, args ...any) error {
	return &formatError{file, item{}, off, fmt.Sprintf(format, args...)}
}

// badItem is an error about a tensor or key.
func badItem(file string, it item, off int64, format string, args ...any) error {
	return &formatError{file, it, off, fmt.Sprintf(format, args...)}
}
