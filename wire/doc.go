// Package wire is the protocol of edged's local socket: framing, messages, a
// server loop and the helpers to listen. It knows bytes and messages and nothing
// of cameras or models; package client is its counterpart for callers, and
// docs/protocol.md describes the same bytes for other languages.
//
// # Frames
//
// A frame is a big-endian uint32 length followed by that many bytes, which hold
// one msgpack map with string keys. Two keys are in every frame: "type" names the
// message, "id" is the number the client gave to the request; everything that
// belongs to a request carries its id back, so that several may be in flight on
// one connection. Unknown keys are ignored, so that messages can grow.
//
// # Hostile bytes
//
// The msgpack decoder trusts the counts it reads: five bytes can make it allocate
// gigabytes, and nesting makes it recurse without end. No byte reaches it before
// [Check] has walked the payload without recursion and without allocating, and
// messages are decoded into the structs of this package only.
//
// # Slow readers
//
// A [Conn] has a bounded outgoing queue. What a client may miss (events) is
// dropped and counted when the queue is full, what it may not miss (replies,
// answers) waits, and the pieces of an answer are joined into larger ones. A
// client that takes nothing at all for [ServeOptions].WriteTimeout is cut off.
// So a callback of [Handler] never waits for a client.
package wire
