//go:build !linux

package main

import "os"

// Other systems get lines of text.

func terminalSize(*os.File) (w, h int)            { return 0, 0 }
func inForeground(*os.File) bool                  { return false }
func quietKeys(*os.File) (restore func())         { return func() {} }
func notifyResize(chan<- os.Signal) (stop func()) { return func() {} }
