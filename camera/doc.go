// Package camera defines where pictures come from: [Source] yields one [Frame]
// after the other of one view, [Open] makes one of a spec such as dir:PATH, and
// [OpenFolder] reads several views from files.
//
// A view is one camera. Views of one place are used together: the consumer
// pairs their frames by [Frame.Time], so sources of the same place must share a
// clock. Nothing here knows how pictures are decoded or what is done with them;
// [RawPicture] gives those that are not compressed the same colours everywhere.
//
// A [Camera] keeps any source alive. What can hang in the kernel never blocks
// its consumer, and whatever fails is tried again for ever.
package camera
