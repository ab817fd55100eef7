// Package rwkv is the block of RWKV-6 and of RWKV-7, and its state: what the
// state encoder and the decoder are built from.
//
// One file per part of the block: timemix.go (RWKV-6: the recurrence with
// data-dependent decay), hybrid.go (the read of the image state that is
// blended into it), cross.go (the read as a sub-layer of its own), delta.go
// (RWKV-7: the delta rule), chanmix.go, wkv.go. stack.go runs blocks one after another, bind.go reads the
// weights by the authors' tensor names, detect.go finds out which variant a set
// of names describes.
//
// # Shapes
//
// C is the width, N the head size, H = C/N the number of heads, F the width
// inside channel mixing. Activations are rows of C float32, one row per
// token, tokens of one sequence after another. A wkv state is [H, N, N] with
// the key axis first and the value axis second; the image state S_img is one
// such array. The authors' code of RWKV-7 has the value axis first; here both
// generations have the same state.
//
// The authors' RWKV-7 pads every prompt on the left to a multiple of 16 tokens, because of
// a kernel. The padding runs through the recurrence and moves with every token generated.
// It is left out here: this is the plain recurrence from a zero state.
//
// # Sequence and step
//
// [Block.Forward] takes any number of rows that belong to any number of
// sequences ([Seg]). Matrix products run over all rows at once; token shift
// and recurrence run per sequence. Every row's arithmetic is independent of
// how many rows come along, so a whole prompt, its pieces in any grouping,
// single steps, and steps batched over several sequences give the same bits.
package rwkv
