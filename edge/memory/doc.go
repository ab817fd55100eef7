// Package memory keeps snapshots of what a scene has seen: the newest in RAM, and
// on disk, thinned with age, what a restart and questions about the past need.
//
// One folder belongs to one scene. Each snapshot is a file of its own, written
// whole or not at all, that says which scene, model and moment it is of and
// carries a checksum; docs/memory.md has the format. A file that does not pass
// is set aside and reported once.
//
// Nothing here goes by the wall clock. Snapshots are in the order of their
// numbers, and their ages are counted in time that the device has run since the
// first of them, so that a clock that jumps by a year deletes nothing.
//
// A disk that is full, read-only or broken stops nothing either: [Store.Status]
// says what is wrong, and saving is tried again.
package memory
