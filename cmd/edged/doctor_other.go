//go:build !linux

package main

import (
	"errors"
	"io"
)

func writeProcess(io.Writer, string) error {
	return errors.New("not known on this system")
}
