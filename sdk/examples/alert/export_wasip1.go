package main

import "github.com/visualrwkv/edged/sdk"

var watch watcher

//go:wasmexport edged_on_start
func onStart(ptr, size uint32) uint32 { return sdk.OnStart(ptr, size, watch.start) }

//go:wasmexport edged_on_caption
func onCaption(ptr, size uint32) uint64 { return sdk.OnCaption(ptr, size, watch.judge) }
