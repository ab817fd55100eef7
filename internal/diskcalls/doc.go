// Package diskcalls is for tests: it sees the system calls by which another process changes
// files, in the order in which they are made and before they are, and makes them fail. What
// is tested is the program as it is, libraries and all. From such calls [Disk] makes what power
// cuts may leave.
//
// The other process calls [Enter] first of all; it is started with [Watch].
package diskcalls
