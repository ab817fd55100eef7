// Package pipe is cameras behind a helper program that writes pictures to its standard
// output: [OpenRTSP] with ffmpeg, [OpenCSI] with rpicam-vid.
//
// Video decoders and the camera stack of the Raspberry Pi are large, written in C, and fed
// by whoever stands before the network or the lens; a helper keeps their crashes and leaks
// in a process that can be killed. Both helpers are asked for raw YUV 4:2:0: nothing is
// compressed once more only to be decompressed here.
//
// A source lives as long as its helper and ends with an error that says what the helper
// said; starting it again is the caller's business. A helper that delivers no picture for a
// while counts as ended. Closing a source ends the helper and all that it started.
package pipe
