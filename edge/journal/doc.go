// Package journal keeps what happened in sequence: captions and events, on disk,
// for as long as their budget lasts. [Journal.Append] never waits for the disk;
// records are written in batches, each with one fsync, so that one is safe at most
// [Options].Delay and a commit after it was appended. [Journal.Sync] waits for that.
// Where that would write more in a day than [Options].Daily, batches become larger: a
// record may wait for an hour then, but no more than 512 do.
//
// # Order and sequence
//
// Records are in the order of their sequence numbers, whatever the clocks say. A
// number is never given twice: not after a record was deleted, not after a crash,
// and not when the file lost its tail or had to be begun anew, because how far
// numbers may have gone is written down before they are used, in a file of its own
// (log.mark), and in one of another folder ([Options].Mark). After a crash numbers go on
// there, which leaves a gap.
//
// # Files
//
// log.db is a bbolt file with the buckets
//
//	records  sequence number (8 bytes, big-endian) -> record, see encode
//	blocks   sequence number / 256 (8 bytes, big-endian) -> newest wall time, longest
//	         time since boot of its records (8 bytes each, little-endian milliseconds)
//	boots    first sequence number of a boot -> the boot's 16 bytes
//	sums     "records" -> how many and how many bytes (8 bytes each, little-endian);
//	         "budget" -> what was written in 24 hours, see budget.encode
//
// bbolt trusts its file. A power cut cannot damage it (a test opens what some thousand cuts
// leave), but a disk can, and then bbolt
// panics, faults outside its mapping or recurses without end. So the file is checked
// before it is opened unless it was closed in order, everything that touches it
// contains panics and faults, and a file that is damaged is moved aside: edged goes
// on with a new one, into which it carries over the records that are whole by themselves,
// and says so. Meanwhile new ones wait in memory.
//
// A [Reader] finds records where no journal is open, and of a damaged file those that
// are whole by themselves.
//
// # Disks that fail
//
// When the disk is full, read-only or broken, records wait in memory, bounded, the
// oldest given up first; what can be read is still found. Writing is tried again
// until it works. [Options].Report is told of each change.
package journal
