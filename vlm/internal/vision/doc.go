// Package vision turns pictures into visual tokens: the vision towers, the
// pooling of their grid of features and the projector into the language model's
// width. Section numbers refer to the architecture specification
// (docs of the model, "VisualRWKV-HM").
//
// A [Tower] and a [Projector] hold weights only and are safe for any number of
// goroutines. What a computation needs besides is in a [Work], one per
// goroutine, whose buffers grow once.
//
// No product of attention is ever held for a whole picture: a worker computes
// sixteen rows of one head's T x T scores at a time, or of those of a window.
package vision
