// Package edge is the daemon: it takes frames from cameras, lets a model see
// them with its memory carried on, writes a caption when the scene changed, and
// answers questions over the local socket.
//
// # The way of a frame
//
//	source -> Mailbox (newest wins) -> frame set -> plugins, quality, change gate
//	    -> Stream.See -> caption -> plugins -> hub -> journal, watchers
//
// Each view has a goroutine that captures, and one goroutine owns the live
// stream of a scene. Scenes take turns to look. A slow model never blocks a
// camera: the newest frame replaces the one that waits, and the number of
// skipped frames is reported. The lock-step mode ([Scene].LockStep) makes
// sources wait instead, so that every frame is used; it is for files and
// simulated rooms.
//
// # Questions
//
// A question is answered from the memory taken after the newest frame set, on
// a stream of its own, a few at a time. The live stream never knows: its
// captions are the same bytes with any number of questions as with none.
package edge
