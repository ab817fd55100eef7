// Package rwkv7 is the language model of RWKV-7: blocks of time mixing by the generalised
// delta rule and of channel mixing, between an embedding and a head.
//
// It takes the state and the sequences of package rwkv: what is carried per block is the
// same, a wkv state [H,N,N] and two token shifts [C], and so are the shapes, the division of
// a prompt and the promise about them: a whole prompt, its pieces in any grouping, single
// steps, and steps batched over several sequences give the same bits. The wkv state has the
// key axis first here too; the authors' code has it last.
//
// The authors pad every prompt on the left to a multiple of 16 tokens, because of a kernel.
// The padding runs through the recurrence and moves with every token generated. It is left
// out here: this is the plain recurrence from a zero state.
package rwkv7
